"""Escapes from other runtimes that were published, tried against this one; each test is named after its number.

Where a race decides, either the state that the race makes is there from the beginning, or somebody tries to win it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import DockerfileError, DockmagicError, RunFailed, StartFailed
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount
from tests.integration.containers import execute, run, shell
from tests.integration.intruder import again_and_again, bind, interpreter, python

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]
PLANTED = "open('/planted', 'w')\n"
PROGRAM = Path(os.path.realpath(sys.executable))


@pytest.fixture
def sleeper(engine: Engine) -> Iterator[Container]:
    """A container that does nothing, to try to enter it."""
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "600")))
    yield container
    container.rm(force=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def libraries() -> set[Path]:
    """The libraries that this process has loaded."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {Path(line.split(maxsplit=5)[-1]) for line in lines if ".so" in line}


def mount_points(engine: Engine, *mounts: Mount, **options: object) -> dict[str, str]:
    """What is mounted where in a container with these mounts: roots by mount points."""
    lines = shell(engine, "cat /proc/self/mountinfo", mounts=mounts, **options).splitlines()
    return {line.split()[4]: line.split()[3] for line in lines}


# -- the runtime's own files -----------------------------------------------------------------------------------


def test_cve_2019_5736_the_program_that_enters_can_t_be_overwritten(engine: Engine) -> None:
    """The container's own program opens the file of every process that comes in, for writing."""
    before = digest(PROGRAM)
    script = (
        "touch /opened; while :; do for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || [ $p = /proc/1 ] ||"
        " dd if=/dev/null of=$p/exe conv=notrunc 2> /dev/null && readlink $p/exe >> /opened; done; done"
    )
    container = engine.containers.run_detached("busybox", RunOptions(command=("sh", "-c", script)))
    for _ in range(10):
        for command in ("/proc/self/exe", "true"):
            with suppress(StartFailed):
                execute(container, command, user="nobody")
    opened = execute(container, "cat", "/opened").stdout
    container.rm(force=True)
    assert "python" not in opened
    assert digest(PROGRAM) == before


