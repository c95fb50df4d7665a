"""One blob's way into a repository: none where it is there, else mounted, else sent and resumed where it broke off.

A blob that fits into one chunk is sent with a single request after the one that opens the upload, a larger one chunk by
chunk. Source: distribution-spec "Pushing blobs".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dockmagic.errors import NotFound, RegistryError, StoreError
from dockmagic.events import OnEvent, PushProgress
from dockmagic.image.destination import Destination, Session
from dockmagic.image.whereabouts import Whereabouts
from dockmagic.image.workspace import store_errors
from dockmagic.oci.descriptor import Descriptor

_PIECE: Final = 1 << 17  # bytes that are read and sent at once
_HINT: Final = "`system fsck` tries to restore it"


class FilePart:
    """Bytes of a file as a request's body: `count` from `start` on. `on_read` gets the place in the file so far."""

    def __init__(self, path: Path, start: int, count: int, on_read: Callable[[int], None]) -> None:
        self._path = path
        self._start = start
        self._count = count
        self._on_read = on_read

    def __len__(self) -> int:
        """How many bytes it has."""
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, piece by piece. Raises StoreError, NotFound."""
        place, end = self._start, self._start + self._count
        with store_errors(f"read {self._path}"):
            try:
                file = self._path.open("rb", buffering=0)
            except FileNotFoundError as error:
                raise NotFound("blob", self._path.name, _HINT) from error
        with file:
            file.seek(place)
            while place < end:
                with store_errors(f"read {self._path}"):
                    piece = file.read(min(_PIECE, end - place))
                if not piece:
                    raise StoreError(f"{self._path} ends after {place} bytes, too early; {_HINT}")
                yield piece
                place += len(piece)
                self._on_read(place)


class Upload:
    """A blob that goes up, and the tries that it takes. One thread runs it; another may give it up afterwards."""

    def __init__(
        self,
        destination: Destination,
        descriptor: Descriptor,
        path: Path,
        whereabouts: Whereabouts,
        chunk_bytes: int,
        on_event: OnEvent,
    ) -> None:
        self._destination = destination
        self._exchange = destination.exchange
        self._descriptor = descriptor
        self._path = path
        self._whereabouts = whereabouts
        self._chunk_bytes = chunk_bytes
        self._on_event = on_event
        self._session: Session | None = None
        self._furthest = 0
        self._is_resumed = False

    def run(self) -> None:
        """Bring the blob into the repository. Raises RegistryError where no try helps, NotFound, StoreError."""
        failures, furthest = 0, 0
        while True:
            try:
                self._try()
                return
            except RegistryError as error:
                self._furthest = max(self._furthest, self._session.received if self._session else 0)
                failures = 1 if self._furthest > furthest else failures + 1
                furthest = self._furthest
                self._exchange.wait_after(failures, error, self._say_retry)

    def give_up(self) -> None:
        """Tell the registry that an upload which has begun won't end."""
        session, self._session = self._session, None
        if session is not None:
            self._destination.give_up(session)

    def _try(self) -> None:
        """What is left to do."""
        if self._session is not None:
            self._session = self._destination.status(self._session)
            self._is_resumed = self._session is not None
        if self._session is None and self._is_there():
            return
        assert self._session is not None
        self._send(self._session)
        self._say("pushed", self._descriptor.size)

    def _is_there(self) -> bool:
        """Whether nothing need be sent; else there is a session now."""
        size, digest = self._descriptor.size, self._descriptor.digest
        if self._destination.has_blob(digest):
            self._say("pushed" if self._furthest else "exists", size)
            return True
        reference = self._destination.reference
        source = self._whereabouts.elsewhere(digest, reference)
        self._session = self._destination.mount(digest, source) if source else self._destination.begin(digest)
        if self._session is None:
            self._say("mounted", size, f"from {source}")
            return True
        if source:
            self._whereabouts.forget(digest, reference.registry, source)
        return False

    def _send(self, session: Session) -> None:
        """Send what the registry hasn't got, and end the upload."""
        digest, size = self._descriptor.digest, self._descriptor.size
        self._say("uploading", session.received)
        body = None
        if session.received == 0 and size <= self._chunk_bytes:
            body = self._part(0, size)
        else:
            while session.received < size:
                count = min(max(self._chunk_bytes, session.least_bytes), size - session.received)
                session = self._destination.send(session, digest, self._part(session.received, count))
                self._session = session
        try:
            self._destination.finish(session, digest, body)
        except RegistryError as error:
            if error.code == "DIGEST_INVALID" and self._is_resumed:  # the pieces may not fit together
                error.passing = True
                self.give_up()
            raise
        self._session = None

    def _part(self, start: int, count: int) -> FilePart:
        return FilePart(self._path, start, count, self._went_on)

    def _went_on(self, place: int) -> None:
        self._exchange.check_cancelled()
        self._say("uploading", place)

    def _say(self, status: str, size: int, detail: str = "") -> None:
        self._on_event(PushProgress(self._descriptor.digest, status, size, self._descriptor.size, detail))

    def _say_retry(self, error: RegistryError, pause_s: float) -> None:
        self._say("retrying", self._furthest, f"in {pause_s:.1f} s: {error}")
