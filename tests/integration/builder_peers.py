"""The same Dockerfile under our builder, with a chroot for a runner, and under buildah; and what a tree holds."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockmagic.builder.seam import OnOutput, RunStep
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh", "cat", "ls", "mkdir", "touch", "id", "echo", "ln", "rm", "chmod", "chown", "mv", "stat", "env", "test",
    "cp", "find", "sort", "grep", "wc", "pwd", "mkfifo", "false", "true", "sleep", "printf", "setfattr", "head", "tail",
)  # fmt: skip
OLD_S = 1_000_000_000  # the age of all files in contexts
_TRIES = 5
_FLUKE = "sealing memfd copy: Device or resource busy"
_LEFT_BY_CHROOT = ("dev", "proc", "sys", "run", "etc/host", "etc/resolv.conf")

# Runs in a mount namespace of its own: an overlay, a chroot, the user by number or by the image's passwd.
_RUNNER = """
import ctypes, json, os, sys
job = json.load(sys.stdin)
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, target, kind, flags, data):
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)
os.mkdir(job["root"])
mount("overlay", job["root"], "overlay", 0, f"lowerdir={job['lower']},upperdir={job['upper']},workdir={job['work']}")
os.chroot(job["root"])
os.chdir(job["workdir"])
name, _, group = (job["user"] or "0").partition(":")
rows = [line.split(":") for line in open("/etc/passwd")] if os.path.exists("/etc/passwd") else []
row = next((row for row in rows if name in (row[0], row[2])), [name, "x", name, "0"])
os.setgroups([])
os.setgid(int(group or row[3]))
os.setuid(int(row[2]))
os.execve(job["argv"][0], job["argv"], dict(entry.split("=", 1) for entry in job["env"]))
"""


def make_base(directory: Path) -> None:
    """A root directory with busybox, users, and links to trip over."""
    for name in ("bin", "etc", "tmp", "root", "srv/data", "var/lib"):
        (directory / name).mkdir(parents=True)
    (directory / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
    (directory / "bin/busybox").chmod(0o755)
    for applet in APPLETS:
        (directory / "bin" / applet).symlink_to("busybox")
    (directory / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\n")
    (directory / "etc/group").write_text("root:x:0:\nbob:x:1001:\nstaff:x:50:\n")
    (directory / "tmp").chmod(0o1777)
    (directory / "root").chmod(0o700)
    os.chown(directory / "srv/data", 1000, 50)
    (directory / "srv/data").chmod(0o2750)
    (directory / "data").symlink_to("/srv/data")
    (directory / "etc/old").write_text("old")
    directory.chmod(0o755)


def chroot_runner(step: RunStep, output: OnOutput) -> int:
    """Run the step's command in a chroot on an overlay that ends with it."""
    job = {
        "root": str(step.upper.with_name("root")),
        "lower": ":".join(map(str, step.lower)),
        "upper": str(step.upper),
        "work": str(step.work),
        "workdir": step.options.workdir,
        "user": step.options.user,
        "argv": list(step.options.command),
        "env": list(step.options.env),
    }
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-I", "-S", "-c", _RUNNER],
        input=json.dumps(job).encode(),
        capture_output=True,
        check=False,
    )
    output("stdout", done.stdout)
    output("stderr", done.stderr)
    return done.returncode


class Buildah:
    """buildah with a storage of its own, whose files are read as they are: its commands take longer than the builds."""

    def __init__(self, directory: Path) -> None:
        self._storage = directory / "root"
        self._options = ["--root", str(self._storage), "--runroot", str(directory / "run")]
        # Not vfs: that waits for the clock's next second with every layer.
        self._options += ["--storage-driver", "overlay"]
        self._environment = {**os.environ, "TMPDIR": str(directory)}  # its caches are there
        self._directory = directory

    def call(self, *args: str) -> str:
        """Standard output of a command; buildah sometimes can't copy itself into memory, and is asked again then."""
        for _ in range(_TRIES):
            words = ["buildah", *self._options, *args]
            done = subprocess.run(words, capture_output=True, text=True, check=False, env=self._environment)
            if _FLUKE not in done.stderr:
                break
        if done.returncode:
            raise BuildahError(f"buildah {args}: {done.stdout}{done.stderr}")
        return done.stdout

    def build(self, text: str, context: Path, flags: Sequence[str] = ()) -> Peer:
        """The image; raises BuildahError."""
        dockerfile = self._directory / "Dockerfile"
        dockerfile.write_text(text)
        flags = [*flags, "--isolation", "chroot", "--format", "docker", "--pull-never"]
        image_id = self.call("bud", "-q", *flags, "-f", str(dockerfile), str(context)).split()[-1]
        name = base64.b64encode(f"sha256:{image_id}".encode()).decode()
        config = json.loads((self._storage / "overlay-images" / image_id / f"={name}").read_text())
        return Peer(config, self._lower(image_id))

    def _lower(self, image_id: str) -> tuple[Path, ...]:
        """Directories of an image's layers, topmost first."""
        images = json.loads((self._storage / "overlay-images/images.json").read_text())
        layers = json.loads((self._storage / "overlay-layers/layers.json").read_text())
        parents = {layer["id"]: layer.get("parent") for layer in layers}
        layer = next(image["layer"] for image in images if image["id"] == image_id)
        found = []
        while layer:
            found.append(self._storage / "overlay" / layer / "diff")
            layer = parents[layer]
        return tuple(found)


