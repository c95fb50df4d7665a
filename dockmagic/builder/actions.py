"""What the actions do to the files: each makes an upper directory over the layers so far and commits it as a layer.

A workspace holds whatever is in the making, and takes it away however the action ends.
"""

from __future__ import annotations

import errno
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from dockmagic.builder import owner
from dockmagic.builder.attributes import Owner
from dockmagic.builder.files import CopyRules, copy
from dockmagic.builder.inputs import Inputs
from dockmagic.builder.modes import parse_mode
from dockmagic.builder.mounting import Mounting, Placed
from dockmagic.builder.seam import RunEnd, RunStep, StepRunner
from dockmagic.builder.steps import CopyAction, MakeDirectory, RunAction
from dockmagic.builder.times import limit_times
from dockmagic.builder.tree import Tree
from dockmagic.builder.upper import Upper
from dockmagic.errors import BuildError, InvalidLayer, RunFailed, StartFailed, StoreError
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.workspace import Workspaces
from dockmagic.oci.digest import Digest, chain_ids
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount

_TAIL_LINES: Final = 20
_TAIL_BYTES: Final = 1 << 16
_SCRIPTS: Final = "/dev/pipes"  # where BuildKit shows a here-document that is a script


@dataclass(frozen=True, slots=True)
class Workshop:
    """The store's parts that actions need, and the layers (by diff ID, lowest first) that they stand on.

    No file of a new layer is younger than `latest_s` (s since 1970), if that is given.
    """

    snapshots: Snapshots
    workspaces: Workspaces
    image: ImageConfig
    latest_s: int | None = None

    @property
    def parent(self) -> Digest | None:
        """Chain ID of the layers so far."""
        chains = chain_ids(self.image.diff_ids)
        return chains[-1] if chains else None

    @property
    def lower(self) -> tuple[Path, ...]:
        """Their directories, topmost first."""
        return self.snapshots.lower(self.image.diff_ids)

    @contextmanager
    def upper(self) -> Iterator[Path]:
        """An empty upper directory in a workspace of its own, removed at the end unless it was committed."""
        with self.workspaces.new("build-") as workspace:
            directory = workspace / "upper"
            self.snapshots.prepare(self.parent, directory)
            yield directory

    def commit(self, upper: Path) -> Layer:
        """The upper directory as a layer."""
        if self.latest_s is not None:
            limit_times(upper, self.latest_s)
        return self.snapshots.commit(self.parent, upper)


@dataclass(frozen=True, slots=True)
class Made:
    """A new layer; `certain` unless what it was made from changed meanwhile, so that its key may not fit it.

    With a `failure` it is what a command left that came to no good end.
    """

    layer: Layer
    certain: bool = True
    failure: RunFailed | None = None


class Watcher(Protocol):
    """Whoever follows a command: is told its container, hears its output, and gets what it used."""

    container_id: str
    used: RunEnd | None

    def running(self) -> None:
        """The container is known."""

    def output(self, stream: str, data: bytes) -> None:
        """The command wrote something."""


def run(action: RunAction, mounting: Mounting, shop: Workshop, run_step: StepRunner, watcher: Watcher) -> Made:
    """The layer that the command makes, also where it fails; raises BuildError if it can't start."""
    tail = _Tail()

    def keep(stream: str, data: bytes) -> None:
        tail.add(data)
        watcher.output(stream, data)

    def on_wait(cache: str) -> None:
        watcher.output("stderr", f"waiting for the cache {cache}, which another build uses\n".encode())

    with shop.upper() as upper:
        work = upper.with_name("work")
        work.mkdir()
        with mounting.placed(upper.parent, on_wait) as placed:
            options = _run_options(action, upper.with_name("script"), placed, shop.image)
            watcher.container_id = secrets.token_hex(32)
            watcher.running()
            step = RunStep(shop.image, options, shop.lower, upper, work, watcher.container_id)
            try:
                watcher.used = run_step(step, keep)
            except StartFailed as error:
                raise BuildError(f"process {_quoted(options)} could not start: {error}") from error
        failure = _failure(options, watcher.used.exit_status, tail)
        try:
            return Made(shop.commit(upper), placed.certain, failure)
        except StoreError as error:
            raise failure or error from error


