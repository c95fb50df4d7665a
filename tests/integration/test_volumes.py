"""Volumes and mounts with real containers: what is seen, what stays, what goes, and what nobody can reach."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dockmagic.commands.catalogue import find
from dockmagic.engine import Engine
from dockmagic.errors import Conflict, DockmagicError, InvalidOption, NotFound, StartFailed
from dockmagic.linux import mount as m
from tests.integration.containers import Outcome, until
from tests.unit.commands.fakes import FakeConsole

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

HERE = Path(__file__).parents[2]
IMAGE = """FROM busybox
RUN mkdir -p /data/sub /www && echo hello > /data/sub/f && ln /data/sub/f /data/hard && ln -s sub /data/link \\
 && chown 7:8 /data && chmod 2750 /data && echo page > /www/index && chmod 4711 /data/hard
VOLUME /data
"""


class Line:
    """Runs a line of the command line on an engine, and tells what it gave."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, line: str, script: str = "") -> str:
        """Standard output of a container, or a command's result; a failing container fails the test."""
        outcome = self.outcome(line, script)
        assert (outcome.status, outcome.stderr) == (0, ""), outcome
        return outcome.stdout

    def outcome(self, line: str, script: str = "") -> Outcome:
        """Status and output; a `script` is the container's command."""
        words = [*line.split(), *(["sh", "-c", script] if script else [])]
        command, name, rest = find(words)
        result = command.run(self.engine, command.parser(name).parse_words(rest), FakeConsole())
        output = getattr(result, "stdout", None)
        if output is None:
            return Outcome(0, str(result), "")
        return Outcome(result.exit_status, output.decode(), result.stderr.decode())  # type: ignore[attr-defined]

    def volumes(self, *words: str) -> list[str]:
        """Names of volumes."""
        return str(self(" ".join(["volume ls -q", *words]))).split()


@pytest.fixture
def line(engine: Engine) -> Line:
    """A command line."""
    return Line(engine)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """An empty directory of the host."""
    directory = tmp_path / "host"
    directory.mkdir()
    return directory


@pytest.fixture
def image(engine: Engine) -> str:
    """An image with a VOLUME that has content."""
    engine.build(IMAGE, tags=("withvolume",))
    return "withvolume"


# named volumes


def test_a_named_volume_outlives_its_containers(line: Line) -> None:
    line("run --rm -v data:/d busybox", "echo one > /d/f")
    line("run --rm -v data:/d busybox", "echo two >> /d/f")
    assert line("run --rm -v data:/d:ro busybox cat /d/f") == "one\ntwo\n"
    assert "Read-only" in line.outcome("run --rm -v data:/d:ro busybox touch /d/g").stderr
    assert line.volumes() == ["data"]


def test_two_containers_see_each_others_writes(line: Line, engine: Engine) -> None:
    line("run -d --name one -v data:/d busybox", "until [ -e /d/ping ]; do sleep .02; done; echo seen > /d/pong")
    script = "touch /d/ping; until [ -e /d/pong ]; do sleep .02; done; cat /d/pong"
    assert line("run --rm -v data:/e busybox", script.replace("/d/", "/e/")) == "seen\n"
    with pytest.raises(Conflict, match=f"volume is in use - \\[{engine.containers.get('one').id}"):
        line("volume rm data")
    line("rm -f one")
    assert line.volumes() == ["data"]
    line("volume rm data")


def test_volumes_stay_writable_below_a_read_only_root(line: Line) -> None:
    flags = "--read-only -v data:/d --tmpfs /t --mount type=tmpfs,target=/u"
    assert line(f"run --rm {flags} busybox", "touch /d/f /t/f /u/f && (touch /f 2>/dev/null || echo ro)") == "ro\n"


# what the image has