def test_cve_2019_5736_nor_by_who_is_started_from_it(engine: Engine) -> None:
    """A container whose program is /proc/self/exe keeps the file open, ends the program, and writes."""
    before = digest(PROGRAM)
    code = """
held = os.open("/proc/self/exe", os.O_PATH)
print(attempt(os.open, f"/proc/self/fd/{held}", os.O_WRONLY))
if os.fork():
    os.execv("/bin/sleep", ["sleep", "1"])
while "python" in os.readlink(f"/proc/{os.getppid()}/exe"):
    pass
for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
    print(attempt(os.open, f"/proc/self/fd/{held}", flags))
"""
    command = ("/proc/self/exe", *python(code)[1:])
    said = run(engine, *command, mounts=interpreter()).stdout.split()
    assert len(said) == 4
    assert set(said) <= {"EROFS", "ETXTBSY"}
    assert digest(PROGRAM) == before


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_cve_2019_14271_cp_loads_nothing_of_the_container(engine: Engine, tmp_path: Path, running: bool) -> None:
    """Every library and module that this process could load lies in the container too, as something else."""
    before = libraries()
    names = set(before)
    names |= {Path(os.__file__).parent / name for name in ("stat.py", "tarfile.py", "encodings/idna.py", "pwd.py")}
    names |= {Path(f"/lib/x86_64-linux-gnu/libnss_{kind}.so.2") for kind in ("files", "dns", "compat")}
    engine.build("FROM busybox\nRUN echo content > /file", tags=["hostile"])
    tree = engine.snapshots.path(engine.images.get("hostile").chain_ids[-1])
    for path in (*names, Path("/etc/nsswitch.conf")):
        planted = tree / str(path).lstrip("/")
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text(PLANTED)
    container = engine.containers.create("hostile", RunOptions(command=("sleep", "600")))
    if running:
        container.start()
    container.copy_from("/file", tmp_path / "out")
    container.copy_to(tmp_path / "out", "/in")
    container.copy_from("/in", tmp_path / "again")
    assert (tmp_path / "again").read_text() == "content\n"
    assert libraries() == before
    found = {Path(str(module.__file__)) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    assert not any(path.is_file() and path.read_bytes() == PLANTED.encode() for path in found)
    assert not Path("/planted").exists()
    container.rm(force=True)


def test_cve_2022_0847_nothing_that_is_for_reading_can_be_written(engine: Engine, tmp_path: Path) -> None:
    """Pages of a file that is shown for reading are spliced into a pipe that is written to, and mapped."""
    file = tmp_path / "file"
    file.write_text("untouched\n")
    code = """
import mmap
held = os.open("/file", os.O_RDONLY)
for flags in (os.O_WRONLY, os.O_RDWR):
    print(attempt(os.open, f"/proc/self/fd/{held}", flags))
print(attempt(os.fchmod, held, 0o777), attempt(os.truncate, "/file", 0))
print(attempt(lambda: mmap.mmap(held, 4, mmap.MAP_SHARED, mmap.PROT_WRITE)))
source, end = os.pipe()
os.write(end, bytes(65536)), os.read(source, 65536)
os.splice(held, end, 1, offset_src=0)
os.write(end, b"overwritten")
"""
    done = run(engine, *python(code), mounts=(*interpreter(), bind(file, "/file", "ro")))
    assert (done.stdout.split(), done.stderr) == (["EROFS", "EROFS", "EROFS", "EROFS", "EACCES"], "")
    assert file.read_text() == "untouched\n"


def test_cve_2022_0847_no_descriptor_of_a_process_is_a_file_of_the_host(engine: Engine, sleeper: Container) -> None:
    look = "for p in /proc/self /proc/1; do for f in $p/fd/* $p/exe $p/cwd $p/root; do readlink $f; done; done"
    seen = shell(engine, look) + execute(sleeper, "sh", "-c", look).stdout
    sleeper.restart(timeout_s=0)
    seen += execute(sleeper, "sh", "-c", look).stdout
    allowed = ("/bin/", "/dev/null", "pipe:[", "/proc/")
    assert [line for line in seen.splitlines() if line != "/" and not line.startswith(allowed)] == []
    assert seen.count("/bin/") == 6


# -- paths that mean something else meanwhile ------------------------------------------------------------------

LINKS = ("/proc/self/fd", "/proc/self/root/proc", "/proc/self/attr", "/../../../../proc", "/sys/kernel", "/dev/pts")


def test_cve_2021_30465_a_volume_s_other_user_can_t_lead_a_mount_elsewhere(engine: Engine, tmp_path: Path) -> None:
    volume, aside, link, source = (tmp_path / name for name in ("volume", "aside", "link", "source"))
    for directory in (volume, volume / "sub", aside, source):
        directory.mkdir()
    targets = iter(LINKS * 100_000)

    def swap() -> None:
        """What another container with the volume does all the time."""
        with suppress(OSError):
            link.symlink_to(next(targets))
            (volume / "sub").rename(aside / "sub")
            link.rename(volume / "sub")
            (volume / "sub").unlink()
            (aside / "sub").rename(volume / "sub")

    started = 0
    with again_and_again(swap):
        for _ in range(30):
            link.unlink(missing_ok=True)
            with suppress(StartFailed):
                found = mount_points(engine, bind(volume, "/data"), bind(source, "/data/sub/in"))
                started += 1
                placed = {point for point, root in found.items() if root.endswith("/source")}
                assert all(not point.startswith("/proc") for point in placed)
                assert {point for point in found if point.startswith("/proc/self")} == set()
    assert str(source) not in Path("/proc/self/mountinfo").read_text()
    assert list(source.iterdir()) == []


@pytest.mark.parametrize("link", LINKS)
def test_cve_2021_30465_with_the_link_there_already(engine: Engine, tmp_path: Path, link: str) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/sub").symlink_to(link)
    (tmp_path / "source").mkdir()
    before = sorted(path.name for path in Path(link).iterdir()) if link == "/sys/kernel" else []
    with suppress(StartFailed):
        found = mount_points(engine, bind(tmp_path / "volume", "/data"), bind(tmp_path / "source", "/data/sub"))
        assert not any(point.startswith("/proc") for point, root in found.items() if root.endswith("/source"))
    assert list((tmp_path / "source").iterdir()) == []
    assert before == (sorted(path.name for path in Path(link).iterdir()) if before else [])


def test_cve_2024_21626_no_step_works_in_a_directory_of_the_host(engine: Engine) -> None:
    for number in range(3, 20):
        text = f"FROM busybox\nRUN ln -s /proc/self/fd/{number} /w\nWORKDIR /w\nRUN cat ../../../../etc/shadow"
        with pytest.raises(DockmagicError, match=r"enter the working directory|not a directory|can't open|leads to"):
            engine.build(text)


def test_cve_2024_21626_nothing_is_made_behind_a_process_s_root(engine: Engine, tmp_path: Path) -> None:
    """With the host's processes in sight, a working directory of an image can name any of their roots."""
    for path in (tmp_path, tmp_path / "new" / "deep"):
        with pytest.raises(StartFailed, match="enter the working directory"):
            run(engine, "ls", workdir=f"/proc/{os.getpid()}/root{path}", pid="host")
    assert list(tmp_path.glob("new")) == []


# -- the kernel's interfaces -----------------------------------------------------------------------------------

RELEASE = """
print(call("unshare", 0x10000000 | 0x20000 | 0x02000000))
os.makedirs("/tmp/g", exist_ok=True)
for controller in ("memory", "rdma", "pids", "devices", "cpuset", "none,name=x"):
    print(call("mount", "cgroup", "/tmp/g", "cgroup", 0, controller))
    print(attempt(lambda: os.write(os.open("/tmp/g/release_agent", os.O_WRONLY), b"/planted")))
"""


def test_cve_2022_0492_no_release_agent_can_be_set(engine: Engine) -> None:
    agents = list(Path("/sys/fs/cgroup").glob("*/release_agent"))
    before = [path.read_text() for path in agents]
    said = run(engine, *python(RELEASE), mounts=interpreter()).stdout.split()
    assert set(said) == {"EPERM", "ENOENT"}
    without_filter = run(engine, *python(RELEASE), mounts=interpreter(), seccomp="unconfined").stdout.split()
    assert "done" not in without_filter
    assert [path.read_text() for path in agents] == before


def test_cve_2025_31133_masks_are_the_null_device_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    """The container's /dev/null is a link to what an attacker wants to have shown in the place of a masked file."""
    engine.build("FROM busybox\nRUN touch /own", tags=["hostile"])
    tree = engine.snapshots.path(engine.images.get("hostile").chain_ids[-1])
    (tree / "dev").mkdir(exist_ok=True)
    (tree / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
    (tmp_path / "null").symlink_to("/proc/sys/kernel/core_pattern")
    look = "stat -Lc %t:%T /proc/keys /proc/timer_list /proc/kcore; echo x > /proc/sys/kernel/core_pattern"
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    done = run(engine, "sh", "-c", look, image="hostile")
    assert set(done.stdout.splitlines()) == {"1:3"}
    with pytest.raises(StartFailed, match="/dev/null"):
        run(engine, "sh", "-c", look, mounts=(bind(tmp_path, "/dev"),))
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_cve_2025_31133_masks_hold_where_dev_is_the_user_s(engine: Engine, tmp_path: Path) -> None:
    devices = tmp_path / "devices"
    devices.mkdir()
    os.mknod(devices / "null", 0o20666, os.makedev(1, 3))
    look = "stat -Lc %t:%T /proc/keys /proc/timer_list; ls /dev; ls -A /sys/firmware"
    said = shell(engine, look, mounts=(bind(devices, "/dev"), bind("/sys", "/sys"))).split()
    assert said == ["1:3", "1:3", "mqueue", "null", "pts", "shm"]


@pytest.mark.parametrize("name", ["console", "ptmx"])
def test_cve_2025_52565_a_terminal_is_shown_at_no_other_place(engine: Engine, tmp_path: Path, name: str) -> None:
    os.mknod(tmp_path / "null", 0o20666, os.makedev(1, 3))
    (tmp_path / name).symlink_to("/proc/sys/kernel/core_pattern")
    (tmp_path / "pts").symlink_to("/proc/sys")
    with suppress(StartFailed):
        found = run(engine, "cat", "/proc/self/mountinfo", tty=True, mounts=(bind(tmp_path, "/dev"),)).stdout
        points = [line.split()[4] for line in found.splitlines()]
        assert not any(point.startswith("/proc/sys/") for point in points)
        assert points.count("/proc/sys") == 1  # write-protected as ever


@pytest.mark.parametrize("place", ["/proc", "/proc/self", "/proc/self/attr", "/proc/sys/kernel", "/proc/1/../self"])
def test_cve_2025_52881_nothing_takes_the_place_of_proc(engine: Engine, tmp_path: Path, place: str) -> None:
    """What a runtime writes to its /proc would go where a mount there leads it."""
    for name in ("attr/exec", "oom_score_adj", "self/oom_score_adj", "self/attr/exec"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to("/proc/sysrq-trigger")
    for mount in (bind(tmp_path, place), Mount(place, "tmpfs", "tmpfs", ("nosuid",))):
        with pytest.raises(StartFailed, match='cannot be mounted because it is inside "/proc"'):
            run(engine, "true", mounts=(mount,), oom_score_adj=500)


# -- building --------------------------------------------------------------------------------------------------


def test_cve_2024_23651_a_place_in_a_cache_is_never_outside(engine: Engine, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    flag = "--mount=type=cache,id=shared"
    for target in (tmp_path, f"../../../../../../..{tmp_path}", f"/proc/{os.getpid()}/root{tmp_path}"):
        engine.build(f"FROM busybox\nRUN {flag},target=/c rm -rf /c/sub; ln -s {target} /c/sub", no_cache=True)
        with pytest.raises(DockmagicError):
            engine.build(f"FROM busybox\nRUN {flag},source=sub,target=/c cat /c/secret", no_cache=True)


def test_cve_2024_23652_what_is_cleaned_up_is_the_step_s_own(engine: Engine, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "at").mkdir(parents=True)
    (victim / "file").touch()
    swap = f"mv /way /old && ln -s {victim} /way"
    file = "from=busybox,source=/etc/passwd,target=/way/file"
    for mount in ("type=tmpfs,target=/way/at", "type=cache,target=/way/at", file):
        engine.build(f"FROM busybox\nRUN --mount={mount} {swap}", no_cache=True)
    assert sorted(path.name for path in victim.iterdir()) == ["at", "file"]


def test_cve_2024_23653_no_step_gives_itself_privileges(engine: Engine) -> None:
    for flag in ("--security=insecure", "--network=host"):
        for text in (f"FROM busybox\nRUN {flag} true", f"FROM busybox\nARG F={flag}\nRUN $F true"):
            with pytest.raises((DockerfileError, RunFailed)):
                engine.build(text)
        engine.build(f"FROM busybox\nONBUILD RUN {flag} true", tags=["trigger"])
        with pytest.raises(DockerfileError, match="isn't allowed"):
            engine.build("FROM trigger")
