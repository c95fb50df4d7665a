"""Two engines with the same images, and command lines for both: dockmagic, and podman with runc.

podman has a storage of its own, and flags without which it doesn't run on every host.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from dockmagic.engine import Engine

Done = subprocess.CompletedProcess[str]

ROOT: Final = Path(__file__).parents[2]
INPUT: Final = "input\n"
FILES: Final = {
    "script": "#!/bin/sh\necho script $0 $#\n",
    "noexec": "#!/bin/sh\n",
    "noshebang": "echo no shebang\n",
    "badinterp": "#!/no/such/interpreter\n",
    "variables": "\ufeff# comment\n\nFOO=bar # no comment\n  IND=1\nQUOTED='x y'\nFROM_HERE\nNOT_HERE\nEMPTY=\n",
    "nameless": "A=1\n=x\n",
    "profile.json": json.dumps(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
        }
    ),
    "labels": "# comment\nfrom-file=1\nbare\n",
}
DOCKERFILES: Final = {
    "probe": r"""FROM busybox
RUN printf 'root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n' > /etc/passwd \
 && printf 'root:x:0:\nalice:x:1000:\naudio:x:29:alice\nvideo:x:44:\n' > /etc/group \
 && mkdir -p /home/alice
COPY --chmod=755 script noshebang badinterp /t/
COPY --chmod=644 noexec /t/
ENV A=image B=image
CMD ["echo", "of the image"]
""",
    "entry": 'FROM probe\nENTRYPOINT ["echo", "entry"]\nCMD ["cmd"]\n',
    "user": "FROM probe\nUSER alice\nWORKDIR /home/alice/sub\nCMD pwd; id\n",
    "bare": "FROM scratch\nCOPY script /\n",
    "volume": r"""FROM probe
RUN mkdir -p /v/sub && echo f > /v/sub/f && ln -s sub /v/l && ln /v/sub/f /v/h && chown 5:6 /v /v/sub/f && chmod 2751 /v
VOLUME /v
""",
}
INIT: Final = "/usr/bin/tini-static"
IMAGES: Final = ("busybox", *DOCKERFILES)


class Side(Protocol):
    """An engine's command line."""

    @property
    def name(self) -> str:
        """The engine's name."""

    def __call__(self, line: str) -> Done:
        """Call it with the words of a line, which begins with the command's name."""


class Dockmagic:
    """dockmagic's command line, in a process that has loaded it already."""

    name = "dockmagic"

    def __init__(self, forker: subprocess.Popen[str], place: Path) -> None:
        self._forker = forker
        self._place = place
        self._lock = Lock()

    def __call__(self, line: str) -> Done:
        """Call it, without a network unless the line gives one."""
        verb, *words = shlex.split(line)
        fixed = ["--network", "none"] if verb in {"run", "create"} and "--network" not in words else []
        request = {"words": [verb, *fixed, *words], "directory": str(self._place), "input": INPUT}
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        with self._lock:
            print(json.dumps(request), file=self._forker.stdin, flush=True)
            answer = json.loads(self._forker.stdout.readline())
        return Done(request["words"], answer["status"], answer["stdout"], answer["stderr"])


class Other:
    """Another engine, whose `run` and `create` have flags in addition: each unless the line has its word."""

    def __init__(self, command: Sequence[str], place: Path, flags: Mapping[str, str]) -> None:
        self.name = command[0]
        self._command = command
        self._place = place
        self._flags = flags

    def __call__(self, line: str) -> Done:
        """Call it; again where it didn't get to attach to a container before that had ended, which tells nothing."""
        words, env = [*self._command, *self._words(line)], environment(self._place)
        for _ in range(4):
            command = ["env", "--default-signal", *words]  # it hands on what this process was started to ignore
            done = subprocess.run(
                command, cwd=self._place, env=env, input=INPUT.encode(), capture_output=True, timeout=60
            )
            if b"container's attach socket" not in done.stderr:
                break
        return Done(words, done.returncode, done.stdout.decode(), done.stderr.decode())

    def _words(self, line: str) -> list[str]:
        """The words of the line, with the flags."""
        verb, *words = shlex.split(line)
        fixed = [flag for word, flag in self._flags.items() if verb in {"run", "create"} and word not in line]
        return [verb, *fixed, *words]