def test_an_empty_volume_gets_the_images_files_once(line: Line, image: str) -> None:
    script = "cd /data; stat -c '%n %a %u %g %h' . hard sub/f; readlink link; rm hard; echo mine > own"
    expected = ". 2750 7 8 3\nhard 4711 0 0 2\nsub/f 4711 0 0 2\nsub\n"
    assert line(f"run --rm -v data:/data {image}", script) == expected
    assert line(f"run --rm -v data:/data {image}", "ls /data").split() == ["link", "own", "sub"]
    assert line("run --rm -v www:/www withvolume ls /www") == "index\n"
    assert line("run --rm -v data:/other busybox ls /other").split() == ["link", "own", "sub"]


@pytest.mark.parametrize("flag", ["-v data:/data:nocopy", "--mount source=data,target=/data,volume-nocopy"])
def test_nocopy_copies_nothing(line: Line, image: str, flag: str) -> None:
    assert line(f"run --rm {flag} {image} ls /data") == ""


def test_nothing_is_copied_into_a_directory_of_the_host(line: Line, image: str, host: Path) -> None:
    assert line(f"run --rm -v {host}:/data {image} ls /data") == ""


def test_unnamed_volumes_go_with_rm_only(line: Line, engine: Engine, image: str) -> None:
    line(f"run --rm {image} touch /data/x")
    line(f"run --rm -v /more {image} touch /more/x")
    assert line.volumes() == []
    line(f"run --name kept -v named:/n {image} touch /data/x /n/x")
    (mount,) = [each for each in engine.containers.get("kept").inspect()["Mounts"] if each["Destination"] == "/data"]
    line("rm kept")
    assert sorted(line.volumes("-f dangling=true")) == sorted([mount["Name"], "named"])
    assert (Path(mount["Source"]) / "x").exists()
    line(f"run --name gone -v named:/n {image} true")
    line("rm -v gone")
    assert sorted(line.volumes()) == sorted([mount["Name"], "named"])
    assert str(line("volume prune -f")).startswith(f"Deleted Volumes:\n{mount['Name']}\n")
    assert line.volumes() == ["named"]


def test_a_detached_container_that_removes_itself_takes_them_too(line: Line, engine: Engine, image: str) -> None:
    container = engine.containers.get(line(f"run -d --rm {image} cat /data/sub/f"))
    with suppress(NotFound):  # as quick as that
        container.wait()
    until(lambda: line.volumes() == [])


def test_what_fails_to_start_leaves_no_unnamed_volume(line: Line, image: str) -> None:
    for flags in ("--rm", "-d --rm"):
        with pytest.raises(StartFailed):
            line(f"run {flags} {image} /no/such/program")
    with pytest.raises(InvalidOption, match="Duplicate mount point: /n"):
        line(f"run -v a1:/n --mount src=b1,dst=/n {image} true")
    line(f"create --name taken {image}")
    with pytest.raises(Conflict, match="already in use"):
        line(f"create --name taken {image}")
    assert len(line.volumes()) == 1
    line("rm -v taken")
    assert line.volumes() == []


def test_a_place_that_something_else_takes_is_no_volume(line: Line, image: str, host: Path) -> None:
    for flag in (f"-v {host}:/data", "--tmpfs /data", "--mount type=tmpfs,target=/data/", "-v named:/data"):
        line(f"run --name box {flag} {image} true")
        assert line.volumes("-f dangling=false") == (["named"] if "named" in flag else [])
        line("rm box")


def test_volumes_from(line: Line, image: str, host: Path) -> None:
    line(f"create --name store -v named:/n -v {host}:/host {image}")
    script = "cat /data/sub/f; touch /n/f /host/f && echo written"
    assert line("run --rm --volumes-from store busybox", script) == "hello\nwritten\n"
    assert len(line.volumes()) == 2
    read = line.outcome("run --rm --volumes-from store:ro busybox touch /data/g /n/g /host/g").stderr
    assert read.count("Read-only") == 3
    assert line("run --rm --volumes-from store -v other:/n busybox ls /n") == ""
    with pytest.raises(NotFound, match="no such container: nobody"):
        line("run --rm --volumes-from nobody busybox true")
    line("rm -v store")


