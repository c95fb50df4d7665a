from __future__ import annotations

import pytest

from dockmagic.image.proxy import proxy_for

PROXIES = {"HTTP_PROXY": "http://plain:1", "HTTPS_PROXY": "http://secure:2"}


def test_the_scheme_chooses_the_proxy() -> None:
    assert proxy_for("http://r.example/v2/", PROXIES) == "http://plain:1"
    assert proxy_for("https://r.example/v2/", PROXIES) == "http://secure:2"
    assert proxy_for("https://r.example/v2/", {"HTTP_PROXY": "http://plain:1", "ALL_PROXY": "http://all:3"}) == ""


def test_small_letters_count_where_there_are_no_capitals() -> None:
    assert proxy_for("https://r.example", {"https_proxy": "http://small:1"}) == "http://small:1"
    assert (
        proxy_for("https://r.example", {"https_proxy": "http://small:1", "HTTPS_PROXY": "http://big:2"})
        == "http://big:2"
    )
    assert proxy_for("https://r.example", {**PROXIES, "no_proxy": "r.example"}) == ""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"])
def test_this_machine_is_asked_straight(host: str) -> None:
    assert proxy_for(f"http://{host}/v2/", PROXIES) == ""


@pytest.mark.parametrize(
    ("no_proxy", "host", "straight"),
    [
        ("*", "r.example", True),
        ("r.example", "r.example", True),
        ("R.EXAMPLE", "r.example:5000", True),
        ("example", "r.example", True),
        ("a.example, r.example", "r.example", True),
        (".r.example", "r.example", False),
        (".example", "r.example", True),
        ("*.r.example", "r.example", False),
        ("*.example", "r.example", True),
        ("ample", "r.example", False),
        ("r.example:443", "r.example", True),
        ("r.example:5000", "r.example", False),
        ("r.example:5000", "r.example:5000", True),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "r.example", False),
        ("no/network", "10.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("2.3", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("fd00::/8", "[fd00::1]:5000", True),
        ("[fd00::1]:5000", "[fd00::1]:5000", True),
        ("fd00::1", "[fd00::1]", True),
        (",", "r.example", False),
        (":443", "r.example", False),
    ],
)
def test_no_proxy_is_read_as_docker_does(no_proxy: str, host: str, straight: bool) -> None:
    assert (proxy_for(f"https://{host}/v2/", {**PROXIES, "NO_PROXY": no_proxy}) == "") is straight
