"""Published ports as values, and in Docker's words."""

from __future__ import annotations

from dockmagic.oci.ports import PortBinding, Published, binding_map, column, exposed, port_map, wanted


def both(port: int, host_port: int, protocol: str = "tcp") -> list[Published]:
    """The port at every address of the host."""
    return [Published(port, protocol, address, host_port) for address in ("0.0.0.0", "::")]


def test_publish_all_takes_what_is_left() -> None:
    given = (PortBinding(80, host_port=8080, last_host_port=8080),)
    assert wanted(given, ("80/tcp", "443/tcp", "53/udp")) == given
    assert wanted(given, ("80/tcp", "443/tcp", "53/udp"), publish_all=True) == (
        *given,
        PortBinding(53, "udp"),
        PortBinding(443),
    )


def test_what_is_published_is_exposed() -> None:
    assert exposed(("443/tcp", "80/tcp"), ("9/udp",), (PortBinding(80), PortBinding(1000))) == (
        "9/udp",
        "80/tcp",
        "443/tcp",
        "1000/tcp",
    )


def test_the_column_of_ps() -> None:
    assert column((), ()) == ""
    assert column(("80/tcp",), both(80, 8080)) == "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    assert column(("80/tcp", "81/tcp", "90/udp"), ()) == "80-81/tcp, 90/udp"
    assert column(("80/tcp", "443/tcp"), both(80, 8080)) == "443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"


def test_neighbours_are_shown_as_a_range() -> None:
    ports = [*both(80, 80), *both(81, 81), *both(90, 90)]
    assert column((), ports) == ("0.0.0.0:80-81->80-81/tcp, 0.0.0.0:90->90/tcp, [::]:80-81->80-81/tcp, [::]:90->90/tcp")


def test_inspects_maps() -> None:
    assert port_map(("443/tcp", "80/tcp"), both(80, 8080)) == {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "443/tcp": None,
    }
    bindings = (PortBinding(80), PortBinding(80, "tcp", "::1", 8000, 8010), PortBinding(53, "udp", "", 53, 53))
    assert binding_map(bindings) == {
        "80/tcp": [{"HostIp": "", "HostPort": ""}, {"HostIp": "::1", "HostPort": "8000-8010"}],
        "53/udp": [{"HostIp": "", "HostPort": "53"}],
    }
