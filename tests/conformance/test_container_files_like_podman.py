"""diff, export, commit and cp beside podman's and buildah's: the same containers, compared by files and by config.

podman follows links in what it copies, but not the last one on the way out to the host, and so differs from Docker
there; those rules are in the unit tests.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import DockmagicError
from dockmagic.oci.options import RunOptions

pytestmark = [pytest.mark.root, pytest.mark.needs("podman", "buildah", "runc")]

SCRIPT = """
echo new > /new; mkdir -p /d/sub; echo in > /d/sub/in; ln -s in /d/sub/link; ln /new /hard
rm /bin/vi; rm -r /data/gone; echo more >> /etc/passwd; chmod 711 /data/mode; chown 1:2 /data/owner
rm -r /data/again; mkdir /data/again; echo x > /data/again/x; rm /data/kind; mkdir /data/kind
mv /data/moved /data/to; : > /data/touched; mkfifo /fifo
"""
DOCKERFILE = """FROM busybox
RUN mkdir -p /data/gone/deep /data/again/old /data/moved/in && cd /data && touch kind mode owner touched gone/deep/x \
 && mkdir /etc/empty
COPY tree/ /
ENV A=image
LABEL l=image
EXPOSE 80
WORKDIR /data
ENTRYPOINT ["sh", "-c"]
CMD ["true"]
"""
SOURCES = ("file", "dir", "dir/", "dir/.", "empty", "missing", "dir/b/..")
TARGETS = ("", "new", "new/deep", "other", "full", "full/.", "nest", "to-dir", "to-file")
CASES = [(source, target) for source in SOURCES for target in TARGETS]
FEWER = [case for number, case in enumerate(CASES) if number % 4 == 0]


@dataclass(frozen=True)
class Podman:
    """podman with a storage of its own."""

    command: Sequence[str]
    parent: str

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Call it."""
        done = subprocess.run([*self.command, *words], capture_output=True, timeout=100, check=False)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def run(self, name: str, *words: str) -> None:
        """Run a container to its end, which stays."""
        flags = ["--name", name, "--network", "none", "--cgroup-parent", self.parent, "--ulimit", "nofile=1024:4096"]
        self("run", *flags, "--ulimit", "nproc=1024:4096", "app", *words)

    def json(self, *words: str) -> Any:
        """What it prints."""
        return json.loads(self(*words).stdout)


def make_tree(root: Path) -> None:
    """Files to copy, and places to copy to."""
    for name in ("dir/b", "empty", "full", "nest/file"):
        (root / name).mkdir(parents=True)
    for name in ("dir/a", "dir/b/c", "file", "other", "full/file", "full/dir"):
        (root / name).write_text(name)
    (root / "to-dir").symlink_to("empty")
    (root / "to-file").symlink_to("other")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of all that is copied; podman wants its path short."""
    place = tmp_path_factory.mktemp("p")
    make_tree(place / "tree/source")
    for number in range(len(FEWER)):
        make_tree(place / f"tree/t{number}")
    make_tree(place / "here")
    return place


@pytest.fixture(scope="module")
def ours(place: Path) -> Iterator[Engine]:
    """An engine that has the image."""
    engine = Engine(place / "state")
    engine.images.bootstrap("busybox")
    engine.build(DOCKERFILE, context=place, tags=["app"])
    yield engine
    for container in engine.containers.ls(all=True):
        container.rm(force=True)
    engine.close()


@pytest.fixture(scope="module")
def podman(place: Path, ours: Engine) -> Iterator[Podman]:
    """podman, which has the same image."""
    storage = ["--root", str(place / "root"), "--runroot", str(place / "run"), "--tmpdir", str(place / "tmp")]
    cgroups = ["--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc"]
    podman = Podman(["podman", *storage, "--storage-driver", "overlay", *cgroups], f"/files-{os.getpid()}")
    with (place / "app.tar").open("wb") as out:
        ours.images.save(["app"], out)
    podman("load", "-i", str(place / "app.tar"))
    yield podman
    if f" {place / 'root/overlay'} " in Path("/proc/self/mountinfo").read_text():
        subprocess.run(["umount", place / "root/overlay"], check=True)
    for group in [*Path("/sys/fs/cgroup").glob(podman.parent[1:]), *Path("/sys/fs/cgroup").glob(f"*{podman.parent}")]:
        for directory in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            directory.rmdir()
        group.rmdir()


@pytest.fixture(scope="module")
def ran(ours: Engine, podman: Podman) -> Container:
    """A container that ran the script to its end; podman's is called "ran"."""
    podman.run("ran", SCRIPT)
    ours.containers.run("app", RunOptions(name="ran", command=(SCRIPT,)))
    return ours.containers.get("ran")


