from __future__ import annotations

import pytest

from dockmagic.runtime import resolv_conf
from dockmagic.runtime.resolv_conf import ResolvConf, Upstream, chosen, embedded, parse, reachable, upstreams

HOST = """\
# made by hand
nameserver 192.0.2.1
nameserver 127.0.0.1 ; nearby
nameserver here
nameserver
domain old.example
search one.example two.example

options edns0
options timeout:1
sortlist 192.0.2.0
"""


def test_a_file_is_read_as_the_c_library_does() -> None:
    found = parse(HOST)
    assert found == ResolvConf(
        ("192.0.2.1", "127.0.0.1"),
        ("one.example", "two.example"),
        ("edns0", "timeout:1"),
        ("sortlist 192.0.2.0",),
    )
    assert parse(found.text()) == found
    assert parse("").text() == ""


def test_flags_win_over_the_host() -> None:
    found = chosen(parse(HOST), ["192.0.2.9"], ["."], ["ndots:3"])
    assert found.text() == "nameserver 192.0.2.9\noptions ndots:3\nsortlist 192.0.2.0\n"
    assert chosen(parse(HOST), [], [], []) == parse(HOST)


@pytest.mark.parametrize(
    ("servers", "ipv6", "left"),
    [
        ("192.0.2.1 127.0.0.1", False, "192.0.2.1"),
        ("127.0.0.1", False, "8.8.8.8 8.8.4.4"),
        ("", False, "8.8.8.8 8.8.4.4"),
        ("::1", True, "8.8.8.8 8.8.4.4 2001:4860:4860::8888 2001:4860:4860::8844"),
        ("2001:db8::1 192.0.2.1", False, "192.0.2.1"),
        ("2001:db8::1 fe80::1%eth0", True, "2001:db8::1"),
    ],
)
def test_servers_that_a_container_can_reach(servers: str, ipv6: bool, left: str) -> None:
    assert reachable(ResolvConf(tuple(servers.split())), ipv6=ipv6).servers == tuple(left.split())


def test_a_server_that_was_asked_for_stays_whatever_it_is() -> None:
    asked = chosen(ResolvConf(("192.0.2.1",)), ["127.0.0.1"], [], [])
    assert reachable(asked).servers == ("127.0.0.1",)
    assert upstreams(asked) == (Upstream("127.0.0.1", on_host=False),)


@pytest.mark.parametrize(
    ("options", "left"),
    [("", "ndots:0"), ("rotate", "rotate ndots:0"), ("ndots:2", "ndots:2"), ("ndots:x rotate", "rotate ndots:0")],
)
def test_the_embedded_resolver_wants_names_of_one_word_first(options: str, left: str) -> None:
    found = embedded(ResolvConf(("192.0.2.1",), ("example.org",), tuple(options.split())))
    assert found == ResolvConf(("127.0.0.11",), ("example.org",), tuple(left.split()))


def test_a_loopback_server_of_the_host_is_asked_from_there() -> None:
    servers = ("127.0.0.53", "192.0.2.1", "2001:db8::1")
    assert upstreams(ResolvConf(servers)) == (
        Upstream("127.0.0.53", on_host=True),
        Upstream("192.0.2.1", on_host=False),
        Upstream("2001:db8::1", on_host=True),
    )
    assert [each.on_host for each in upstreams(ResolvConf(servers), ipv6=True)] == [True, False, False]
    assert [each.address for each in upstreams(ResolvConf())] == list(resolv_conf.FALLBACK)
