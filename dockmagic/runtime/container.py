"""Containers of one state root: their rows, their directories, and the operations on them.

A container is a row in the database, a directory `containers/<id>/` and, while it runs, a monitor that answers. The row
says what was asked for; the monitor, or the record it left, says how things are.

    containers/<id>/upper, work     what the container wrote, over the image's layers
    containers/<id>/log.jsonl       its output
    containers/<id>/state.json      the monitor's record
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dockmagic import journal
from dockmagic.database import Database
from dockmagic.errors import Conflict, InvalidManifest, InvalidOption, NotFound, StoreError
from dockmagic.journal import Journal
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Resources, Spec
from dockmagic.runtime import leftovers, names, pause, state
from dockmagic.runtime.asking import start_request
from dockmagic.runtime.attach import Attachment
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.client import Client, Started
from dockmagic.runtime.directory import make
from dockmagic.runtime.ports.opening import opened
from dockmagic.runtime.request import Record, container_directory, record_of
from dockmagic.runtime.session import OnOutput, Session
from dockmagic.runtime.state import ContainerState, Status
from dockmagic.runtime.stubs import make_layer
from dockmagic.trees import remove_tree

OnStart = Callable[[Started], None]


@dataclass(frozen=True, slots=True)
class Row:
    """What was asked for when the container was created; `spec_text` is the spec's JSON form."""

    id: str
    name: str
    image_id: str
    image_reference: str
    created_ns: int
    spec: Spec
    spec_text: str
    options: RunOptions
    labels: Mapping[str, str]

    @property
    def attributes(self) -> dict[str, str]:
        """What events tell of it."""
        return {**self.labels, "image": self.image_reference, "name": self.name}