def entries(data: bytes) -> dict[str, tuple[object, ...]]:
    """What a tar archive has, by name, times left out."""
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            link = "" if member.islnk() else member.linkname
            if "/.wh." in f"/{member.name}":  # only its name means something
                found[member.name] = ()
                continue
            found[member.name.strip("/").removeprefix("./")] = (
                b"0" if member.islnk() else member.type,
                member.mode & 0o7777,
                (member.uid, member.gid),
                link,
                None if member.islnk() else content and content.read(),
            )
    return found


STUBS = {"dev", "proc", "sys", "run", "etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv", "etc/mtab"}


MEANT = {
    "D /data/again": ("C /data/again", "D /data/again/old"),  # a directory that was made anew is there
    "D /data/kind": ("C /data/kind",),  # and so is one where there was a file
    "C /etc": (),  # only podman's own files were added to it
}
"""What we say instead of a line of podman's."""


def test_diff(ran: Container, podman: Podman) -> None:
    theirs = [line for line in podman("diff", "ran").stdout.decode().splitlines() if line[3:] not in STUBS]
    expected = [line for their in theirs for line in MEANT.get(their, (their,))]
    assert [f"{change.kind} {change.path}" for change in ran.diff()] == expected


def test_export(ran: Container, podman: Podman) -> None:
    out = io.BytesIO()
    ran.export(out)
    mine, theirs = entries(out.getvalue()), entries(podman("export", "ran").stdout)
    assert {name: mine[name] for name in mine if name not in STUBS} == {
        name: theirs[name] for name in theirs if name not in STUBS
    }


def layer(image: dict[str, Any], directory: Path) -> dict[str, tuple[object, ...]]:
    """The last layer of an image in an OCI layout, given by its manifest."""
    digest = image["layers"][-1]["digest"].replace(":", "/")
    return entries((directory / "blobs" / digest).read_bytes())


CHANGES = ['CMD ["echo"]', "ENV B=changed", "LABEL m=changed", "EXPOSE 53/udp", "USER 1", "WORKDIR /d", "VOLUME /v"]