def make_place(place: Path) -> Path:
    """Put the files of the cases into the directory that both programs are called in."""
    (place / "files").mkdir()
    for name, text in FILES.items():
        (place / "files" / name).write_text(text)
        (place / name).write_text(text)
    return place


def environment(place: Path) -> dict[str, str]:
    """The environment of both programs."""
    return {**os.environ, "DOCKMAGIC_ROOT": str(place / "state"), "FROM_HERE": "here"}


@contextmanager
def dockmagic(place: Path) -> Iterator[Dockmagic]:
    """dockmagic, with the images of the cases; its containers go at the end."""
    with Engine(place / "state") as engine:
        engine.images.bootstrap("busybox")
        for name, text in DOCKERFILES.items():
            engine.build(text, context=place, tags=(name,))
        _lay_out(engine, place)
    command = [sys.executable, "-m", "tests.conformance.forker"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(place), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as forker:
        yield Dockmagic(forker, place)
        assert forker.stdin is not None
        forker.stdin.close()
    with Engine(place / "state") as engine:
        for container in engine.containers.ls(all=True):
            container.rm(force=True)


def _lay_out(engine: Engine, place: Path) -> None:
    """Make the directory an image layout of the images, whose blobs are dockmagic's own."""
    (place / "blobs").symlink_to(place / "state" / "blobs")
    (place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    index = [
        {
            "mediaType": image.manifest.media_type,
            "digest": str(image.manifest_digest),
            "size": (place / "blobs" / str(image.manifest_digest).replace(":", "/")).stat().st_size,
            "annotations": {"org.opencontainers.image.ref.name": name},
        }
        for name, image in ((name, engine.images.get(name)) for name in IMAGES)
    ]
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": index}))


@contextmanager
def podman(place: Path) -> Iterator[Other]:
    """podman with the images of a place that dockmagic has laid out; its mount and cgroups go at the end."""
    root, runroot, parent = place / "root", place / "run", f"/peer-{os.getpid()}"
    for name in IMAGES:
        storage = f"containers-storage:[overlay@{root}+{runroot}]docker.io/library/{name}:latest"
        subprocess.run(["skopeo", "copy", "-q", f"oci:{place}:{name}", storage], check=True, timeout=60)
    command = [
        *("podman", "--root", str(root), "--runroot", str(runroot), "--tmpdir", str(place / "tmp")),
        *("--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "file"),
        *("--runtime", "runc"),
    ]
    flags = {
        "--pull": "--pull=never",
        "--network": "--network=none",
        "--cgroup-parent": f"--cgroup-parent={parent}",
        "--init-path": f"--init-path={INIT}",
        "nofile=": "--ulimit=nofile=1024:4096",  # more isn't allowed on every host
        "nproc=": "--ulimit=nproc=1024:4096",
    }
    try:
        yield Other(command, place, flags)
    finally:
        subprocess.run([*command, "rm", "--all", "--force", "--time", "0"], check=True, capture_output=True, timeout=60)
        if f" {root / 'overlay'} " in Path("/proc/self/mountinfo").read_text():  # is_mount() doesn't see bind mounts
            subprocess.run(["umount", root / "overlay"], check=True)
        for group in [*Path("/sys/fs/cgroup").glob(parent[1:]), *Path("/sys/fs/cgroup").glob(f"*{parent}")]:
            _remove(group)


def _remove(group: Path) -> None:
    """Remove a cgroup with those below it, which podman leaves where a start failed."""
    for directory in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        directory.rmdir()
    group.rmdir()


@contextmanager
def docker(place: Path) -> Iterator[Other]:
    """Docker, where DOCKER_HOST names a daemon, with the images of a place that dockmagic has filled."""
    with (place / "docker.tar").open("wb") as archive, Engine(place / "state") as engine:
        engine.images.save(list(IMAGES), archive)
    subprocess.run(["docker", "load", "-q", "-i", place / "docker.tar"], check=True, capture_output=True, timeout=60)
    limits = {"nofile=": "--ulimit=nofile=1024:4096", "nproc=": "--ulimit=nproc=1024:4096"}
    yield Other(["docker"], place, {"--pull": "--pull=never", "--network": "--network=none", **limits})
