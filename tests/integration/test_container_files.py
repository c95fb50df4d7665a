"""diff, export, commit and import with real containers: what goes round comes back, and nothing is left on the way."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import ContainerError, InvalidOption, NotFound, StoreError
from dockmagic.image import layer
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group
from tests.integration.containers import execute, run, shell, until
from tests.integration.trees import CAPABILITY

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

CHANGES = "echo new > /new; mkdir /d; echo in > /d/in; rm /bin/vi; echo more >> /etc/passwd; chmod 711 /root"
RICH = """
mkdir -p /r/sub && cd /r && echo text > file && ln file hard && ln -s file link && mkfifo -m 622 fifo
mknod -m 660 disk b 259 5 && chmod 4755 file && chown 1:2 sub
touch -d '2001-02-03 04:05:06' file
"""


def sleeper(engine: Engine, script: str = "", **options: object) -> Container:
    """A running container that has carried out the script, and waits."""
    command = ("sh", "-c", f"{script}\ntouch /dev/shm/ready; sleep 600")
    container = engine.containers.run_detached("busybox", RunOptions(command=command, **options))  # type: ignore[arg-type]
    until(lambda: execute(container, "test", "-e", "/dev/shm/ready").status == 0)
    return container


@pytest.fixture
def changed(engine: Engine) -> Iterator[Container]:
    """A running container that has changed some files."""
    container = sleeper(engine, CHANGES)
    yield container
    container.rm(force=True)


def lines(container: Container) -> list[str]:
    return [f"{change.kind} {change.path}" for change in container.diff()]


def exported(container: Container) -> dict[str, tarfile.TarInfo]:
    """The entries of an export, by name."""
    out = io.BytesIO()
    container.export(out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        return {member.name: member for member in tar}


EXPECTED = ["C /bin", "D /bin/vi", "A /d", "A /d/in", "C /etc/passwd", "A /new", "C /root"]


def test_diff_is_the_same_while_it_runs_and_afterwards(changed: Container) -> None:
    assert lines(changed) == EXPECTED
    changed.stop(0)
    assert lines(changed) == EXPECTED
    changed.start()
    assert lines(changed)[:2] == EXPECTED[:2]


def test_a_container_that_did_nothing_has_no_diff(engine: Engine) -> None:
    container = sleeper(engine, mounts=(Mount("/a/b/c", "bind", "/usr", ("rbind", "ro")),))
    assert lines(container) == []
    assert "a" not in exported(container)
    container.rm(force=True)


@pytest.mark.parametrize("running", [True, False])
def test_commit_and_run(running: bool, engine: Engine, changed: Container) -> None:
    if not running:
        changed.stop(0)
    before = engine.images.get("busybox")
    image = changed.commit("app:1", author="me", message="why", changes=['CMD ["cat", "/d/in"]', "ENV A=1"])
    assert engine.images.get("app:1").id == image.id
    assert shell(engine, "cat /new /d/in; ls /bin/vi 2>/dev/null; stat -c %a /root; echo $A", image="app:1") == (
        "new\nin\n711\n1\n"
    )  # fmt: skip
    assert run(engine, image="app:1").stdout == "in\n"
    assert image.config.diff_ids[:-1] == before.config.diff_ids
    entry = image.config.history[-1]
    assert (image.config.author, entry.author, entry.comment, entry.empty_layer) == ("me", "me", "why", False)
    assert entry.created_by.startswith("sh -c ")
    assert changed.running is running
    names = {change.path for change in engine.past.diff("busybox", "app:1").changes}
    assert names == {"/bin/vi", "/d", "/d/in", "/etc/passwd", "/new", "/root"}


def test_commit_of_nothing_adds_no_layer(engine: Engine) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("true",)))
    image = container.commit()
    assert image.config.diff_ids == engine.images.get("busybox").config.diff_ids
    assert image.config.history[-1].empty_layer
    assert image.references == ()
    container.rm()


def test_commit_keeps_all_of_a_file(engine: Engine) -> None:
    container = sleeper(engine, RICH)
    container.stop(0)
    upper = Path(container.inspect()["GraphDriver"]["Data"]["UpperDir"])
    os.setxattr(upper / "r/file", "security.capability", CAPABILITY)
    os.setxattr(upper / "r/sub", "user.note", b"\0x")
    image = container.commit("rich")
    made = engine.snapshots.path(image.chain_ids[-1]) / "r"
    status = (made / "file").stat()
    assert (status.st_mode & 0o7777, status.st_nlink, status.st_mtime) == (0o4755, 2, 981173106)
    assert os.getxattr(made / "file", "security.capability") == CAPABILITY
    assert os.getxattr(made / "sub", "user.note") == b"\0x"
    assert ((made / "sub").stat().st_uid, (made / "sub").stat().st_gid) == (1, 2)
    assert (made / "disk").stat().st_rdev == os.makedev(259, 5)
    assert (made / "link").readlink() == Path("file")
    container.rm()


def frozen(container: Container) -> bool:
    return Group(hierarchy.detect(), container.state().cgroup).is_frozen()


def test_a_commit_holds_one_moment(engine: Engine) -> None:
    """A process writes the same number to one file after another, so that files of one moment differ by one at most."""
    script = "i=0; while :; do i=$((i+1)); echo $i > /a; echo $i > /z; done"
    container = engine.containers.run_detached("busybox", RunOptions(command=("sh", "-c", script)))
    until(lambda: execute(container, "test", "-e", "/z").status == 0)
    for _ in range(5):
        image = container.commit("busy")
        first, last = (
            (engine.snapshots.path(image.chain_ids[-1]) / name).read_text().strip() or None for name in ("a", "z")
        )
        assert first is None or last is None or int(first) - int(last) in (0, 1)
        assert not frozen(container)
    container.rm(force=True)


def test_processes_stand_still_while_files_are_read(changed: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    real = layer.pack

    def pack(*args: object, **options: object) -> None:
        seen.append(frozen(changed))
        real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(layer, "pack", pack)
    changed.commit()
    changed.commit(pause=False)
    assert seen == [True, False]
    assert not frozen(changed)


@pytest.mark.parametrize("error", [KeyboardInterrupt, StoreError("the disk is full"), OSError(5, "broken")])
def test_a_failed_commit_leaves_nothing(
    error: type[BaseException] | BaseException, engine: Engine, changed: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pack(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(layer, "pack", pack)
    images = engine.images.ls()
    with pytest.raises(error if isinstance(error, type) else type(error)):
        changed.commit("app:1")
    assert not frozen(changed)
    assert execute(changed, "cat", "/new").stdout == "new\n"
    assert engine.images.ls() == images
    assert list((engine.root / "tmp").iterdir()) == []
    assert not (engine.root / "containers" / changed.id / "frozen").exists()


def test_a_freeze_that_fails_is_undone(changed: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Group, "is_frozen", lambda group: False)
        with pytest.raises(ContainerError, match=r"cannot pause the container's processes.*--pause=false"):
            changed.commit()
    assert not frozen(changed)


KILLED = """
import os, signal, sys
from pathlib import Path
from dockmagic.engine import Engine
from dockmagic.files import commit
commit.layer.pack = lambda *args, **options: os.kill(os.getpid(), signal.SIGKILL)
Engine(Path(sys.argv[1])).containers.get(sys.argv[2]).commit()
"""


def test_the_next_engine_lets_go_what_a_killed_one_froze(engine: Engine, changed: Container) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, engine.root, changed.id], timeout=60, check=False)
    assert done.returncode == -9
    assert frozen(changed)
    Engine(engine.root).close()
    assert not frozen(changed)
    assert not (engine.root / "containers" / changed.id / "frozen").exists()


def test_bad_commits_are_refused_before_anything_stops(changed: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Group, "freeze", lambda group: pytest.fail("it was stopped"))
    with pytest.raises(InvalidOption, match="RUN changes no config"):
        changed.commit(changes=["RUN x"])
    with pytest.raises(Exception, match=r"(?i)reference"):
        changed.commit("UPPER:x")


def test_export_import_run(engine: Engine, changed: Container) -> None:
    out = io.BytesIO()
    changed.export(out)
    image = engine.images.import_(io.BytesIO(gzip.compress(out.getvalue())), "back:1", changes=["CMD cat /d/in"])
    assert run(engine, image="back:1").stdout == "in\n"
    again = engine.containers.create("back:1", RunOptions())
    second = io.BytesIO()
    again.export(second)
    assert second.getvalue() == out.getvalue()
    assert image.config.history[-1].comment == "Imported from -"
    again.rm()


def test_export_leaves_mounts_out(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/secret").touch()
    binds = (Mount("/shared", "bind", str(tmp_path / "shared"), ("rbind",)),)
    container = sleeper(engine, "echo x > /own", mounts=binds)
    names = exported(container)
    assert "own" in names
    assert not [name for name in names if name.startswith(("shared", "proc/", "sys/", "dev/"))]
    container.rm(force=True)


def test_a_full_disk_while_exporting(changed: Container) -> None:
    with Path("/dev/full").open("wb") as full, pytest.raises(StoreError, match="No space left on device"):
        changed.export(full)


def test_removed_meanwhile(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read of a container that goes away, what comes is that it was removed."""
    acts: tuple[Callable[[Container], object], ...] = (
        lambda container: container.export(io.BytesIO()),
        lambda container: container.commit(pause=False),
        lambda container: container.copy_from("/bin", io.BytesIO()),
    )
    for act in acts:
        container = sleeper(engine, CHANGES)
        remover = threading.Thread(target=container.rm, kwargs={"force": True})
        real = os.read

        def slow(
            fd: int,
            count: int,
            real: object = real,
            remover: threading.Thread = remover,
            container: Container = container,
        ) -> bytes:
            if not remover.ident and threading.current_thread() is threading.main_thread():
                remover.start()
                remover.join()
                assert not (engine.root / "containers" / container.id).exists()
            return real(fd, count)  # type: ignore[operator, no-any-return]

        with monkeypatch.context() as patch:
            patch.setattr(os, "read", slow)
            with pytest.raises((NotFound, ContainerError), match=r"removed|ended meanwhile"):
                act(container)
    assert list((engine.root / "tmp").iterdir()) == []


