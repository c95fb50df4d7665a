"""cp with real containers: mounts, owners, states, interrupts, and containers that try to lead it out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dockmagic.builder.data import copy_data
from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import DockmagicError, InvalidOption, InvalidState, NotFound, StoreError
from dockmagic.files import copying
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount
from tests.integration.containers import execute, until
from tests.integration.trees import describe, make_rich_tree

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, other = (os.fsencode(path) for path in sys.argv[1:])
print("swapping", flush=True)
while True:
    libc.renameat2(-100, one, -100, other, 2)  # RENAME_EXCHANGE
"""


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory of the host that containers are given."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/there").write_text("there")
    return tmp_path / "shared"


@pytest.fixture
def container(engine: Engine, shared: Path) -> Iterator[Container]:
    """A container that isn't started yet, with mounts of all kinds."""
    options = RunOptions(
        command=("sleep", "600"),
        mounts=(
            Mount("/shared", "bind", str(shared), ("rbind", "rprivate")),
            Mount("/deep/readonly", "bind", str(shared), ("rbind", "rprivate", "ro")),
            Mount("/one", "bind", str(shared / "there"), ("rbind", "rprivate")),
        ),
        tmpfs=(Mount("/scratch", "tmpfs", "tmpfs", ("rw",)),),
    )
    container = engine.containers.create("busybox", options)
    yield container
    with suppress(NotFound):
        container.rm(force=True)


@pytest.fixture(params=["stopped", "running"])
def either(request: pytest.FixtureRequest, container: Container) -> Container:
    """The container in both states."""
    if request.param == "running":
        container.start()
    return container


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of the host, of somebody else's."""
    path = tmp_path / "file"
    path.write_text("of the host")
    os.chown(path, 1234, 5678)
    return path


def text(container: Container, path: str) -> str:
    """A file of the container."""
    out = io.BytesIO()
    container.copy_from(path, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        (member,) = tar.getmembers()
        content = tar.extractfile(member)
        assert content is not None
        return content.read().decode()


def test_all_of_a_file_goes_in_and_comes_out(either: Container, tmp_path: Path) -> None:
    tree = make_rich_tree(tmp_path / "tree")
    either.copy_to(tree, "/tree", archive=True)
    either.copy_from("/tree", tmp_path / "back", archive=True)
    assert describe(tmp_path / "back") == describe(tree)
    sparse = (tmp_path / "back/sparse").stat()
    assert sparse.st_blocks * 512 < sparse.st_size


def test_through_tar_streams(either: Container, tmp_path: Path) -> None:
    tree = make_rich_tree(tmp_path / "tree")
    either.copy_to(tree, "/tree", archive=True)
    out = io.BytesIO()
    either.copy_from("/tree/.", out)
    execute(either, "mkdir", "/again") if either.running else either.copy_to(f"{tmp_path}/empty", "/again")
    either.copy_to(io.BytesIO(out.getvalue()), "/again", archive=True)
    either.copy_from("/again", tmp_path / "back", archive=True)
    assert describe(tmp_path / "back") == describe(tree)


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path) -> None:
    """An empty directory to copy."""
    (tmp_path / "empty").mkdir()


def test_through_links_inside(either: Container, file: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to("/root")
    either.copy_to(tmp_path / "alias", "/")
    either.copy_to(file, "/alias/")
    either.copy_to(io.BytesIO(stream("alias/deep/streamed", b"streamed")), "/")
    assert text(either, "/root/file") == "of the host"
    assert text(either, "/alias/deep/streamed") == "streamed"
    either.copy_from("/alias", tmp_path / "out")
    assert (tmp_path / "out").readlink() == Path("/root")
    either.copy_from("/alias", tmp_path / "followed", follow=True)
    assert (tmp_path / "followed/deep/streamed").read_text() == "streamed"


def test_owners(either: Container, file: Path, tmp_path: Path) -> None:
    either.copy_to(file, "/file")
    either.copy_to(file, "/kept", archive=True)
    for name, archive, owner in (("file", True, (0, 0)), ("kept", True, (1234, 5678)), ("kept", False, (0, 0))):
        either.copy_from(f"/{name}", tmp_path / "out", archive=archive)
        assert ((tmp_path / "out").stat().st_uid, (tmp_path / "out").stat().st_gid) == owner


def test_bind_mounts(either: Container, shared: Path, file: Path) -> None:
    assert text(either, "/shared/there") == "there"
    assert text(either, "/deep/readonly/there") == "there"
    either.copy_to(file, "/shared/new")
    assert (shared / "new").read_text() == "of the host"
    with pytest.raises(StoreError, match=r"cannot copy to .*:/deep/readonly: Read-only file system"):
        either.copy_to(file, "/deep/readonly")
    with pytest.raises(InvalidOption, match=":/one can't be replaced: a file is mounted on it"):
        either.copy_to(file, "/one")
    assert (shared / "there").read_text() == "there"
    upper = Path(either.inspect()["GraphDriver"]["Data"]["UpperDir"])
    assert not (upper / "shared/new").exists()


def test_tmpfs_is_there_while_it_runs(container: Container, file: Path) -> None:
    container.start()
    container.copy_to(file, "/scratch")
    assert execute(container, "cat", "/scratch/file").stdout == "of the host"
    container.stop(0)
    with pytest.raises(NotFound, match="no such file"):
        container.copy_from("/scratch/file", io.BytesIO())


def test_what_was_copied_in_is_there_after_a_start(container: Container, file: Path) -> None:
    container.copy_to(file, "/root/")
    container.start()
    assert execute(container, "cat", "/root/file").stdout == "of the host"
    assert [f"{change.kind} {change.path}" for change in container.diff()] == ["C /root", "A /root/file"]


def test_a_read_only_root(engine: Engine, file: Path) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("sleep", "600"), read_only=True))
    for _ in range(2):
        with pytest.raises(StoreError, match="Read-only file system"):
            container.copy_to(file, "/")
        assert text(container, "/etc/passwd").startswith("root:")
        container.start()
    container.rm(force=True)


