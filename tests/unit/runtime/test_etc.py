from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.oci.options import RunOptions
from dockmagic.runtime import etc, hosts
from dockmagic.runtime.networking import NOWHERE, Networking

HOST = etc.Host("192.0.2.7 known\n", "nameserver 192.0.2.1\nsearch example.org\noptions rotate\n")
LOOPBACK = etc.Host("", "nameserver 127.0.0.1\n")
BRIDGE = Networking((), ("172.17.0.2",), ("172.17.0.1",))


def files(options: RunOptions, around: Networking = NOWHERE, host: etc.Host = HOST) -> dict[str, str]:
    return dict(etc.texts(options, "box", around, host))


def test_a_container_with_a_loopback_knows_itself_only() -> None:
    found = files(RunOptions(network="none"))
    assert found["hostname"] == "box\n"
    assert found["hosts"] == hosts.LOCALHOST
    assert found["resolv.conf"] == "nameserver 192.0.2.1\nsearch example.org\noptions rotate\n"


def test_its_own_name_has_its_addresses() -> None:
    around = Networking(addresses=("172.17.0.2", "fd00::2"), linked=(("db 123 database", "172.17.0.3"),))
    found = files(RunOptions(domainname="example.org", extra_hosts=(("a", "10.0.0.1"),)), around)
    lines = found["hosts"].removeprefix(hosts.LOCALHOST).splitlines()
    assert lines == [
        "10.0.0.1\ta",
        "172.17.0.3\tdb 123 database",
        "172.17.0.2\tbox.example.org box",
        "fd00::2\tbox.example.org box",
    ]


def test_the_hosts_network_has_the_hosts_names() -> None:
    found = files(RunOptions(network="host", extra_hosts=(("here", "host-gateway"),)), host=HOST)
    assert found["hosts"] == "192.0.2.7 known\n127.0.0.1\there\n"
    assert files(RunOptions(network="host"), host=LOOPBACK)["resolv.conf"] == "nameserver 127.0.0.1\n"
    changed = files(RunOptions(network="host", dns_search=("a.example",)), host=LOOPBACK)["resolv.conf"]
    assert changed == "nameserver 127.0.0.1\nsearch a.example\n"


def test_the_host_is_where_the_gateway_is() -> None:
    options = RunOptions(extra_hosts=(("host.docker.internal", "host-gateway"),))
    assert "172.17.0.1\thost.docker.internal\n" in files(options, BRIDGE)["hosts"]
    with pytest.raises(InvalidOption, match=r"--add-host host\.docker\.internal:host-gateway: no gateway"):
        files(options)


def test_a_loopback_server_of_the_host_is_replaced() -> None:
    assert files(RunOptions(), BRIDGE, LOOPBACK)["resolv.conf"] == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_the_resolver_is_asked_on_networks_of_the_user() -> None:
    around = Networking((), ("172.18.0.2",), ("172.18.0.1",), embedded=True)
    assert files(RunOptions(), around)["resolv.conf"] == (
        "nameserver 127.0.0.11\nsearch example.org\noptions rotate ndots:0\n"
    )


def test_the_file_behind_the_stub_counts(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    (tmp_path / "behind").write_text("nameserver 192.0.2.9\n")
    assert etc.host(str(tmp_path), str(tmp_path / "behind")) == etc.Host("", "nameserver 192.0.2.9\n")
    assert etc.host(str(tmp_path), str(tmp_path / "none")).resolv_conf == "nameserver 127.0.0.53\n"


def test_a_running_container_is_told_of_its_networks(tmp_path: Path) -> None:
    options, more = RunOptions(), Networking((), ("172.17.0.2", "172.18.0.2"), ("172.17.0.1",), embedded=True)
    directory = tmp_path / "box"
    with etc.written(str(directory), etc.texts(options, "box", BRIDGE, etc.host())):
        pass
    inode = (directory / "hosts").stat().st_ino
    with (directory / "hosts").open("a") as file:
        file.write("192.0.2.1 mine\n")
    etc.update(str(directory), options, "box", BRIDGE, more)
    lines = (directory / "hosts").read_text().removeprefix(hosts.LOCALHOST).splitlines()
    assert lines == ["172.17.0.2\tbox", "192.0.2.1 mine", "172.18.0.2\tbox"]
    assert (directory / "resolv.conf").read_text().startswith("nameserver 127.0.0.11\n")
    (directory / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    etc.update(str(directory), options, "box", more, BRIDGE)
    lines = (directory / "hosts").read_text().removeprefix(hosts.LOCALHOST).splitlines()
    assert lines == ["172.17.0.2\tbox", "192.0.2.1 mine"]
    assert (directory / "resolv.conf").read_text() == "nameserver 192.0.2.53\n"
    assert (directory / "hosts").stat().st_ino == inode
    etc.update(str(tmp_path / "none"), options, "box", BRIDGE, more)
    assert not (tmp_path / "none").exists()


def fail(directory: Path) -> None:
    with etc.written(str(directory), {"hosts": ""}):
        raise ValueError


def test_they_are_readable_and_a_failed_start_takes_them_away_again(tmp_path: Path) -> None:
    with etc.written(str(tmp_path / "box"), {"hosts": "x\n"}):
        assert (tmp_path / "box" / "hosts").read_text() == "x\n"
        assert (tmp_path / "box" / "hosts").stat().st_mode & 0o777 == 0o644
    with pytest.raises(ValueError, match=r"^$"):
        fail(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert sorted(etc.sources("/d")) == ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]
