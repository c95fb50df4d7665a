"""Push images: from names in the store to the same names in their registry, byte for byte.

Layers and config first, several at once, and the manifest when all of them are there: nobody ever finds a tag whose
image isn't whole. What one tag brought, the next one finds. Source: distribution-spec "Push".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final

from dockmagic.errors import InvalidOption, InvalidReference, NotFound
from dockmagic.events import OnEvent, PushFinished, PushProgress, PushStarted, ignore
from dockmagic.image.destination import Destination
from dockmagic.image.foreign import is_foreign
from dockmagic.image.platform import describe, platform_of, suits
from dockmagic.image.registry import RegistryClient
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.upload import Upload
from dockmagic.image.workers import Workers
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Manifest, parse_manifest
from dockmagic.oci.reference import DEFAULT_TAG, Reference

AT_ONCE: Final = 5  # as Docker's max-concurrent-uploads
_FAREWELL_S: Final = 2.0  # for telling the registry of uploads that won't end


@dataclass(frozen=True, slots=True)
class Pushed:
    """A name that the registry has now; digest and size in bytes are those of the manifest."""

    reference: Reference
    digest: Digest
    size_bytes: int


def chosen(store: ImageStore, name: str, *, all_tags: bool, platform: Platform | None) -> list[tuple[Reference, Image]]:
    """The image that a name means, or those of all tags of a repository, sorted by tag.

    Raises InvalidOption also for an image of another platform, InvalidReference, NotFound.
    """
    reference = Reference.parse(name, default_tag="")
    if reference.digest is not None:
        raise InvalidReference(f"cannot push a digest reference: {name!r}; give the image a tag, and push that")
    if all_tags and reference.tag:
        raise InvalidOption(f"tag can't be used with --all-tags/-a: {name!r}; name the repository alone")
    found = [
        (each, image)
        for image in store.list_images()
        for each in image.references
        if each.name == reference.name and each.tag and (all_tags or each.tag == (reference.tag or DEFAULT_TAG))
    ]
    if not found:
        wanted = reference.familiar_name if all_tags else replace(reference, tag=reference.tag or DEFAULT_TAG).familiar
        raise NotFound("image", wanted, "name one so with `tag`; `image ls` shows what is here")
    for each, image in found:
        _check_platform(each, image, platform)
    return sorted(found, key=lambda item: item[0].tag)


def _check_platform(reference: Reference, image: Image, platform: Platform | None) -> None:
    """Raise InvalidOption unless the image is for the platform."""
    offered = platform_of(image.config)
    if platform is not None and not suits(offered, platform):
        raise InvalidOption(
            f"image with reference {reference.familiar} was found but does not provide the specified platform "
            f"({describe(platform)}); it is for {describe(offered)}"
        )


def push(
    items: Sequence[tuple[Reference, Image]],
    *,
    client: RegistryClient,
    store: ImageStore,
    on_event: OnEvent = ignore,
) -> tuple[Pushed, ...]:
    """Push images of one repository, one tag after the other.

    Reports PushStarted, the progress of each layer, and PushFinished for each tag.
    Raises RegistryError, DigestMismatch, NotFound or StoreError; tags that were pushed before that stay so.
    """
    with _pushing(items[0][0], client, store, on_event) as uploader:
        return tuple(
            _push(uploader, reference, image.manifest, store.read_blob(image.manifest_digest), on_event)
            for reference, image in items
        )


def push_artifact(
    reference: Reference, data: bytes, *, client: RegistryClient, store: ImageStore, on_event: OnEvent = ignore
) -> Pushed:
    """Push a manifest, all of whose blobs are in the store; as `push` does an image. Raises InvalidReference, too."""
    if not reference.tag:
        raise InvalidReference(f"cannot push a digest reference: {reference.familiar!r}; name a tag")
    manifest = parse_manifest(data)
    assert isinstance(manifest, Manifest)
    with _pushing(reference, client, store, on_event) as uploader:
        return _push(uploader, reference, manifest, data, on_event)


@contextmanager
def _pushing(reference: Reference, client: RegistryClient, store: ImageStore, on_event: OnEvent) -> Iterator[Uploader]:
    """What brings blobs into the reference's repository."""
    on_event(PushStarted(reference.name))
    with store.workspaces.hold(), Uploader(reference, client, store, on_event) as uploader:
        yield uploader


