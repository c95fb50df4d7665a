"""Opening ports, and saying who holds one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dockmagic.errors import Conflict, InvalidOption
from dockmagic.oci.ports import PortBinding
from dockmagic.runtime import protocol
from dockmagic.runtime.ports.opening import opened, published


def test_nothing_is_opened_for_no_ports(tmp_path: Path) -> None:
    with opened(str(tmp_path), ()) as channel:
        assert channel == ()
    assert published(str(tmp_path)) == ()


def test_sockets_go_through_the_channel(tmp_path: Path) -> None:
    with opened(str(tmp_path), (PortBinding(80), PortBinding(53, "udp", "127.0.0.1"))) as (channel,):
        with socket.socket(fileno=os.dup(channel)) as end:
            message, descriptors = protocol.receive(end)
            assert protocol.receive(end)[0] is None
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    found = published(str(tmp_path))
    assert message == {"ports": [each.port for each in found]}
    assert [each.getsockname()[:2] for each in sockets] == [(each.host_ip, each.host_port) for each in found]
    assert {each.host_ip for each in found if each.port == 80} == {"0.0.0.0", "::"}
    for each in sockets:
        each.close()


def test_a_port_that_is_taken_is_free_at_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        binding = PortBinding(80, "tcp", "127.0.0.1", port, port)
        with pytest.raises(Conflict, match=rf"process {os.getpid()} \(.+\) has it"), opened(str(tmp_path), (binding,)):
            pass
    with opened(str(tmp_path), (binding,)), pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", port))
    socket.create_server(("127.0.0.1", port)).close()


def test_a_range_gives_the_first_that_is_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with opened(str(tmp_path), (PortBinding(80, "tcp", "127.0.0.1", port, port + 20),)):
            assert port < published(str(tmp_path))[0].host_port <= port + 20


def test_more_ports_than_a_message_takes(tmp_path: Path) -> None:
    bindings = tuple(PortBinding(port, "udp", "127.0.0.1") for port in range(1, 451))
    with opened(str(tmp_path), bindings):
        assert len(published(str(tmp_path))) == 450


def test_twice_the_same(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    bindings = tuple(PortBinding(each, "tcp", "127.0.0.1", port, port) for each in (80, 81))
    with pytest.raises(InvalidOption, match="asked for twice"), opened(str(tmp_path), bindings):
        pass