def test_through_the_command_line(engine: Engine, changed: Container, tmp_path: Path) -> None:
    """Pipes between commands, as in a terminal."""
    environment = {**os.environ, "DOCKMAGIC_ROOT": str(engine.root)}
    command = f"{sys.executable} -m dockmagic"
    script = f"""
    set -e
    {command} export {changed.name} | {command} import -c 'CMD cat /new' - piped:1
    {command} cp {changed.name}:/d - | {command} cp - {changed.name}:/root
    {command} cp {changed.name}:/root/d/in {tmp_path}/in
    {command} diff {changed.name} | tail -n 3
    {command} run --rm piped:1
    """
    done = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stderr == ""
    image_id, *rest = done.stdout.splitlines()
    assert image_id == engine.images.get("piped:1").id
    assert rest == ["C /root", "A /root/d", "A /root/d/in", "new"]
    assert (tmp_path / "in").read_text() == "in\n"


@pytest.mark.needs("umoci", "skopeo")
def test_others_read_an_imported_image(engine: Engine, tmp_path: Path) -> None:
    """A root file system as a bootstrapping tool packs it: ./ before every name, devices, xz."""
    tree = tmp_path / "root"
    for name in ("bin", "dev", "etc", "proc", "usr/lib"):
        (tree / name).mkdir(parents=True)
    (tree / "etc/os-release").write_text("ID=own\n")
    (tree / "lib").symlink_to("usr/lib")
    os.mknod(tree / "dev/null", 0o020666, os.makedev(1, 3))
    subprocess.run(["tar", "-cJf", tmp_path / "root.tar.xz", "-C", tree, "."], check=True, timeout=60)
    image = engine.images.import_(tmp_path / "root.tar.xz", "localhost/own:1", changes=["CMD sh"], message="by hand")
    with (tmp_path / "own.tar").open("wb") as out:
        engine.images.save(["localhost/own:1"], out)
    subprocess.run(["tar", "-xf", "own.tar", "--one-top-level=layout"], cwd=tmp_path, check=True, timeout=60)
    inspected = json.loads(
        subprocess.run(
            ["skopeo", "inspect", "--config", "oci:layout:1"], cwd=tmp_path, check=True, capture_output=True, timeout=60
        ).stdout
    )
    assert inspected["config"]["Cmd"] == ["/bin/sh", "-c", "sh"]
    assert inspected["history"][0]["comment"] == "by hand"
    assert inspected["rootfs"]["diff_ids"] == list(image.config.diff_ids)
    subprocess.run(["umoci", "unpack", "--image", "layout:1", "bundle"], cwd=tmp_path, check=True, timeout=60)
    unpacked = tmp_path / "bundle/rootfs"
    assert (unpacked / "etc/os-release").read_text() == "ID=own\n"
    assert (unpacked / "lib").readlink() == Path("usr/lib")
    assert (unpacked / "dev/null").stat().st_rdev == os.makedev(1, 3)


