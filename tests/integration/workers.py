"""Other processes on the same state root: some wait for a word, some kill themselves at a chosen point of work."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockmagic.engine import Engine
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Manifest

_PRELUDE = """
import os, signal, sys
from pathlib import Path
from dockmagic.engine import Engine
from dockmagic.events import BuildOutput, PullProgress
from dockmagic.oci.options import RunOptions

COUNTED = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "fcntl.flock", "sqlite3.connect"}

def wait():
    print("ready", flush=True)
    sys.stdin.readline()

def work(engine):
    WORK

engine = Engine(Path(sys.argv[1]))
points, last = 0, int(sys.argv[2])

def count(event, arguments):
    global points
    if event in COUNTED:
        points += 1
        if points == last:
            os.kill(os.getpid(), signal.SIGKILL)

if last:
    sys.addaudithook(count)
work(engine)
print(points, flush=True)
engine.close()
"""


@contextmanager
def worker(state_root: Path, work: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does this `work` on an engine; where it calls `wait()` it says "ready" and waits for a line."""
    process = subprocess.Popen(
        _command(state_root, work, 0), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def until_ready(process: subprocess.Popen[str]) -> None:
    """Return when the worker waits."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def finish(process: subprocess.Popen[str]) -> None:
    """Let the worker go on to its end, which must be a good one."""
    _, errors = process.communicate("\n" * 100, timeout=60)
    assert (process.returncode, errors) == (0, "")


def killed_at(state_root: Path, work: str, point: int) -> bool:
    """Whether the process came so far that it killed itself at this change of files or locks, counted from 1."""
    done = subprocess.run(_command(state_root, work, point), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


def points_of(state_root: Path, work: str) -> int:
    """How many points there are where `killed_at` could kill, found by doing all of the work."""
    command = _command(state_root, work, 10**9)
    return int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)


def check_whole(state_root: Path) -> None:
    """What the store has is whole: every blob is its digest's, every layer is there, and nothing is left over."""
    with Engine(state_root) as engine:
        images = engine.images.ls()
        named = {image.id for image in images} | {image.manifest_digest for image in images}
        for image in images:
            engine.snapshots.lower(image.config.diff_ids)
            assert isinstance(image.manifest, Manifest)
            named |= {layer.digest for layer in image.manifest.layers}
        rows = engine.database.query("SELECT chain_id, digest FROM layers")
        named |= {Digest(row["digest"]) for row in rows}
        for digest in named:
            with engine.store.blob_path(digest).open("rb") as blob:
                assert Digest.of(blob.read()) == digest
        blobs = {f"{path.parent.name}:{path.name}" for path in (state_root / "blobs").rglob("*") if path.is_file()}
        assert blobs == named
        layers = {path.name for path in (state_root / "layers").iterdir()}
        assert layers == {Digest(row["chain_id"]).hex for row in rows}
        assert list((state_root / "tmp").iterdir()) == []
        engine.upkeep.usage()


def _command(state_root: Path, work: str, point: int) -> list[str]:
    code = _PRELUDE.replace("WORK", textwrap.indent(textwrap.dedent(work).strip(), "    ").lstrip())
    return [sys.executable, "-c", code, str(state_root), str(point)]
