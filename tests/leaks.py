"""What a test left on the machine: everything of the kinds below that is there after it, and was not before.

Mounts, control groups, named network namespaces, links, processes, entries of the run directory, temporary files, and
descriptors of this process. A namespace without a name lives only as long as a process, a mount or a descriptor of it.

Other engines may be at work on the machine meanwhile, so what counts is what belongs to this run: processes that carry
its mark in their environment, and whatever bears the key of a state root below the test's directory, or of the default
state root, which no test may use.
"""

from __future__ import annotations

import gc
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dockmagic.engine import default_root
from dockmagic.runtime.request import root_key

MARK = "DOCKMAGIC_TEST_RUN"
PATIENCE_S = 20.0  # for what goes away by itself: launchers, parked sandboxes, interfaces
_POLL_S = 0.05
_KEY = re.compile(r"/dockmagic/([0-9a-f]{8})(?:[-/]|$)", re.MULTILINE)
_LINK_KEY = re.compile(r"d[mv]([0-9a-f]{8})")


@dataclass(frozen=True)
class Process:
    """A process, as /proc shows it."""

    pid: int
    name: str
    command: bytes
    environment: bytes
    cgroups: str

    def __str__(self) -> str:
        words = self.command.replace(b"\0", b" ").decode(errors="replace").strip()
        return f"process {self.pid} {self.name}: {words[:100]}"


class Watch:
    """Looks for leaks of the run that has its mark in the environment."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)

    @contextmanager
    def nothing_left(self, directory: Path) -> Iterator[None]:
        """Fail at the end where something is left behind by a test that has all its files in the directory."""
        before = self._observe(directory)
        yield
        gc.collect()
        deadline = time.monotonic() + PATIENCE_S
        while (left := self._observe(directory) - before) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self._end(left, directory)
        assert not left, "left behind:\n  " + "\n  ".join(sorted(left))

    def _observe(self, directory: Path) -> set[str]:
        """Everything that could be left behind and is there now, described in words."""
        roots = state_roots(directory)
        keys = {root_key(str(root)) for root in (*roots, default_root())}
        found = {str(process) for process in processes() if self._ours(process, keys)}
        found |= {text for text in (*cgroups(), *run_entries()) if keys & set(_KEY.findall(text))}
        for temporary in (Path(os.environ.get("TMPDIR", "/tmp")), *(root / "tmp" for root in roots)):
            found |= {f"file {path}" for path in listing(temporary)}
        return found | mounts() | links(keys) | descriptors()

    def _end(self, left: set[str], directory: Path) -> None:
        """End the processes that were left behind, so that they don't disturb the tests that follow."""
        keys = {root_key(str(root)) for root in state_roots(directory)}
        for process in processes():
            if str(process) in left and self._ours(process, keys):
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    def _ours(self, process: Process, keys: set[str]) -> bool:
        """Whether the process was started by this run, or is in a control group of one of its containers."""
        if process.pid == os.getpid():
            return False
        marked = f"{MARK}={self.mark}".encode() in process.environment.split(b"\0")
        return marked or bool(keys & set(_KEY.findall(process.cgroups)))


def state_roots(directory: Path) -> list[Path]:
    """Directories that are, or may have been, state roots: this one, and two levels below it."""
    found = [directory]
    for _ in range(2):
        found += [path for parent in found for path in listing(parent) if path.is_dir() and not path.is_symlink()]
    return list(dict.fromkeys(found))


def processes() -> Iterator[Process]:
    """All processes but the kernel's own, and but those that have ended and only wait to be reaped."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - every test does this for every process
        if not name.isdecimal():
            continue
        with suppress(OSError):
            command = _read(f"/proc/{name}/cmdline")
            if command:
                yield Process(
                    int(name),
                    _read(f"/proc/{name}/comm").decode(errors="replace").rstrip("\n"),
                    command,
                    _read(f"/proc/{name}/environ"),
                    _read(f"/proc/{name}/cgroup").decode(),
                )


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


def mounts() -> set[str]:
    """Mount points of this mount namespace."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {f"mount {line.split()[4]}" for line in lines}


def cgroups() -> set[str]:
    """Control groups of containers, in every hierarchy."""
    parents = [Path("/sys/fs/cgroup/dockmagic"), *Path("/sys/fs/cgroup").glob("*/dockmagic")]
    return {f"control group {path}" for parent in parents for path in listing(parent) if path.is_dir()}


def run_entries() -> set[str]:
    """Run-time files of launchers and containers."""
    directories = listing(Path("/run/dockmagic"))
    files = [path for directory in directories for path in listing(directory)]
    return {f"run-time file {path}" for path in [*directories, *files]}


def links(keys: set[str]) -> set[str]:
    """Network interfaces, but for those of other state roots, and network namespaces that have a name."""
    interfaces = [path for path in listing(Path("/sys/class/net")) if _link_key(path.name) in {None, *keys}]
    return {f"link {path}" for path in (*interfaces, *listing(Path("/run/netns")))}


def _link_key(name: str) -> str | None:
    found = _LINK_KEY.match(name)
    return found and found[1]


def descriptors() -> set[str]:
    """This process' descriptors of files in control groups, run directories and memory, and of processes."""
    found = set()
    for path in listing(Path("/proc/self/fd")):
        with suppress(OSError):
            target = str(path.readlink())
            if target.startswith(("/sys/fs/cgroup/", "/run/dockmagic/", "/memfd:", "anon_inode:[pidfd]")):
                found.add(f"descriptor {path.name} of {target}")
    return found


def listing(directory: Path) -> list[Path]:
    """What is in a directory; nothing where there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return list(directory.iterdir())
    return []
