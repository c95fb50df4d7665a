"""Images written as files: an archive of Docker's or of OCI's kind, or an OCI image layout in a directory.

Blobs are copied as they are in the store, so that manifests, configs and layers keep their digests. Nothing depends on
the present time: the same images give the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tarfile import DIRTYPE
from typing import Final

from dockmagic.errors import InvalidManifest, InvalidOption, NotFound, StoreError
from dockmagic.image.blobs import BlobStore
from dockmagic.image.layout import (
    IMAGE_NAME,
    INDEX_FILE,
    LAYOUT,
    LAYOUT_FILE,
    REF_NAME,
    Plan,
    Saved,
    index_entries,
    plan_docker,
    plan_layout,
)
from dockmagic.image.streams import Sink, output_errors
from dockmagic.image.tar_header import Entry
from dockmagic.image.tar_writer import TarWriter
from dockmagic.image.tree_reader import NO_CONTENT
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.manifest import Index, dump_manifest, parse_manifest

_FILE_MODE: Final = 0o444
_DIRECTORY_MODE: Final = 0o755


def save_docker(images: Sequence[Saved], blobs: BlobStore, out: Sink) -> None:
    """Write the archive that `docker save` writes, which is an OCI layout too; raises NotFound, StoreError."""
    write_tar(plan_docker(images), blobs, out)


def save_oci(images: Sequence[Saved], blobs: BlobStore, out: Sink) -> None:
    """Write an OCI layout as an archive; raises NotFound, StoreError."""
    write_tar(plan_layout(images), blobs, out)


def write_tar(plan: Plan, blobs: BlobStore, out: Sink) -> None:
    """Write the planned files, each after its directories. Raises NotFound without a blob, StoreError."""
    writer = TarWriter(out)
    made: set[str] = set()
    with output_errors("write the archive"):
        for path, content in plan.items():
            for parent in reversed(Path(path).parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    writer.add(Entry(os.fsencode(parent), DIRTYPE, _DIRECTORY_MODE), NO_CONTENT)
            _add(writer, path, content, blobs)
        writer.finish()


def _add(writer: TarWriter, path: str, content: bytes | Descriptor, blobs: BlobStore) -> None:
    """Write a file of the plan."""
    if isinstance(content, bytes):
        writer.add_bytes(Entry(path.encode(), mode=_FILE_MODE), content)
        return
    fd = open_blob(content, blobs)
    try:
        writer.add(Entry(path.encode(), mode=_FILE_MODE, size=content.size, stored=content.size), fd)
    finally:
        os.close(fd)


def open_blob(descriptor: Descriptor, blobs: BlobStore) -> int:
    """Descriptor of the blob's file; raises NotFound, and StoreError where it hasn't the size that it must have."""
    try:
        fd = os.open(blobs.blob_path(descriptor.digest), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound("blob", descriptor.digest, "the store is incomplete; pull or build the image again") from error
    size = os.fstat(fd).st_size
    if size != descriptor.size:
        os.close(fd)
        raise StoreError(f"blob {descriptor.digest} has {size} bytes, expected {descriptor.size}; get the image again")
    return fd


def write_layout(images: Sequence[Saved], blobs: BlobStore, directory: Path) -> None:
    """Write an OCI layout into a directory, made where missing; one that is there gets these images in addition.

    A name that the layout had already moves to the new image. Raises InvalidOption for a directory that holds something
    else, InvalidManifest for a damaged index, NotFound, StoreError. The index comes last: until then the layout is what
    it was.
    """
    with output_errors(f"write the image layout {directory}"):
        index = dump_manifest(_merged(_present_index(directory), index_entries(images)))
        copies = {path: content for path, content in plan_layout(images).items() if isinstance(content, Descriptor)}
        _place_all({**copies, LAYOUT_FILE: LAYOUT, INDEX_FILE: index}, blobs, directory)


def write_directory(plan: Plan, blobs: BlobStore, directory: Path) -> None:
    """Write the planned files, in their order, into a directory, made where missing. Raises NotFound, StoreError."""
    with output_errors(f"write {directory}"):
        _place_all(plan, blobs, directory)


def _place_all(plan: Plan, blobs: BlobStore, directory: Path) -> None:
    """Put each planned file at its place, in their order."""
    for path, content in plan.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Descriptor):
            _place_blob(directory / path, content, blobs)
        else:
            _place(directory / path, content)


def _present_index(directory: Path) -> Index:
    """The index of the layout that is there, an empty one where nothing is."""
    directory.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        index = parse_manifest((directory / INDEX_FILE).read_bytes())
        if isinstance(index, Index):
            return index
        raise InvalidManifest(f"{directory / INDEX_FILE} is no index; choose another directory")
    if any(directory.iterdir()):
        raise InvalidOption(f"{directory} holds something else than an OCI image layout; choose an empty directory")
    return Index(())


def _merged(before: Index, added: Sequence[Descriptor]) -> Index:
    """The index with these entries, which take their names from older ones."""
    taken = {_name(entry) for entry in added}
    kept = [entry for entry in before.manifests if _name(entry) not in taken]
    return replace(before, manifests=(*kept, *added))


def _name(entry: Descriptor) -> str:
    """What tells an entry of an index from the others: its name, or the digest where it has none."""
    return entry.annotations.get(IMAGE_NAME) or entry.annotations.get(REF_NAME) or entry.digest


def _place_blob(path: Path, descriptor: Descriptor, blobs: BlobStore) -> None:
    """Copy a blob to its place in a layout, unless it is there."""
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}")
    with os.fdopen(open_blob(descriptor, blobs), "rb") as source, temporary.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    temporary.rename(path)


def _place(path: Path, content: bytes) -> None:
    """Write a small file under a temporary name, and give it its own."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(content)
    temporary.rename(path)