def _push(uploader: Uploader, reference: Reference, manifest: Manifest, data: bytes, on_event: OnEvent) -> Pushed:
    """Push the manifest with these bytes under one tag, after its blobs."""
    uploader.bring(manifest.layers, manifest.config)
    destination = Destination(uploader.client.exchange, reference)
    destination.exchange.patiently(lambda: destination.put_manifest(manifest.media_type, data))
    pushed = Pushed(reference, Digest.of(data), len(data))
    on_event(PushFinished(reference.familiar, pushed.digest, pushed.size_bytes))
    return pushed


class Uploader:
    """Brings blobs into one repository inside its `with`; leaving it by an error ends what is under way."""

    def __init__(self, reference: Reference, client: RegistryClient, store: ImageStore, on_event: OnEvent) -> None:
        self.client = client
        self._reference = reference
        self._exchange = client.exchange
        self._destination = Destination(client.exchange, reference)
        self._store = store
        self._on_event = on_event
        self._workers = Workers(AT_ONCE, "push", self._exchange.cancel)
        self._uploads: list[Upload] = []
        self._failed = threading.Event()
        self._known: set[Digest] = set()

    def __enter__(self) -> Uploader:
        self._workers.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._workers.__exit__(kind, error, trace)
        finally:
            self._exchange.resume()
            if error is not None:
                self._take_leave()

    def bring(self, layers: Sequence[Descriptor], config: Descriptor) -> None:
        """Have all of these in the repository; raises the first error of any."""
        distinct = {layer.digest: layer for layer in layers}.values()
        for layer in distinct:
            self._say(layer, "preparing")
        ours = [layer for layer in distinct if not self._is_over(layer)]
        for layer in ours:
            self._say(layer, "waiting")
        futures = [self._start(layer, self._on_event) for layer in ours]
        if config.digest not in self._known:
            futures.append(self._start(config, ignore))
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        brought = [descriptor.digest for descriptor in (*ours, config)]
        self._known.update(brought)
        self._store.whereabouts.note(brought, self._reference)

    def _is_over(self, layer: Descriptor) -> bool:
        """Whether a layer needs nothing more, which is said then."""
        if is_foreign(layer):
            self._say(layer, "skipped")
        elif layer.digest in self._known:
            self._say(layer, "exists", layer.size)
        else:
            return False
        return True

    def _start(self, descriptor: Descriptor, on_event: OnEvent) -> Future[object]:
        """Begin to bring a blob, when its turn has come."""
        path = self._store.blob_path(descriptor.digest)
        chunk_bytes = self.client.registries.chunk_bytes
        upload = Upload(self._destination, descriptor, path, self._store.whereabouts, chunk_bytes, on_event)
        self._uploads.append(upload)
        return self._workers.submit(self._run, upload)

    def _run(self, upload: Upload) -> None:
        """Bring a blob; none begins after one of them has failed."""
        if self._failed.is_set():
            return
        try:
            upload.run()
        except BaseException:
            self._failed.set()
            raise

    def _take_leave(self) -> None:
        """Tell the registry of all uploads that won't end, as far as that takes no time to speak of."""
        alarm = threading.Timer(_FAREWELL_S, self._exchange.cancel)
        alarm.start()
        try:
            for upload in self._uploads:
                upload.give_up()
        finally:
            alarm.cancel()
            alarm.join()
            self._exchange.resume()

    def _say(self, layer: Descriptor, status: str, size: int = 0) -> None:
        self._on_event(PushProgress(layer.digest, status, size, layer.size))