# --mount


def test_labels_and_options_of_a_volume_that_a_container_makes(line: Line, engine: Engine, host: Path) -> None:
    options = f"volume-opt=type=none,volume-opt=o=bind,volume-opt=device={host}"
    line(f"run --rm --mount source=data,target=/www,volume-label=a=1,{options} busybox touch /www/f")
    assert (host / "f").exists()
    assert engine.volumes.get("data").labels == {"a": "1"}
    line("volume rm data")
    assert (host / "f").exists()


def test_a_bound_volume_is_filled_like_any_other(line: Line, image: str, host: Path) -> None:
    line(f"volume create -o type=none -o o=bind -o device={host} data")
    assert line(f"run --rm -v data:/www {image} cat /www/index") == "page\n"
    assert [path.name for path in host.iterdir()] == ["index"]


def test_a_volume_in_memory(line: Line) -> None:
    line("volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,uid=7 data")
    shown = line("run --rm -v data:/d busybox", "stat -c %u /d; grep ' /d ' /proc/mounts")
    assert shown.startswith("7\ntmpfs /d tmpfs rw")
    assert "size=1024k" in shown


def test_a_missing_source_is_made_for_v_and_an_error_for_mount(line: Line, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=f"bind source path does not exist: {tmp_path}/a"):
        line(f"run --rm --mount type=bind,source={tmp_path}/a,target=/d busybox true")
    line(f"run --rm --mount type=bind,source={tmp_path}/a,target=/d,bind-create-src busybox touch /d/f")
    line(f"run --rm -v {tmp_path}/b:/d busybox touch /d/f")
    assert (tmp_path / "a/f").exists()
    assert (tmp_path / "b/f").exists()


