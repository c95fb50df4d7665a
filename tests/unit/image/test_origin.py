from __future__ import annotations

import pytest

from dockmagic.errors import RegistryError
from dockmagic.image.origin import check_url, check_web, is_loopback, is_safe, origin


@pytest.mark.parametrize(
    "url", ["https://r.example/x", "http://localhost:5000", "http://127.9.9.9", "http://[::1]:80/"]
)
def test_safe_urls_pass(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://r.example",
        "http://10.0.0.1",
        "ftp://localhost",
        "file:///etc/passwd",
        "https://",
        "",
        "localhost:5000",
        "https://r.example:99999/",
        "http://localhost:0",
        "http://[::1",
    ],
)
def test_others_are_refused_with_the_way_out(url: str) -> None:
    assert not is_safe(url)
    with pytest.raises(RegistryError, match="only https is safe"):
        check_url(url)


def test_an_origin_includes_scheme_and_port() -> None:
    assert origin("https://A.example/x") == origin("https://a.example:443/y")
    assert origin("http://localhost:1") != origin("http://localhost:2")
    assert origin("http://localhost:443") != origin("https://localhost:443")
    assert origin("nonsense") is None


def test_a_loopback_host_is_this_machine() -> None:
    assert is_loopback("localhost")
    assert not is_loopback("localhost.example")


def test_the_web_is_http_and_https() -> None:
    for url in ("http://r.example/x", "https://r.example:8443", "http://[::1]:80/"):
        check_web(url)
    for url in ("file:///etc/passwd", "ftp://r.example/x", "https://", "", "http://[::1", "http://localhost:0"):
        with pytest.raises(RegistryError, match="neither http:// nor https://"):
            check_web(url)
