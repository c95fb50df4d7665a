"""Blobs from a registry into the store: several at once, each verified as it arrives, resumed where it broke off.

What was stored stays, whatever happens to the others. A blob that another thread or process fetches is waited for.
Source: distribution-spec "Pulling blobs" (Range), RFC 9110 section 14.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from dockmagic.errors import DigestMismatch, RegistryError
from dockmagic.events import OnEvent, PullProgress
from dockmagic.image.arrival import Arrival
from dockmagic.image.blobs import BlobWriter
from dockmagic.image.foreign import foreign_blob, is_foreign
from dockmagic.image.registry import BlobBody, RegistryClient
from dockmagic.image.store import ImageStore
from dockmagic.image.workers import Workers
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference

AT_ONCE: Final = 3  # as Docker's max-concurrent-downloads
_LOOK_AGAIN_S: Final = 0.05


class Fetcher:
    """Fetches blobs of one repository inside its `with`; leaving it by an error gives up what is under way."""

    def __init__(self, reference: Reference, client: RegistryClient, store: ImageStore, on_event: OnEvent) -> None:
        self._reference = reference
        self._client = client
        self._exchange = client.exchange
        self._store = store
        self._on_event = on_event
        self._workers = Workers(AT_ONCE, "fetch", self._exchange.cancel)
        self._arrivals: dict[Digest, Arrival] = {}

    def __enter__(self) -> Fetcher:
        self._workers.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._workers.__exit__(kind, error, trace)
        finally:
            self._exchange.resume()
            for arrival in self._arrivals.values():
                arrival.close()

    def start(self, descriptor: Descriptor) -> Arrival:
        """The blob's arrival, which begins when its turn has come; those asked for first come first."""
        arrival = self._arrivals.get(descriptor.digest)
        if arrival is None:
            arrival = self._arrivals[descriptor.digest] = Arrival(descriptor)
            self._workers.submit(self._bring, arrival)
        return arrival

    def _bring(self, arrival: Arrival) -> None:
        """Fetch a blob; whatever goes wrong is for those who wait for any of them."""
        digest = arrival.descriptor.digest
        try:
            with self._store.receive(arrival.descriptor, self._wait) as writer:
                if writer is not None:
                    _Download(self._client, self._reference, arrival, writer, self._on_event).run()
            arrival.finish(self._store.blob_path(digest))
        except BaseException as error:  # raised where the blob is used
            for other in self._arrivals.copy().values():
                other.fail(error)

    def _wait(self) -> None:
        """Wait a moment for whoever fetches the same blob."""
        self._exchange.check_cancelled()
        time.sleep(_LOOK_AGAIN_S)


class _Download:
    """One blob's way into its writer, and the tries that it takes."""

    def __init__(
        self, client: RegistryClient, reference: Reference, arrival: Arrival, writer: BlobWriter, on_event: OnEvent
    ) -> None:
        self._client = client
        self._reference = reference
        self._arrival = arrival
        self._descriptor = arrival.descriptor
        self._writer = writer
        self._on_event = on_event

    def run(self) -> None:
        """Write all of the blob and commit it; raises RegistryError where no try helps, DigestMismatch, StoreError."""
        self._arrival.begin(self._writer.path)
        failures, furthest = 0, 0
        while True:
            try:
                self._receive()
                break
            except RegistryError as error:
                failures = 1 if self._writer.size > furthest else failures + 1
                furthest = max(furthest, self._writer.size)
                self._client.exchange.wait_after(failures, error, self._say_retry)
        self._say("downloaded", self._descriptor.size)

    def _receive(self) -> None:
        """Write what is missing, and commit all of it. Where it was wrong, nothing is kept."""
        with self._open() as body:
            if body.offset != self._writer.size:
                self._arrival.grow(0)
                self._writer.restart()
            try:
                self._take(body)
                self._writer.commit()
            except DigestMismatch as error:
                self._arrival.spoil()
                self._writer.restart()
                if not body.offset:
                    raise
                parts = f"blob {self._descriptor.digest.short}: what came in two parts doesn't fit together"
                raise RegistryError(f"{parts}: {error}", passing=True) from error

    def _take(self, body: BlobBody) -> None:
        """Write the rest as it comes; raises RegistryError where it ends too early."""
        try:
            for chunk in body.chunks:
                self._client.exchange.check_cancelled()
                self._writer.write(chunk)
                self._arrival.grow(self._writer.size)
                self._say("downloading", self._writer.size)
        except RegistryError:
            if self._writer.size != self._descriptor.size:  # an end that doesn't come is nothing to wait for
                raise
        if not body.delimited and self._writer.size < self._descriptor.size:
            so_far = f"{self._writer.size} of {self._descriptor.size} bytes"
            raise RegistryError(f"blob {self._descriptor.digest.short} ended after {so_far}", passing=True)

    def _open(self) -> AbstractContextManager[BlobBody]:
        """The blob from where we are on."""
        if is_foreign(self._descriptor):
            return foreign_blob(self._client, self._reference, self._descriptor)
        return self._client.blob(self._reference, self._descriptor.digest, self._writer.size)

    def _say(self, status: str, size: int, detail: str = "") -> None:
        self._on_event(PullProgress(self._descriptor.digest, status, size, self._descriptor.size, detail))

    def _say_retry(self, error: RegistryError, pause_s: float) -> None:
        self._say("retrying", self._writer.size, f"in {pause_s:.1f} s: {error}")
