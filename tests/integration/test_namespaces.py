"""Whose namespaces a container lives in: its own, the host's, another container's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import Conflict, NotFound
from dockmagic.oci.options import RunOptions
from tests.integration.containers import execute, run, shell

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
OURS = {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in KINDS}
LOOK = f"for kind in {' '.join(KINDS)}; do readlink /proc/self/ns/$kind; done"


@pytest.fixture
def other(engine: Engine) -> Iterator[Container]:
    """A container whose namespaces are joined."""
    options = RunOptions(command=("sleep", "61"), name="other", hostname="elsewhere", remove=True)
    container = engine.containers.run_detached("busybox", options)
    yield container
    if container.running:
        container.rm(force=True)


def shared_with_the_host(text: str) -> set[str]:
    """The kinds of namespaces that are the host's, of those that LOOK has printed."""
    return {kind for kind, name in zip(KINDS, text.split(), strict=True) if OURS[kind] == name}


def test_all_are_its_own_by_default(engine: Engine) -> None:
    assert shared_with_the_host(shell(engine, LOOK)) == set()


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"pid": "host"}, "pid"), ({"ipc": "host"}, "ipc"), ({"uts": "host"}, "uts"), ({"cgroupns": "host"}, "cgroup")],
)
def test_one_is_the_hosts(engine: Engine, options: dict[str, str], kind: str) -> None:
    assert shared_with_the_host(shell(engine, LOOK, **options)) == {kind}


def test_a_command_is_where_the_container_is(engine: Engine, other: Container) -> None:
    options = RunOptions(
        command=("sleep", "60"), pid="host", uts="host", network=f"container:{other.name}", remove=True
    )
    container = engine.containers.run_detached("busybox", options)
    try:
        inside = execute(container, "sh", "-c", LOOK).stdout
        assert shared_with_the_host(inside) == {"pid", "uts"}
        assert inside.split()[KINDS.index("net")] == str(Path(f"/proc/{other.state().pid}/ns/net").readlink())
    finally:
        container.rm(force=True)


def test_the_hosts_names_and_processes(engine: Engine) -> None:
    assert shell(engine, "hostname", uts="host").strip() == os.uname().nodename
    assert shell(engine, f"test -d /proc/{os.getpid()} && echo there", pid="host") == "there\n"


def test_processes_that_outlive_the_first_one_go_with_it(engine: Engine) -> None:
    seen = shell(engine, "sleep 4321 >/dev/null 2>&1 & echo $!", pid="host")
    deadline = time.monotonic() + 5
    while Path(f"/proc/{int(seen)}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{int(seen)}").exists()


def test_shared_memory_of_the_host(engine: Engine) -> None:
    mark = Path("/dev/shm") / f"test-{os.getpid()}"
    mark.write_text("of the host")
    try:
        assert shell(engine, f"cat {mark}", ipc="host") == "of the host"
    finally:
        mark.unlink()
    assert run(engine, "ls", "-d", "/dev/shm", ipc="none").status != 0


def test_processes_of_another_container(engine: Engine, other: Container) -> None:
    assert "sleep 61" in shell(engine, "ps", pid="container:other")
    assert shell(engine, "kill -TERM 1; kill -KILL 1; echo done", pid=f"container:{other.id}") == "done\n"


def test_network_of_another_container_comes_with_its_name(engine: Engine, other: Container) -> None:
    options = RunOptions(command=("sh", "-c", "echo hello | nc -l -p 7777"), network=f"container:{other.id[:12]}")
    server = engine.containers.run_detached("busybox", options)
    try:
        script = "hostname; until nc 127.0.0.1 7777 </dev/null; do sleep 0.05; done"
        assert shell(engine, script, network="container:other") == "elsewhere\nhello\n"
        assert server.row.options.network == f"container:{other.id}"
    finally:
        server.rm(force=True)


def test_a_container_that_doesn_t_run_can_t_be_joined(engine: Engine, other: Container) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("true",), pid="container:other"))
    try:
        other.rm(force=True)
        with pytest.raises(Conflict, match="its pid namespace can't be joined"):
            container.start()
        with pytest.raises(NotFound, match="other"):
            run(engine, "true", pid="container:other")
    finally:
        container.rm()


def test_shared_memory_of_another_container(engine: Engine) -> None:
    donor = RunOptions(command=("sleep", "62"), name="donor", ipc="shareable", shm_size_bytes=1 << 20, remove=True)
    container = engine.containers.run_detached("busybox", donor)
    try:
        execute(container, "sh", "-c", "echo shared > /dev/shm/mark; ipcmk -S 1 >/dev/null 2>&1")
        shown = shell(
            engine, "cat /dev/shm/mark; echo back > /dev/shm/back; df -k /dev/shm | tail -1", ipc="container:donor"
        )
        assert shown.splitlines()[0] == "shared"
        assert shown.split()[2] == "1024"
        assert execute(container, "cat", "/dev/shm/back").stdout == "back\n"
        space = str(Path(f"/proc/{container.state().pid}/ns/ipc").readlink())
        assert shell(engine, "readlink /proc/self/ns/ipc", ipc="container:donor").strip() == space
    finally:
        container.rm(force=True)


def test_shared_memory_that_isn_t_for_others(engine: Engine, other: Container) -> None:
    with pytest.raises(Conflict, match=r"non-shareable IPC \(use"):
        run(engine, "true", ipc=f"container:{other.name}")
    with pytest.raises(NotFound):
        run(engine, "true", ipc="container:nobody")