def test_commit(ran: Container, podman: Podman, ours: Engine, place: Path) -> None:
    flags = [word for change in CHANGES for word in ("-c", change)]
    podman("commit", "-q", "-a", "me", "-f", "oci", *flags, "ran", "localhost/committed")
    image = ran.commit("localhost/ours", author="me", changes=CHANGES)
    subprocess.run(
        ["podman", *podman.command[1:], "save", "--format", "oci-dir", "-o", place / "theirs", "localhost/committed"],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    index = json.loads((place / "theirs/index.json").read_bytes())["manifests"][0]
    manifest = json.loads((place / "theirs/blobs" / index["digest"].replace(":", "/")).read_bytes())
    config = json.loads((place / "theirs/blobs" / manifest["config"]["digest"].replace(":", "/")).read_bytes())
    mine = json.loads(ours.store.read_blob(image.id))
    theirs = layer(manifest, place / "theirs")
    written = layer_of(ours, image.manifest.layers[-1].digest)
    assert written == {name: theirs[name] for name in theirs if name in written}
    assert set(theirs) - set(written) <= {*STUBS, "etc"}
    for key in ("author", "architecture", "os"):
        assert mine[key] == config[key]
    assert mine["rootfs"]["diff_ids"][:-1] == config["rootfs"]["diff_ids"][:-1]
    for key in ("Cmd", "Entrypoint", "ExposedPorts", "User", "WorkingDir", "Volumes"):
        assert mine["config"][key] == config["config"][key]
    assert {"A=image", "B=changed"} <= set(mine["config"]["Env"]) & set(config["config"]["Env"])
    assert mine["config"]["Labels"].items() >= {("l", "image"), ("m", "changed")}


def layer_of(engine: Engine, digest: str) -> dict[str, tuple[object, ...]]:
    """A layer of the store."""
    return entries((engine.root / "blobs" / digest.replace(":", "/")).read_bytes())


def test_buildah_sees_the_same_files(ran: Container, ours: Engine, place: Path) -> None:
    """What buildah makes of our image holds what the container held."""
    ran.commit("localhost/ours:buildah")
    with (place / "ours.tar").open("wb") as out:
        ours.images.save(["localhost/ours:buildah"], out)
    base = ["buildah", "--root", str(place / "b"), "--runroot", str(place / "br"), "--storage-driver", "overlay"]
    name = subprocess.run(
        [*base, "from", f"docker-archive:{place / 'ours.tar'}"], check=True, capture_output=True, text=True, timeout=100
    ).stdout.strip()
    try:
        mount = subprocess.run([*base, "mount", name], check=True, capture_output=True, text=True, timeout=100)
        seen = {str(path.relative_to(mount.stdout.strip())) for path in Path(mount.stdout.strip()).rglob("*")}
    finally:
        subprocess.run([*base, "umount", name], check=True, capture_output=True, timeout=100)
        subprocess.run([*base, "rm", name], check=True, capture_output=True, timeout=100)
    exported = io.BytesIO()
    ran.export(exported)
    assert seen - STUBS == set(entries(exported.getvalue())) - STUBS


@pytest.fixture(scope="module")
def still(ours: Engine, podman: Podman) -> Container:
    """A container that is never started; podman's is called "still"."""
    podman("create", "--name", "still", "--network", "none", "app")
    return ours.containers.create("app", RunOptions(name="still"))


def tried(container: Container, source: str, target: str, *, into: bool) -> bool:
    """Whether something could be copied."""
    try:
        container.copy_to(source, target) if into else container.copy_from(source, target)
    except DockmagicError:
        return False
    return True


def test_copy_in(still: Container, podman: Podman, place: Path) -> None:
    """Each case has a directory of its own, and all of them are compared at the end."""
    mine, theirs = [], []
    for number, (source, target) in enumerate(FEWER):
        path, to = f"{place}/here/{source}", f"/t{number}/{target}"
        mine.append((source, target, tried(still, path, to, into=True)))
        theirs.append((source, target, podman("cp", path, f"still:{to}", check=False).returncode == 0))
    assert mine == theirs
    out = io.BytesIO()
    still.export(out)
    ours, others = entries(out.getvalue()), entries(podman("export", "still").stdout)
    assert {name: ours[name] for name in ours if name not in STUBS} == {
        name: others[name] for name in others if name not in STUBS
    }


@pytest.mark.parametrize(("source", "target"), [case for case in FEWER if case[1] != "to-file"])
def test_copy_out(source: str, target: str, still: Container, podman: Podman, place: Path) -> None:
    for name in ("mine", "theirs"):
        shutil.rmtree(place / name, ignore_errors=True)
        make_tree(place / name)
    theirs = podman("cp", f"still:/source/{source}", f"{place}/theirs/{target}", check=False)
    assert tried(still, f"/source/{source}", f"{place}/mine/{target}", into=False) is (theirs.returncode == 0)
    mine, other = (
        {str(path.relative_to(place / name)): path.is_file() and path.read_text() for path in (place / name).rglob("*")}
        for name in ("mine", "theirs")
    )
    assert mine == other