def test_an_import_that_is_interrupted_leaves_nothing(engine: Engine) -> None:
    class Interrupted(io.BytesIO):
        """A stream that the user loses patience with."""

        def read(self, size: int | None = -1, /) -> bytes:
            """Interrupt after the first part."""
            if self.tell() > 1 << 20:
                raise KeyboardInterrupt
            return super().read(size)

    out = io.BytesIO()
    container = engine.containers.create("busybox", RunOptions())
    container.export(out)
    container.rm()
    blobs = set((engine.root / "blobs/sha256").iterdir())
    with pytest.raises(KeyboardInterrupt):
        engine.images.import_(Interrupted(out.getvalue()), "app:1")
    assert set((engine.root / "blobs/sha256").iterdir()) == blobs
    assert list((engine.root / "tmp").iterdir()) == []


def test_a_start_waits_until_files_were_read(engine: Engine) -> None:
    """Nobody mounts the layers of a container a second time while its files are copied."""
    container = engine.containers.create("busybox", RunOptions(command=("sleep", "600")))
    starter = threading.Thread(target=container.start)

    class Slow(io.BytesIO):
        """A stream that takes its time."""

        def write(self, data: object, /) -> int:
            """Start the container meanwhile."""
            if not starter.ident:
                starter.start()
                time.sleep(0.3)
                assert not container.running
            return super().write(data)  # type: ignore[arg-type]

    container.copy_from("/bin", Slow())
    starter.join()
    assert container.running
    container.rm(force=True)