class BuildahError(Exception):
    """buildah refused."""


@dataclass(frozen=True)
class Peer:
    """An image as buildah stored it: the config's JSON, and the layers' directories, topmost first."""

    config: dict[str, Any]
    lower: tuple[Path, ...]


def our_tree(image: Image, snapshots: Snapshots, workspace: Path) -> dict[str, Any]:
    """The image's tree as the kernel's overlay shows it."""
    return trees([snapshots.lower(image.config.diff_ids)], workspace)[0]


def trees(stacks: Sequence[Sequence[Path]], workspace: Path) -> list[dict[str, Any]]:
    """The tree of each stack of layers, topmost first, as the kernel's overlay shows it."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from tests.integration.builder_peers import listing; "
        "print(json.dumps([listing(Path(path)) for path in sys.argv[2:]]))"
    )
    mounts, views = [], []
    for number, lower in enumerate(stacks):
        empty, view = workspace / f"empty-{number}", workspace / f"view-{number}"
        empty.mkdir()
        view.mkdir()
        # The empty directory on top would lend its mode to the root.
        os.chown(empty, lower[0].stat().st_uid, lower[0].stat().st_gid)
        empty.chmod(stat.S_IMODE(lower[0].stat().st_mode))
        options = f"lowerdir={':'.join(map(str, [empty, *lower]))}"
        mounts.append(f"mount -t overlay overlay -o '{options}' '{view}'")
        views.append(str(view))
    here = str(Path(__file__).parents[2])
    script = " && ".join([*mounts, 'exec "$@"'])
    words = ["sh", "-c", script, "sh", sys.executable, "-c", code, here, *views]
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    shown: list[dict[str, Any]] = json.loads(done.stdout)
    return shown


def listing(root: Path) -> dict[str, Any]:
    """Every path with all that a copy has to keep: kind, mode, owner, content, link, attributes, and an old time."""
    shown: dict[str, Any] = {}
    inodes: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if not name.startswith(_LEFT_BY_CHROOT):
            shown[name] = _describe(path, name, inodes)
    return shown


def _describe(path: Path, name: str, inodes: dict[int, str]) -> dict[str, Any]:
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    found: dict[str, Any] = {
        "kind": oct(kind),
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "owner": f"{status.st_uid}:{status.st_gid}",
        "xattrs": {
            key: os.getxattr(path, key, follow_symlinks=False).hex()
            for key in os.listxattr(path, follow_symlinks=False)
            if not key.startswith("trusted.overlay.")
        },
    }
    if kind == stat.S_IFLNK:
        found["link"] = os.readlink(path)  # noqa: PTH115 - as it is stored
    if kind == stat.S_IFREG:
        found["content"] = hashlib.sha256(path.read_bytes()).hexdigest()
        found["same as"] = inodes.setdefault(status.st_ino, name) if status.st_nlink > 1 else name
        found["old"] = status.st_mtime == OLD_S
    return found


def make_context(directory: Path, files: Mapping[str, str | bytes]) -> Path:
    """A context with these files: "x/" is a directory, "-> t" a link, "= t" a hard link, "fifo" a pipe.

    "name|4755" gives a mode, "name|644|user.x=y" an attribute too.
    """
    directory.mkdir()
    for spelled, content in files.items():
        name, mode, attribute = (*spelled.split("|"), "", "")[:3]
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _make(path, content, directory, is_dir=name.endswith("/")):
            continue
        path.chmod(int(mode, 8) if mode else 0o755 if name.endswith("/") else 0o644)
        if attribute:
            key, _, value = attribute.partition("=")
            os.setxattr(path, key, value.encode())
    for path in [directory, *directory.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o022)
        os.utime(path, (OLD_S, OLD_S), follow_symlinks=False)
    return directory


def _make(path: Path, content: str | bytes, top: Path, *, is_dir: bool) -> bool:
    """Make what the content says; whether it has a mode."""
    if is_dir:
        path.mkdir(exist_ok=True)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content.startswith("-> "):
        path.symlink_to(content[3:])
        return False
    elif content.startswith("= "):
        path.hardlink_to(top / content[2:])
    elif content == "fifo":
        os.mkfifo(path)
    else:
        path.write_text(content)
    return True
