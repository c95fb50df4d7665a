"""The flags -p, -P and --expose."""

from __future__ import annotations

import pytest

from dockmagic.commands.catalogue import by_name
from dockmagic.commands.run_flags import run_options
from dockmagic.commands.run_ports import expose, publish
from dockmagic.errors import InvalidOption
from dockmagic.oci.options import RunOptions
from dockmagic.oci.ports import PortBinding


def options(*words: str) -> RunOptions:
    """What run's flags mean."""
    return run_options(by_name()["create"].parser("create").parse_words([*words, "busybox"]))


@pytest.mark.parametrize(
    ("text", "binding"),
    [
        ("80", PortBinding(80)),
        ("8080:80", PortBinding(80, "tcp", "", 8080, 8080)),
        ("8080:80/tcp", PortBinding(80, "tcp", "", 8080, 8080)),
        ("53:53/UDP", PortBinding(53, "udp", "", 53, 53)),
        ("127.0.0.1:8080:80", PortBinding(80, "tcp", "127.0.0.1", 8080, 8080)),
        ("127.0.0.1::80", PortBinding(80, "tcp", "127.0.0.1")),
        (":80", PortBinding(80)),
        ("0:80", PortBinding(80)),
        ("[::1]:8080:80", PortBinding(80, "tcp", "::1", 8080, 8080)),
        ("::1:8080:80", PortBinding(80, "tcp", "::1", 8080, 8080)),
        ("[::1]::80", PortBinding(80, "tcp", "::1")),
        ("8000-8010:80", PortBinding(80, "tcp", "", 8000, 8010)),
        ("127.0.0.1:8000-8010:80/udp", PortBinding(80, "udp", "127.0.0.1", 8000, 8010)),
        ("published=8080,target=80", PortBinding(80, "tcp", "", 8080, 8080)),
        ("target=80,protocol=udp,published=8080,mode=host", PortBinding(80, "udp", "", 8080, 8080)),
        ("target=80", PortBinding(80)),
    ],
)
def test_one_port(text: str, binding: PortBinding) -> None:
    assert publish(text) == (binding,)


def test_ranges_go_in_pairs() -> None:
    assert publish("8000-8002:80-82/udp") == tuple(
        PortBinding(80 + each, "udp", "", 8000 + each, 8000 + each) for each in range(3)
    )
    assert publish("127.0.0.1::80-81") == (PortBinding(80, "tcp", "127.0.0.1"), PortBinding(81, "tcp", "127.0.0.1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8080:", "no port specified: 8080:<empty>"),
        ("", "no port specified: <empty>"),
        ("a:80", "invalid hostPort: a"),
        ("80:a", "invalid containerPort: a"),
        ("80:0", "invalid containerPort: 0"),
        ("80:65536", "a port is a number from 1 to 65535"),
        ("80:82-81", "invalid containerPort: 82-81"),
        ("8000-8002:80-81", "invalid ranges specified for container and host Ports: 80-81 and 8000-8002"),
        ("256.0.0.1:80:80", "invalid IP address: 256.0.0.1"),
        ("localhost:80:80", "invalid IP address: localhost"),
        ("80/http", "invalid proto: http"),
        ("80/sctp", "only tcp and udp are forwarded"),
        ("target=80,publish", "invalid publish opts format (should be name=value but got 'publish')"),
        ("target=80,port=8080", "'port' isn't a field"),
        ("target=80,mode=ingress", "mode=ingress belongs to swarms"),
        ("published=80", "no port specified"),
    ],
)
def test_what_names_no_port(text: str, message: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        publish(text)
    assert message in str(caught.value)


def test_expose() -> None:
    assert expose("80") == ("80/tcp",)
    assert expose("80-81/udp") == ("80/udp", "81/udp")
    assert expose("80/sctp") == ("80/sctp",)
    for text in ("80:80", "81-80", "x", "80/http"):
        with pytest.raises(InvalidOption):
            expose(text)


def test_the_options() -> None:
    found = options("-p", "8080:80", "--publish", "53-54/udp", "-P", "--expose", "90-91", "--expose", "90")
    assert [binding.name for binding in found.publish] == ["80/tcp", "53/udp", "54/udp"]
    assert found.publish_all
    assert found.expose == ("90/tcp", "91/tcp")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-p", "80:80"), "port publishing and the container type network mode"),
        (("-P",), "port publishing and the container type network mode"),
        (("--expose", "80"), "port exposing and the container type network mode"),
    ],
)
def test_another_containers_network_has_its_own_ports(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        options("--network", "container:web", *flags)
