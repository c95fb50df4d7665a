"""Images as a Python package: a wheel that holds an OCI layout, and an entry point by which it is found.

    <package>/__init__.py
    <package>/layout/        the OCI layout: oci-layout, index.json, blobs/
    <name>-<version>.dist-info/{METADATA,WHEEL,entry_points.txt,RECORD}

Nothing depends on the present time, and nothing is compressed once more: the same images give the same bytes, whatever
zlib there is. Sources: PEP 427 (wheels), the packaging guide's "Recording installed projects" (RECORD), "Entry points".
"""

from __future__ import annotations

import hashlib
import os
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from dockmagic.errors import DigestMismatch, InvalidOption
from dockmagic.image.archive_write import open_blob
from dockmagic.image.blobs import BlobStore
from dockmagic.image.layout import Saved, plan_layout
from dockmagic.image.streams import output_errors
from dockmagic.image.whole import whole_file
from dockmagic.oci.descriptor import Descriptor

GROUP: Final = "dockmagic.images"
LAYOUT_DIRECTORY: Final = "layout"
_PREFIX: Final = "dockmagic-image-"
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)  # zip has no earlier one
_MODE: Final = 0o100644 << 16
_UNIX: Final = 3
_CHUNK: Final = 1 << 20
_LARGE: Final = 1 << 31
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: dockmagic\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, slots=True)
class Package:
    """A package's name and version, both normalized."""

    name: str
    version: str

    @property
    def module(self) -> str:
        """What it is called in Python, and in the name of its file."""
        return self.name.replace("-", "_")

    @property
    def filename(self) -> str:
        """The wheel's name."""
        return f"{self.module}-{self.version}-py3-none-any.whl"


def package_of(images: Sequence[Saved], name: str = "", version: str = "") -> Package:
    """The package of these images: by default named after the first one, its tag being the version if it can be one.

    Raises InvalidOption for a name or a version that no package can have, and for an image without a name.
    """
    for item in images:
        if not item.references:
            raise InvalidOption(f"{item.image.id.short}: give the image by its name; by that it will be asked for")
    first = images[0].references[0]
    given = name or _PREFIX + first.repository.rpartition("/")[2]
    try:
        normal = str(canonicalize_name(given, validate=True))
    except InvalidName as error:
        raise InvalidOption(f"--name {given!r}: expected letters, digits, '-', '_' and '.'") from error
    if not normal[0].isalpha():
        raise InvalidOption(f"--name {given!r}: expected a letter first; it is the name of a Python package too")
    return Package(normal, _version(version, first.tag))


def write_wheel(images: Sequence[Saved], package: Package, blobs: BlobStore, directory: Path) -> Path:
    """Write the wheel into a directory, made where missing; its path. Raises NotFound, StoreError, DigestMismatch."""
    with output_errors(f"make {directory}"):
        directory.mkdir(parents=True, exist_ok=True)
    path = directory / package.filename
    with whole_file(path) as file, output_errors(f"write {path}"), ZipFile(file, "w", ZIP_STORED) as archive:
        record = [_write(archive, name, content, blobs) for name, content in _plan(images, package)]
        own = f"{package.module}-{package.version}.dist-info/RECORD"
        _write(archive, own, "".join([*record, f"{own},,\n"]).encode(), blobs)
    return path


def _version(given: str, tag: str) -> str:
    """The version that was given, else the tag, else 0; normalized."""
    if given:
        try:
            return str(Version(given))
        except InvalidVersion as error:
            raise InvalidOption(f"--version {given!r}: expected one such as 1.0 or 2024.2") from error
    try:
        return str(Version(tag))
    except InvalidVersion:
        return "0"


def _plan(images: Sequence[Saved], package: Package) -> Iterator[tuple[str, bytes | Descriptor]]:
    """Files of the wheel but RECORD, in their order."""
    names = _names(images)
    yield f"{package.module}/__init__.py", f'"""Container images for dockmagic: {names}."""\n'.encode()
    for path, content in plan_layout(images).items():
        yield f"{package.module}/{LAYOUT_DIRECTORY}/{path}", content
    information = f"{package.module}-{package.version}.dist-info"
    yield (
        f"{information}/METADATA",
        (
            f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n"
            f"Summary: Container images for dockmagic: {names}\n"
        ).encode(),
    )
    yield f"{information}/WHEEL", _WHEEL.encode()
    yield f"{information}/entry_points.txt", f"[{GROUP}]\n{package.module} = {package.module}\n".encode()


def _names(images: Iterable[Saved]) -> str:
    return ", ".join(reference.familiar for item in images for reference in item.references)


def _write(archive: ZipFile, name: str, content: bytes | Descriptor, blobs: BlobStore) -> str:
    """Write a file; its line of RECORD."""
    entry = ZipInfo(name, _FIRST_DAY)
    entry.external_attr = _MODE
    entry.create_system = _UNIX
    if isinstance(content, bytes):
        archive.writestr(entry, content)
        return _line(name, hashlib.sha256(content).digest(), len(content))
    return _line(name, _copy(archive, entry, content, blobs), content.size)


def _copy(archive: ZipFile, entry: ZipInfo, descriptor: Descriptor, blobs: BlobStore) -> bytes:
    """Copy a blob; its sha256. Raises DigestMismatch where it isn't what its digest says."""
    recorded, check = hashlib.sha256(), hashlib.new(descriptor.digest.algorithm)
    with (
        os.fdopen(open_blob(descriptor, blobs), "rb") as source,
        archive.open(entry, "w", force_zip64=descriptor.size >= _LARGE) as target,
    ):
        while chunk := source.read(_CHUNK):
            recorded.update(chunk)
            check.update(chunk)
            target.write(chunk)
    actual = f"{descriptor.digest.algorithm}:{check.hexdigest()}"
    if actual != descriptor.digest:
        raise DigestMismatch("blob", expected=descriptor.digest, actual=actual)
    return recorded.digest()


def _line(name: str, digest: bytes, size: int) -> str:
    """A line of RECORD."""
    return f"{name},sha256={urlsafe_b64encode(digest).rstrip(b'=').decode()},{size}\n"
