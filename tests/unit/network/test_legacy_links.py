from __future__ import annotations

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.network import legacy_links as links
from dockmagic.network.legacy_links import Linked

DATABASE = Linked(
    "db", "0123456789ab", "172.17.0.3", ("PATH=/bin", "HOME=/", "USER=me", "PGDATA=/data"), ((5432, "tcp"),)
)


def test_a_link_tells_of_port_name_and_environment() -> None:
    assert links.variables(DATABASE, "my-db", "web") == [
        "MY_DB_PORT=tcp://172.17.0.3:5432",
        "MY_DB_PORT_5432_TCP=tcp://172.17.0.3:5432",
        "MY_DB_PORT_5432_TCP_ADDR=172.17.0.3",
        "MY_DB_PORT_5432_TCP_PORT=5432",
        "MY_DB_PORT_5432_TCP_PROTO=tcp",
        "MY_DB_NAME=/web/my-db",
        "MY_DB_ENV_USER=me",
        "MY_DB_ENV_PGDATA=/data",
    ]


def test_ports_in_a_row_are_told_as_one_too() -> None:
    ports = ((81, "tcp"), (53, "udp"), (80, "tcp"), (90, "tcp"), (82, "tcp"))
    found = links.variables(Linked("s", "h", "10.0.0.1", (), ports), "s", "p")
    assert found[0] == "S_PORT=tcp://10.0.0.1:80"
    assert [variable for variable in found if "START" in variable or "END" in variable] == [
        "S_PORT_80_TCP_START=tcp://10.0.0.1:80",
        "S_PORT_80_TCP_PORT_START=80",
        "S_PORT_80_TCP_END=tcp://10.0.0.1:82",
        "S_PORT_80_TCP_PORT_END=82",
    ]
    assert "S_PORT_53_UDP_PROTO=udp" in found


def test_without_ports_there_is_the_name_only() -> None:
    assert links.variables(Linked("s", "h", "10.0.0.1"), "s", "p") == ["S_NAME=/p/s"]


def test_the_hosts_entry_has_every_name_once() -> None:
    assert links.entry(DATABASE, "other") == ("other 0123456789ab db", "172.17.0.3")
    assert links.entry(DATABASE, "db") == ("db 0123456789ab", "172.17.0.3")


@pytest.mark.parametrize("text", ["", ":", "a:", ":a", "a:b:c"])
def test_what_is_no_link(text: str) -> None:
    with pytest.raises(InvalidOption, match="bad format for links"):
        links.parse(text)