class Containers:
    """All containers of a state root."""

    def __init__(self, root: Path, database: Database, client: Client) -> None:
        self._root = root / "containers"
        self._stubs = root / "stubs"
        self._database = database
        self._client = client
        self._journal = Journal(root / journal.NAME)

    # -- finding -----------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Every container, newest first. One whose directory is gone was removed by its monitor: its row goes too."""
        rows = [_row(row) for row in self._database.query("SELECT * FROM containers ORDER BY created_ns DESC")]
        gone = [row for row in rows if not self.directory(row.id).exists()]
        if gone:
            with self._database.transaction() as connection:
                connection.executemany("DELETE FROM containers WHERE id = ?", [(row.id,) for row in gone])
        return [row for row in rows if row not in gone]

    def find(self, name: str) -> Row:
        """The container with this name, else with this id or an unambiguous beginning of it; raises NotFound."""
        rows = self.rows()
        for row in rows:
            if name in (row.name, row.id):
                return row
        matches = [row for row in rows if name and row.id.startswith(name)]
        if len(matches) > 1:
            raise NotFound("container", name, f"{len(matches)} ids begin with it; give more digits")
        if not matches:
            raise NotFound("container", name, "ps -a lists those there are")
        return matches[0]

    def directory(self, container_id: str) -> Path:
        """Where the container's files are."""
        return self._root / container_id

    def state(self, container_id: str) -> ContainerState:
        """How the container is now; raises NotFound where it has been removed."""
        answered = self._client.record(container_id)
        if answered is not None:
            return state.derive(answered, alive=True)
        if not self.directory(container_id).exists():
            raise NotFound("container", container_id[:12], "it has been removed")
        return state.derive(self.record(container_id), alive=False)

    def runs(self, container_id: str) -> bool:
        """Whether it has a monitor that answers."""
        return self._client.record(container_id) is not None

    def record(self, container_id: str) -> Record | None:
        """The record that a monitor left, None where there is none."""
        try:
            text = (self.directory(container_id) / "state.json").read_text()
            return decode(Record, json.loads(text))
        except (FileNotFoundError, ValueError, InvalidManifest):
            return None

    def images_in_use(self) -> set[str]:
        """IDs of the images of running containers, and of those mounted in them."""
        running = [row for row in self.rows() if self._client.record(row.id) is not None]
        mounted = {volume.image_id for row in running for volume in row.options.volumes if volume.image_id}
        return {row.image_id for row in running} | mounted

    # -- making and removing -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def new(self, below: Path, *, once: bool = False) -> Iterator[str]:
        """The id of a container in the making, and its directory, protected against collection until the block ends.

        `below` is the topmost layer, whose root the container's root is like. `once`: it is going to be started at once
        and to remove itself, so that it is collected where that doesn't happen. The directory goes again where the
        block raises; raises StoreError where it can't be made.
        """
        container_id = secrets.token_hex(32)
        directory = self.directory(container_id)
        try:
            try:
                lock = make(directory, below.stat(), once)
            except OSError as error:
                hint = "free some space" if error.errno == errno.ENOSPC else "choose another state root"
                raise StoreError(f"cannot make {directory}: {error.strerror}; {hint} and try again") from error
            with lock:
                yield container_id
        except BaseException:
            leftovers.discard(directory)
            raise

    def insert(self, row: Row) -> Row:
        """Write the container down, with a name made up where it has none; raises Conflict where the name is taken."""
        if row.name:
            names.check(row.name)
        with self._database.transaction() as connection:
            name = self._claim(connection, row.name)
            connection.execute(
                "INSERT INTO containers (id, name, image_id, image_reference, created_ns, spec, options, labels)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.id,
                    name,
                    row.image_id,
                    row.image_reference,
                    row.created_ns,
                    row.spec_text,
                    json.dumps(encode(row.options)),
                    json.dumps(dict(row.labels)),
                ),
            )
        made = replace(row, name=name)
        self.note(made, "create")
        return made

    def note(self, row: Row, action: str, **more: str) -> None:
        """Write an event of the container down."""
        self._journal.write("container", action, row.id, {**row.attributes, **more})

    def _claim(self, connection: sqlite3.Connection, wanted: str) -> str:
        """A name that is free now, made up where none is wanted; raises Conflict where the name is taken."""
        taken = {found["name"]: found["id"] for found in connection.execute("SELECT name, id FROM containers")}
        name = wanted or names.invent(taken)
        if name in taken and self.directory(taken[name]).exists():
            why = f'the name is already in use by container "{taken[name]}"; remove or rename that one to reuse it'
            raise Conflict("container", name, why)
        connection.execute("DELETE FROM containers WHERE name = ?", (name,))
        return name

    def rename(self, row: Row, name: str) -> Row:
        """Give the container another name; raises InvalidOption, Conflict where it is taken."""
        name = name.removeprefix("/")
        if name == row.name:
            raise InvalidOption("renaming a container with the same name as its current name")
        names.check(name)
        with self._database.transaction() as connection:
            connection.execute("UPDATE containers SET name = ? WHERE id = ?", (self._claim(connection, name), row.id))
        self._client.rename(row.id, name)
        renamed = replace(row, name=name)
        self.note(renamed, "rename", oldName=f"/{row.name}")
        return renamed

    def change_limits(self, row: Row, options: RunOptions, limits: Resources) -> Row:
        """Write other limits down; the container's row as it is then."""
        spec = replace(row.spec, linux=replace(row.spec.linux, resources=limits))
        text = json.dumps(encode(spec))
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE containers SET spec = ?, options = ? WHERE id = ?",
                (text, json.dumps(encode(options)), row.id),
            )
        return replace(row, spec=spec, spec_text=text, options=options)

    def delete(self, container_id: str) -> None:
        """Remove the row, then the directory; a container that runs has to be stopped before."""
        found = self._database.query("SELECT * FROM containers WHERE id = ?", (container_id,))
        self.forget(container_id)
        leftovers.discard(self.directory(container_id))
        if found:
            self.note(_row(found[0]), "destroy")

    def forget(self, container_id: str) -> None:
        """Remove the row only: the monitor removes the directory."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM containers WHERE id = ?", (container_id,))

    # -- running -----------------------------------------------------------------------------------------------

    def start(self, row: Row, session: Session | None = None, *, foreground: bool = True) -> Started:
        """Start the container, attached to `session` where there is one, in whose `foreground` it ends with it.

        Raises InvalidState, NotFound, StartFailed, Unsupported.
        """
        joined = row.options.joined()
        request = start_request(row, self.directory(row.id), session, foreground=foreground)
        streams = session.descriptors if session else ()
        with (
            self._alone(row.id),
            self._client.namespaces(joined) as namespaces,
            self._client.prepared(row.id, row.spec, row.options) as networking,
            opened(container_directory(self._client.run_dir, row.id), row.options.bindings()) as channel,
        ):
            started = self._client.start(request, row.spec_text, (*streams, *channel, *namespaces), networking)
        try:
            if started.stubs and row.spec.root.overlay is not None:
                self._keep_stubs(Path(row.spec.root.overlay.lower[0]), started.stubs)
        except BaseException:
            started.connection.close()
            raise
        return started

    @contextlib.contextmanager
    def _alone(self, container_id: str) -> Iterator[None]:
        """Nobody else starts the container meanwhile; raises InvalidState where somebody has, NotFound."""
        try:
            lock = leftovers.lock(self.directory(container_id), fcntl.LOCK_EX)
        except FileNotFoundError as error:
            raise NotFound("container", container_id[:12], "it has been removed") from error
        with lock:
            if self._client.record(container_id) is not None:
                state.check(container_id, "start", Status.RUNNING)
            yield

    def with_stubs(self, lower: Sequence[Path]) -> tuple[Path, ...]:
        """The layers (topmost first) under the mount points that they lack, where these are known."""
        stubs = self._stubs / lower[0].name
        return (stubs, *lower) if stubs.is_dir() else tuple(lower)

    def without_stubs(self, lower: Sequence[str]) -> list[Path]:
        """The layers (topmost first) as they are in the image."""
        return [path for path in map(Path, lower) if path.parent != self._stubs]

    def _keep_stubs(self, top: Path, stubs: Sequence[Sequence[int | str]]) -> None:
        """Make a layer of what a container of these layers had to make, for the next ones."""
        target, temporary = self._stubs / top.name, self._stubs / f".{secrets.token_hex(8)}"
        if top.parent == self._stubs or target.exists():
            return
        try:
            temporary.mkdir(mode=0o755, parents=True)
            make_layer(str(temporary), stubs)
            temporary.rename(target)
        except OSError:  # a full disk, or another process was quicker: the next container does without
            with contextlib.suppress(OSError):
                remove_tree(temporary)

    def run(self, row: Row, on_output: OnOutput, on_start: OnStart, attachment: Attachment) -> Record:
        """Start the container, move its streams until it has ended, and return what became of it.

        Raises StartFailed, Detached; KeyboardInterrupt after an interrupt has ended it.
        """
        with Session(on_output, replace(attachment, tty=row.spec.process.terminal)) as session:
            started = self.start(row, session, foreground=attachment.owner)
            with started.connection:
                on_start(started)
                ended = session.follow(started.connection, started.record.pid)
        if ended is None:
            return Record(exit_status=state.LOST_STATUS, error=state.LOST)
        return record_of(ended)

    def kill(self, row: Row, number: int, *, thaw: bool = False) -> None:
        """Send a signal to process 1, which goes on with `thaw`; raises InvalidState where it doesn't run."""
        if not self._client.signal(row.id, number, thaw=thaw):
            state.check(row.id, "kill", self.state(row.id).status)

    def freeze(self, row: Row, *, frozen: bool) -> None:
        """Make all its processes stand still, or go on; raises InvalidState, ContainerError."""
        if not self._client.freeze(row.id, frozen=frozen):
            state.check(row.id, "pause" if frozen else "unpause", self.state(row.id).status)

    def stop(self, row: Row, number: int, timeout_s: float | None) -> bool:
        """Send the stop signal, and SIGKILL where that hasn't ended the container in time; False if it doesn't run."""
        if not self._client.signal(row.id, number, thaw=True):
            return False
        try:
            self._client.wait(row.id, timeout_s)
        except TimeoutError:
            self._client.signal(row.id, signal.SIGKILL)
            self._client.wait(row.id)
        return True

    def wait(self, row: Row) -> ContainerState:
        """Wait until the container doesn't run; its state then. Raises NotFound where it is gone by now."""
        ended = self._client.wait(row.id)
        return self.state(row.id) if ended is None else state.derive(ended, alive=False)

    # -- repairing ---------------------------------------------------------------------------------------------

    def collect(self) -> list[Row]:
        """Remove what dead processes left: half-made containers, --rm ones that lost their monitor, cgroups.

        The containers that there are come back.
        """
        self._collect_stubs()
        pause.collect(self._root)
        rows = self.rows()
        for row in rows:
            record = self.record(row.id)
            if record is not None and record.paused and self._client.record(row.id) is None:
                Group(
                    hierarchy.detect(), record.cgroup
                ).kill()  # its monitor is gone, and couldn't end what stood still
        kept = {row.id for row in rows if not row.options.remove}
        for path in self._root.iterdir() if self._root.is_dir() else ():
            if path.name not in kept:
                self._collect_one(path)
        return rows

    def _collect_stubs(self) -> None:
        """Remove the mount points of layers that are gone."""
        layers = self._root.parent / "layers"
        for path in list(self._stubs.iterdir()) if self._stubs.is_dir() else ():
            if not path.name.startswith(".") and not (layers / path.name).exists():
                with contextlib.suppress(OSError):
                    remove_tree(path)

    def _collect_one(self, directory: Path) -> None:
        """Remove the container unless somebody is making or starting it, it runs, or it is somebody's to start."""
        with contextlib.suppress(OSError), leftovers.lock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
            if self._abandoned(directory) and self._client.record(directory.name) is None:
                self.delete(directory.name)

    def _abandoned(self, directory: Path) -> bool:
        """Whether the container has no row, or was to remove itself by now; for who holds its lock."""
        found = self._database.query("SELECT * FROM containers WHERE id = ?", (directory.name,))
        if not found:
            return True
        record = self.record(directory.name) if _row(found[0]).options.remove else None
        if record is None:
            return False
        age_s = time.time() - (directory / "state.json").stat().st_mtime
        return bool(record.started_ns) or age_s > leftovers.YOUNG_S


def _row(row: sqlite3.Row) -> Row:
    return Row(
        row["id"],
        row["name"],
        row["image_id"],
        row["image_reference"],
        row["created_ns"],
        decode(Spec, json.loads(row["spec"])),
        row["spec"],
        decode(RunOptions, json.loads(row["options"])),
        json.loads(row["labels"]),
    )