def test_a_relative_directory(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line("run --rm -v ./notes:/d --mount type=bind,src=.,dst=/here busybox touch /d/f /here/g")
    assert (tmp_path / "notes/f").exists()
    assert (tmp_path / "g").exists()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A directory with another file system mounted in it."""
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    m.mount("tmpfs", str(top), "tmpfs", 0, "size=1m")
    try:
        (top / "sub").mkdir()
        m.mount("tmpfs", str(top / "sub"), "tmpfs", 0, "size=1m")
        (top / "sub/f").touch()
        yield top
    finally:
        m.umount2(str(top), m.MNT_DETACH)


@pytest.mark.parametrize(
    ("recursive", "expected"),
    [
        ("enabled", "f ro ro"),
        ("disabled", " ro ro"),
        ("writable", "f ro rw"),
        ("readonly,bind-propagation=rprivate", "f ro ro"),
    ],
)
def test_what_is_mounted_below_a_bind(line: Line, tree: Path, recursive: str, expected: str) -> None:
    script = "ls /d/sub; for p in /d /d/sub; do touch $p/x 2>/dev/null && echo rw || echo ro; done"
    shown = line(f"run --rm --mount type=bind,src={tree},dst=/d,ro,bind-recursive={recursive} busybox", script)
    assert shown.split() == expected.split()


@pytest.mark.parametrize(
    ("propagation", "down", "up"), [("rprivate", False, False), ("rslave", True, False), ("rshared", True, True)]
)
def test_mounts_that_are_made_later(line: Line, tree: Path, propagation: str, *, down: bool, up: bool) -> None:
    m.mount("", str(tree), "", m.MS_SHARED | m.MS_REC)
    (tree / "in").mkdir()
    (tree / "out").mkdir()
    flags = f"-d --name box --mount type=bind,src={tree},dst=/d,bind-propagation={propagation} --cap-add SYS_ADMIN"
    line(f"run {flags} --security-opt seccomp=unconfined busybox sleep 60")
    m.mount("tmpfs", str(tree / "in"), "tmpfs", 0, "size=1m")
    assert (" /d/in " in line("exec box cat /proc/mounts")) == down
    line("exec box mount -t tmpfs x /d/out")
    assert (f" {tree}/out " in Path("/proc/mounts").read_text()) == up
    line("rm -f box")


def test_what_is_not_shared_on_the_host_cannot_be_shared(line: Line, tree: Path) -> None:
    m.mount("", str(tree), "", m.MS_PRIVATE | m.MS_REC)
    with pytest.raises(StartFailed, match=f"path {tree} is mounted on {tree} but it is not a shared mount"):
        line(f"run --rm -v {tree}:/d:rshared busybox true")


def test_memory_of_a_size_and_mode(line: Line) -> None:
    shown = line(
        "run --rm --mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0711 busybox",
        "stat -c %a /t; grep ' /t ' /proc/mounts",
    )
    assert shown.startswith("711\n")
    assert {"size=1024k", "nosuid", "nodev", "noexec"} <= set(shown.split()[4].split(","))


def test_an_image_as_a_mount(line: Line, image: str) -> None:
    mounts = f"--mount type=image,source={image},target=/i --mount type=image,source=busybox,target=/b"
    assert line(f"run --rm {mounts} busybox", "cat /i/www/index; ls -d /b/bin") == "page\n/b/bin\n"
    below = f"--mount type=image,source={image},target=/i,image-subpath=www"
    assert line(f"run --rm {below} busybox", "ls /i; touch /i/x 2>/dev/null || echo ro") == "index\nro\n"
    with pytest.raises(StartFailed, match="No such file"):
        line(f"run --rm {below}/nothing busybox true")


def test_a_mounted_image_stays_whole_while_a_container_is_there(line: Line, image: str) -> None:
    line(f"create --name box --mount type=image,source={image},target=/i busybox cat /i/www/index")
    line(f"image rm -f {image}")
    line("image prune -af")
    line("builder prune -af")
    assert line("start box") == "box"
    line("wait box")
    assert line("logs box") == "page\n"
    line("rm box")


def test_mounts_in_mounts_in_any_order(line: Line, host: Path) -> None:
    line(f"run --rm -v inner:/d/x/y -v {host}:/d --tmpfs /d/x busybox", "touch /d/a /d/x/b /d/x/y/c")
    assert line("run --rm -v inner:/i busybox ls /i") == "c\n"
    assert sorted(path.name for path in host.iterdir()) == ["a", "x"]
    assert list((host / "x").iterdir()) == []


# what inspect tells


def test_inspect_has_dockers_form(line: Line, engine: Engine, image: str, host: Path) -> None:
    mounts = f"-v {host}:/host:ro,rslave -v named:/n --mount type=tmpfs,dst=/t --mount type=image,src=busybox,dst=/i"
    line(f"create --name box {mounts} {image}")
    document = engine.containers.get("box").inspect()
    found = {mount["Destination"]: mount for mount in document["Mounts"]}
    root = engine.root / "volumes"
    assert found["/host"] == {
        "Type": "bind", "Source": str(host), "Destination": "/host", "Mode": "ro", "RW": False,
        "Propagation": "rslave",
    }  # fmt: skip
    assert found["/n"] == {
        "Type": "volume", "Name": "named", "Source": f"{root}/named/_data", "Destination": "/n", "Driver": "local",
        "Mode": "z", "RW": True, "Propagation": "",
    }  # fmt: skip
    assert (found["/data"]["Type"], found["/data"]["Mode"], len(found["/data"]["Name"])) == ("volume", "", 64)
    assert (found["/t"]["Type"], found["/i"]["Type"], found["/i"]["RW"]) == ("tmpfs", "image", False)
    assert document["HostConfig"]["Binds"] == [f"{host}:/host:ro", "named:/n"]
    assert document["HostConfig"]["Mounts"] == [
        {"Type": "tmpfs", "Target": "/t"},
        {"Type": "image", "Source": "busybox", "Target": "/i"},
    ]
    assert document["Config"]["Volumes"] == {"/data": {}}
    assert json.loads(line("volume inspect named"))[0]["Mountpoint"] == f"{root}/named/_data"
    line("rm -v box")


def test_df_and_fsck_know_volumes(line: Line, engine: Engine) -> None:
    line("run --rm -v data:/d busybox", "head -c 5000 /dev/zero > /d/f")
    assert "Local Volumes   1       0        5kB" in str(line("system df"))
    (engine.root / "volumes/stray/_data").mkdir(parents=True)
    assert "volume stray isn't known any more: repaired" in line("system fsck")
    assert line.volumes() == ["data", "stray"]


# crashes


KILLED = """
import os, signal, sys
from pathlib import Path
from dockmagic.engine import Engine
from dockmagic.oci.options import RunOptions
from dockmagic.oci.volumes import VolumeMount
from dockmagic.volumes import populate
at = sys.argv[2]
real = getattr(populate, at)
def die(*args):
    if at == "copy":
        real(*args)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(populate, at, die)
engine = Engine(Path(sys.argv[1]))
engine.containers.create("withvolume", RunOptions(volumes=(VolumeMount("/data", "data"), VolumeMount("/x"))))
"""


@pytest.mark.parametrize("at", ["copy", "syncfs", "_move"])
def test_a_killed_copy_is_begun_anew(line: Line, engine: Engine, image: str, at: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(engine.root), at], cwd=HERE, check=False)
    assert done.returncode == -signal.SIGKILL
    with Engine(engine.root) as again:
        assert [use.volume.name for use in again.volumes.ls()] == ["data"]
        assert again.volumes.ls()[0].containers == ()
    assert line(f"run --rm -v data:/data {image}", "cd /data; ls; cat sub/f").split() == [
        "hard", "link", "sub", "hello",
    ]  # fmt: skip
    assert [path.name for path in (engine.root / "volumes/data").iterdir()] == ["_data"]


# who would like to get out


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory of the host that no container may reach."""
    directory = tmp_path / "secret"
    directory.mkdir()
    (directory / "key").write_text("the key")
    return directory


@pytest.mark.parametrize("link", ["{0}", "../../../../../../../../../..{0}", "/proc/self/root{0}", "/proc/1/root{0}"])
def test_a_subpath_never_leaves_its_volume(line: Line, secret: Path, link: str) -> None:
    line(
        "run --rm -v data:/d busybox", f"mkdir /d/deep && ln -s {link.format(secret)} /d/out && ln -s ../out /d/deep/o"
    )
    for subpath in ("out", "out/.", "deep/o"):
        with pytest.raises(StartFailed, match=r"No such file|symbolic links|Invalid cross-device"):
            line(f"run --rm --mount src=data,dst=/m,volume-subpath={subpath} busybox cat /m/key")
    assert [path.name for path in secret.iterdir()] == ["key"]


def test_an_absolute_link_in_a_subpath_is_the_volumes_own(line: Line, secret: Path) -> None:
    line("run --rm -v data:/d busybox", f"mkdir -p /d{secret} && echo own > /d{secret}/key && ln -s {secret} /d/out")
    assert line("run --rm --mount src=data,dst=/m,volume-subpath=out busybox cat /m/key") == "own\n"


def test_a_subpath_that_is_exchanged_all_the_time(line: Line, engine: Engine, secret: Path) -> None:
    data = engine.volumes.create("data").mountpoint
    (data / "dir").mkdir()
    (data / "dir" / "key").write_text("own")
    (data / "link").symlink_to(secret)
    swap = "import os, sys, ctypes\nlibc = ctypes.CDLL(None)\nos.chdir(sys.argv[1])\nprint(flush=True)\n" + (
        "while True: libc.renameat2(-100, b'dir', -100, b'link', 2)"
    )
    with subprocess.Popen([sys.executable, "-c", swap, str(data)], stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout is not None
        swapper.stdout.readline()
        try:
            for _ in range(15):
                with suppress(StartFailed):
                    command = "run --rm --mount src=data,dst=/m,volume-subpath=dir busybox cat /m/key"
                    assert line(command) == "own"
        finally:
            swapper.kill()


def test_a_subpath_of_a_file_and_of_nothing(line: Line) -> None:
    line("run --rm -v data:/d busybox", "echo f > /d/file; mkdir /d/sub")
    assert line("run --rm --mount src=data,dst=/m,volume-subpath=file busybox cat /m") == "f\n"
    line("run --rm --mount src=data,dst=/m,volume-subpath=sub busybox touch /m/x")
    assert line("run --rm -v data:/d busybox ls /d/sub") == "x\n"
    with pytest.raises(StartFailed, match="No such file or directory"):
        line("run --rm --mount src=data,dst=/m,volume-subpath=none busybox true")


@pytest.mark.parametrize("link", ["{0}", "../../../../../../../..{0}", "/proc/self/root{0}"])
def test_an_image_whose_volume_is_a_link_to_the_host(line: Line, engine: Engine, secret: Path, link: str) -> None:
    engine.build(f"FROM busybox\nRUN ln -s {link.format(secret)} /data\nVOLUME /data\n", tags=("hostile",))
    with suppress(DockmagicError):  # a mount below /proc is refused
        line.outcome("run --name box hostile", "cat /data/key; touch /data/new")
    (use,) = engine.volumes.ls()
    names = {path.name for path in use.volume.mountpoint.iterdir()}
    assert names <= {"new"}
    assert [path.name for path in secret.iterdir()] == ["key"]
    assert (secret / "key").read_text() == "the key"
    line("rm -v box")


def test_an_image_full_of_links_to_the_host(line: Line, engine: Engine, secret: Path) -> None:
    script = f"mkdir /data && cd /data && ln -s {secret} a && ln -s {secret}/key b && ln -s ../../../../{secret}/new c"
    engine.build(f"FROM busybox\nRUN {script}\nVOLUME /data\n", tags=("hostile",))
    line("run --rm -v data:/data hostile", "readlink /data/a; (echo x > /data/c) 2>/dev/null || true")
    data = engine.volumes.get("data").mountpoint
    assert sorted(path.name for path in data.iterdir()) == ["a", "b", "c"]
    assert all(path.is_symlink() for path in data.iterdir())
    assert [path.name for path in secret.iterdir()] == ["key"]


def test_a_mount_point_that_is_a_link_in_the_image(line: Line, engine: Engine, secret: Path) -> None:
    engine.build(f"FROM busybox\nRUN ln -s {secret} /out\n", tags=("hostile",))
    assert line("run --rm -v data:/out hostile", "touch /out/x; ls /out") == "x\n"
    assert [path.name for path in secret.iterdir()] == ["key"]


def test_other_users_of_the_host_cannot_look_into_volumes(line: Line, engine: Engine) -> None:
    line("run --rm -v data:/d busybox touch /d/f")
    mode = engine.root.stat().st_mode
    assert mode & 0o077 == 0, oct(mode)
    assert engine.volumes.get("data").mountpoint.stat().st_mode & 0o777 == 0o755


def test_files_are_copied_into_a_volume_and_out_of_it(line: Line, host: Path) -> None:
    line("run --name box -v data:/d --mount src=data,dst=/ro,ro busybox touch /d/f")
    (host / "new").write_text("new")
    line(f"cp {host}/new box:/d/copied")
    assert line("run --rm -v data:/d busybox cat /d/copied") == "new"
    with pytest.raises(DockmagicError, match=r"(?i)read-only"):
        line(f"cp {host}/new box:/ro/copied")
    line(f"cp box:/d/copied {host}/back")
    assert (host / "back").read_text() == "new"
    assert "/d/copied" not in str(line("diff box"))
    line("rm box")


def test_unnamed_volumes_go_with_a_container_in_the_background(line: Line, engine: Engine) -> None:
    line("run -d --rm -v /unnamed -v named:/d busybox sleep 0.2")
    data = engine.root / "volumes"
    until(lambda: [path.name for path in data.iterdir()] == ["named"])