def test_nothing_of_a_mount_is_seen_outside(container: Container) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    seen: list[str] = []

    class Looking(io.BytesIO):
        """A stream that looks at the mounts."""

        def write(self, data: object, /) -> int:
            """Note them."""
            seen.append(Path("/proc/self/mountinfo").read_text())
            return super().write(data)  # type: ignore[arg-type]

    container.copy_from("/bin", Looking())
    assert seen
    assert set(seen) == {before}


def test_two_at_a_time(container: Container, tmp_path: Path) -> None:
    threads = [threading.Thread(target=container.copy_from, args=("/bin", tmp_path / f"out{i}")) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, *others = (describe(tmp_path / f"out{i}") for i in range(3))
    assert one
    assert others == [one, one]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_copy_that_breaks_off(
    error: type[BaseException] | OSError, either: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tree").mkdir()
    for name in "ab":
        (tmp_path / "tree" / name).write_text(name)
    real = copy_data

    def broken(source: int, target: int) -> None:
        real(source, target)
        if os.fstat(source).st_ino == (tmp_path / "tree/b").stat().st_ino:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy_data", broken)
        with pytest.raises(KeyboardInterrupt if isinstance(error, type) else StoreError):
            either.copy_to(tmp_path / "tree", "/")
    out = io.BytesIO()
    either.copy_from("/tree", out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        assert tar.getnames() == ["tree", "tree/a"]
    either.start()
    assert execute(either, "ls", "/tree").stdout == "a\n"


@pytest.mark.parametrize("removed", [False, True])
def test_stopped_or_removed_meanwhile(removed: bool, container: Container) -> None:
    container.start()

    class Ending(io.BytesIO):
        """A stream that ends the container with the first that it gets."""

        def write(self, data: object, /) -> int:
            """End it."""
            if container.running:
                container.rm(force=True) if removed else container.stop(0)
            return super().write(data)  # type: ignore[arg-type]

    with pytest.raises(NotFound if removed else InvalidState, match="removed" if removed else "it ended meanwhile"):
        container.copy_from("/bin", Ending())


def test_a_removed_container(container: Container, file: Path) -> None:
    container.rm()
    for act in (container.diff, container.commit, lambda: container.copy_to(file, "/")):
        with pytest.raises(NotFound, match="it has been removed"):
            act()


# escapes


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory of the host that no container may reach."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/marker").write_text("secret")
    return tmp_path / "secret"


LINKS: dict[str, Callable[[Path], str]] = {
    "absolute": str,
    "relative": lambda path: "../" * 30 + str(path).lstrip("/"),
    "through /proc": lambda path: f"/proc/1/root{path}",
    "through a link": lambda path: "/proc/self/root",
}


@pytest.mark.parametrize("name", LINKS)
def test_links_to_the_hosts_files(name: str, either: Container, secret: Path, file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(LINKS[name](secret))
    either.copy_to(tmp_path / "link", "/link")
    (tmp_path / "link").unlink()
    for path in ("/link/marker", "/link/", "/link/."):
        with suppress(DockmagicError):
            either.copy_from(path, tmp_path / "out", follow=True)
        with suppress(DockmagicError):
            either.copy_to(file, path)
    with suppress(DockmagicError):
        either.copy_to(io.BytesIO(stream("link/marker", b"broken in")), "/")
    assert [path.name for path in secret.iterdir()] == ["marker"]
    assert (secret / "marker").read_text() == "secret"
    assert not (tmp_path / "out").exists() or "secret" not in "".join(
        path.read_text() for path in tmp_path.glob("out/*") if path.is_file()
    )


def stream(name: str, content: bytes) -> bytes:
    """A tar archive with one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@contextmanager
def swapping(container: Container, one: str, other: str) -> Iterator[None]:
    """Somebody exchanges two names in a running container as fast as can be."""
    root = f"/proc/{container.state().pid}/root"
    with subprocess.Popen([sys.executable, "-c", SWAP, root + one, root + other], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def for_a_while(act: Callable[[], object], seconds: float = 0.6) -> int:
    """How often the act succeeded in this time, at least twenty tries."""
    end, tries, good = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end or tries < 20:
        tries += 1
        with suppress(DockmagicError):
            act()
            good += 1
    return good


def test_links_swapped_while_files_are_copied(container: Container, secret: Path, tmp_path: Path) -> None:
    """The race of CVE-2018-15664: a directory that is a link to the host's files half of the time."""
    container.start()
    script = f"mkdir -p /real/sub; echo inside > /real/marker; echo inside > /real/sub/marker; ln -s {secret} /trap"
    assert execute(container, "sh", "-c", f"{script}; ln -s {secret} /real/link").status == 0
    (tmp_path / "payload").mkdir()
    (tmp_path / "payload/marker").write_text("broken in")
    os.mkfifo(tmp_path / "payload/fifo", 0o666)
    seen: set[str] = set()

    def copy_out() -> None:
        out = io.BytesIO()
        container.copy_from("/real", out)
        with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
            for member in tar.getmembers():
                content = tar.extractfile(member) if member.isreg() else None
                seen.update([] if content is None else [content.read().decode()])

    with swapping(container, "/real", "/trap"):
        assert for_a_while(copy_out)
        for_a_while(lambda: container.copy_from("/real/marker", tmp_path / "out"))
        assert for_a_while(lambda: container.copy_to(tmp_path / "payload/marker", "/real/marker"))
        for_a_while(lambda: container.copy_to(f"{tmp_path}/payload/.", "/real"))
        for_a_while(lambda: container.copy_to(io.BytesIO(stream("real/marker", b"broken in")), "/"))
    assert seen <= {"inside\n"}
    assert (tmp_path / "out").read_text() in ("inside\n", "broken in")
    assert {path.name: path.read_text() for path in secret.iterdir()} == {"marker": "secret"}


def test_files_swapped_for_links_while_they_are_read(container: Container, secret: Path, tmp_path: Path) -> None:
    container.start()
    assert execute(container, "sh", "-c", f"mkdir /d; echo inside > /d/f; ln -s {secret}/marker /d/g").status == 0
    with swapping(container, "/d/f", "/d/g"):

        def copy_out() -> None:
            container.copy_from("/d/.", tmp_path / "out")
            for name in ("f", "g"):
                path = tmp_path / "out" / name
                assert path.is_symlink() or path.read_text() == "inside\n"

        for_a_while(copy_out)


def test_a_process_that_changes_its_root(engine: Engine, file: Path) -> None:
    """What is copied is found where the container's root is, not where its first process sees one."""
    script = "mkdir -p /jail/bin; cp /bin/busybox /jail/bin/; touch /outside; exec chroot /jail /bin/busybox sleep 600"
    container = engine.containers.run_detached("busybox", RunOptions(command=("sh", "-c", script)))
    pid = container.state().pid
    until(lambda: not Path(f"/proc/{pid}/root/outside").exists() and Path(f"/proc/{pid}/root/bin/busybox").exists())
    container.copy_to(file, "/outside")
    assert text(container, "/outside") == "of the host"
    container.rm(force=True)


def test_a_bind_mount_on_a_link(engine: Engine, secret: Path, shared: Path, file: Path) -> None:
    """The place for a mount in a container that doesn't run is looked up inside its root."""
    engine.build(f"FROM busybox\nRUN ln -s {secret} /mnt", tags=["hostile"])
    mounts = (Mount("/mnt/marker/x", "bind", str(shared), ("rbind",)), Mount("/mnt/y", "bind", str(shared), ("rbind",)))
    for mount in mounts:
        container = engine.containers.create("hostile", RunOptions(command=("true",), mounts=(mount,)))
        with suppress(DockmagicError):
            container.copy_to(file, mount.destination)
        assert {path.name: path.read_text() for path in secret.iterdir()} == {"marker": "secret"}
        container.rm()


def test_what_a_container_sent_is_not_followed_here(container: Container, secret: Path, tmp_path: Path) -> None:
    """A link that was copied out doesn't lead the next copy anywhere."""
    container.start()
    execute(container, "sh", "-c", f"mkdir /d; ln -s {secret} /d/x")
    container.copy_from("/d", tmp_path / "out")
    assert (tmp_path / "out/x").is_symlink()
    execute(container, "sh", "-c", "rm /d/x; mkdir /d/x; echo broken in > /d/x/marker")
    with pytest.raises(InvalidOption, match="is no directory; one can't take its place"):
        container.copy_from("/d/.", tmp_path / "out")
    assert (secret / "marker").read_text() == "secret"


def test_a_container_that_writes_all_the_time(container: Container, tmp_path: Path) -> None:
    container.start()
    script = (
        "mkdir /l; while :; do for i in 1 2 3; do date > /l/$i; : > /l/$i; rm /l/$i; mkdir /l/d; rmdir /l/d; done; done"
    )
    execute(container, "sh", "-c", script, detach=True)
    until(lambda: execute(container, "test", "-e", "/l").status == 0)
    for act in (
        lambda: container.copy_from("/l", io.BytesIO()),
        lambda: container.export(io.BytesIO()),
        container.diff,
    ):
        assert for_a_while(act, 0.2) >= 10