def _failure(options: RunOptions, status: int, tail: _Tail) -> RunFailed | None:
    """The error for a command's status, None for 0."""
    if status == 0:
        return None
    message = f"process {_quoted(options)} did not complete successfully: exit code: {status}"
    return RunFailed(message, step="", exit_status=status, output=tail.text(), command=" ".join(options.command))


def copy_files(action: CopyAction, inputs: Inputs, root_owned: bool, shop: Workshop) -> Made:
    """The layer with the copies; raises BuildError where the rules of COPY or the system forbid it."""
    with shop.upper() as directory, readable_errors(action):
        upper = Upper(directory, () if action.link else shop.lower)
        rules = CopyRules(
            destination=action.destination,
            owner=None if action.chown is None else _owner(action, action.chown, upper.tree),
            mode=None if action.chmod is None else parse_mode(action.chmod),
            root_owned=root_owned,
            unpack=action.unpack,
        )
        certain = copy(inputs.sources(), action.heredocs, upper, rules)
        return Made(shop.commit(directory), certain)


def _owner(action: CopyAction, chown: str, tree: Tree) -> Owner:
    """Whom the copies belong to."""
    if action.link and not chown.replace(":", "", 1).isdecimal():
        raise BuildError(f"--link copies into an empty file system, so --chown={chown} has to be numbers, such as 0:0")
    return owner.owner_of(chown, tree)


def make_directory(action: MakeDirectory, shop: Workshop) -> Made:
    """The layer with a directory that wasn't there."""
    with shop.upper() as directory:
        upper = Upper(directory, shop.lower)
        user = owner.owner_of(action.user, upper.tree) if action.user else Owner()
        upper.make_directories(upper.tree.resolve(action.path).path, user, action.mtime_s)
        return Made(shop.commit(directory))


def is_directory(path: str, shop: Workshop) -> bool:
    """Whether there is a directory at this path of the image; raises BuildError if it is something else."""
    found = Tree(shop.lower).lookup(path)
    if found is not None and not found.is_dir:
        raise BuildError(f"WORKDIR {path} isn't a directory in the image; choose another one")
    return found is not None


def _run_options(action: RunAction, script: Path, placed: Placed, image: ImageConfig) -> RunOptions:
    command, mounts = action.argv, placed.mounts
    if action.script is not None:
        script.write_text(action.script, encoding="utf-8", errors="surrogateescape")
        script.chmod(0o755)
        place = f"{_SCRIPTS}/{action.script_name}"
        command, mounts = (place,), (*mounts, Mount(place, "bind", str(script), ("bind", "ro")))
    known = {*image.config.env_map(), *(text.partition("=")[0] for text in action.env)}
    defaults = [f"{name}={value}" for name, value in placed.defaults.items() if name not in known]
    options = RunOptions(
        command=command,
        entrypoint=(),
        env=(*defaults, *action.hidden_env, *action.env, *placed.env),
        user=action.user,
        workdir=action.workdir,
        network=action.network,
        mounts=mounts,
        privileged=action.privileged,
    )
    return action.settings.applied(options)


def _quoted(options: RunOptions) -> str:
    return f'"{" ".join(options.command)}"'


class _Tail:
    """The last lines of an output of any length."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0

    def add(self, data: bytes) -> None:
        """More output."""
        self._parts.append(data)
        self._size += len(data)
        while self._size - len(self._parts[0]) > _TAIL_BYTES:
            self._size -= len(self._parts.popleft())

    def text(self) -> str:
        """The last lines, as far as they are kept."""
        return "\n".join(b"".join(self._parts).decode("utf-8", "replace").splitlines()[-_TAIL_LINES:])


@contextmanager
def readable_errors(action: CopyAction) -> Iterator[None]:
    """Turn what the system or a layer refuses into an error that says what it was about."""
    try:
        yield
    except InvalidLayer as error:
        raise BuildError(f"cannot copy to {action.destination}: {error}; leave it out, or rename it") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(f"no space left to copy to {action.destination}; free some and build again") from error
        where = f" ({error.filename})" if error.filename else ""
        raise BuildError(f"cannot copy to {action.destination}: {error.strerror}{where}") from error
