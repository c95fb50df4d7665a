"""The images in an archive: an OCI layout's, and those of the manifest.json that Docker, kaniko and others write.

Reads and checks everything, and changes nothing. Every file is checked against the digest that names it; whether a
layer has its diff ID shows when it is unpacked. Sources: image-spec image-layout.md; Docker image specification v1.2,
"Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dockmagic.errors import DigestMismatch, InvalidManifest, InvalidReference
from dockmagic.image.archive_files import Archive, File, plain_name, read_document
from dockmagic.image.layout import IMAGE_NAME, INDEX_FILE, LAYOUT_FILE, MANIFEST_FILE, REF_NAME, blob_path
from dockmagic.image.limits import DEFAULT_LIMITS, Limits
from dockmagic.image.platform import choose, describe, host_platform, suits
from dockmagic.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.fields import Fields
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.image_json import parse_image_config
from dockmagic.oci.manifest import Index, Manifest, parse_manifest
from dockmagic.oci.reference import Reference

_DEEPEST_INDEX: Final = 4
_LAYOUT_VERSION: Final = "1.0.0"
_MAGICS: Final = {
    b"\x1f\x8b": OCI_LAYER_GZIP,
    b"\x28\xb5\x2f\xfd": OCI_LAYER_ZSTD,
}
_UNTYPED: Final = (b"BZh", b"\xfd7zXZ\x00")  # compressions that no media type stands for


@dataclass(frozen=True, slots=True)
class Found:
    """An image of an archive: its config, its layers (lowest first), its names, and its manifest where it has one."""

    image_id: Digest
    config: ImageConfig
    raw_config: bytes
    layers: tuple[tuple[Descriptor, File], ...]
    references: tuple[Reference, ...] = ()
    raw_manifest: bytes | None = None


def read_images(archive: Archive, platform: Platform | None = None, limits: Limits = DEFAULT_LIMITS) -> list[Found]:
    """The images of an archive, each once, in its order; of an index the one for `platform` (None: this machine's).

    Raises InvalidManifest for what isn't an archive of images or lacks a part, DigestMismatch for a part that isn't
    what its digest says.
    """
    reader = _Reader(archive, platform, limits)
    found: dict[Digest, Found] = {}
    for image in (*reader.of_layout(), *reader.of_manifest_file()):
        known = found.get(image.image_id, image)
        names = dict.fromkeys((*known.references, *image.references))
        found[image.image_id] = replace(known, references=tuple(names))
    if not found:
        raise InvalidManifest(
            f"the archive holds no image: neither {INDEX_FILE} nor {MANIFEST_FILE} names one; "
            "`import` makes an image of an archived root file system"
        )
    return list(found.values())


def read_named(archive: Archive, name: str, platform: Platform | None = None) -> Found:
    """The image of an OCI layout that has this tag or digest; raises as `read_images`."""
    return _Reader(archive, platform, DEFAULT_LIMITS).of_name(name)


@dataclass(frozen=True, slots=True)
class _Reader:
    """An archive, the platform that was asked for, and the limits."""

    archive: Archive
    platform: Platform | None
    limits: Limits

    def of_layout(self) -> Iterator[Found]:
        """The images of the OCI layout; none where there is no layout."""
        index = self._index()
        for name, entries in _named(index.manifests).items() if index is not None else ():
            yield self._of_entries(entries, name if isinstance(name, Reference) else None)

    def of_name(self, name: str) -> Found:
        """The image of the OCI layout that the index has under this tag or digest, without its names."""
        index = self._index()
        if index is None:
            raise InvalidManifest(f"there is no OCI layout: {INDEX_FILE} is missing")
        named = [entry for entry in index.manifests if name in (entry.digest, entry.annotations.get(REF_NAME))]
        entries = list({entry.digest: entry for entry in named}.values())  # one with two names is there twice
        if not entries:
            tags = dict.fromkeys(entry.annotations.get(REF_NAME) or entry.digest for entry in index.manifests)
            raise InvalidManifest(f"the OCI layout has no image {name}; it has {', '.join(tags) or 'none'}")
        return self._of_entries(entries, None)

    def _index(self) -> Index | None:
        """The index of the OCI layout; None where there is no layout."""
        file = self.archive.find(INDEX_FILE)
        if file is None:
            return None
        self._check_version()
        index = parse_manifest(read_document(file, self.limits, INDEX_FILE))
        if not isinstance(index, Index):
            raise InvalidManifest(f"{INDEX_FILE}: expected an index, got a manifest")
        return index

    def of_manifest_file(self) -> Iterator[Found]:
        """The images of manifest.json; none where there is no such file."""
        file = self.archive.find(MANIFEST_FILE)
        if file is None:
            return
        for entry in Fields.parse_list(read_document(file, self.limits, MANIFEST_FILE), MANIFEST_FILE):
            yield self._of_manifest_entry(entry)

    def _check_version(self) -> None:
        """Raise InvalidManifest for a layout of another version."""
        file = self.archive.find(LAYOUT_FILE)
        if file is None:
            raise InvalidManifest(f"the archive has an {INDEX_FILE}, but no {LAYOUT_FILE}; it isn't whole")
        fields = Fields.parse(read_document(file, self.limits, LAYOUT_FILE), LAYOUT_FILE)
        version = fields.text("imageLayoutVersion")
        if version != _LAYOUT_VERSION:
            fields.refuse("imageLayoutVersion", f"expected {_LAYOUT_VERSION}, got {version!r}")

    def _of_entries(self, entries: Sequence[Descriptor], name: Reference | None) -> Found:
        """The image that entries of the same name stand for, one for each platform."""
        where = name.familiar if name is not None else f"image {entries[0].digest.short}"
        entry = entries[0] if len(entries) == 1 else self._chosen(entries, where)
        for _ in range(_DEEPEST_INDEX):
            raw = self._document(entry, where)
            document = parse_manifest(raw, entry.media_type)
            if isinstance(document, Manifest):
                found = self._of_manifest(document, raw, where)
                return replace(found, references=() if name is None else (name,))
            entry = self._chosen(document.manifests, where)
        raise InvalidManifest(f"{where}: indexes lie in each other more than {_DEEPEST_INDEX} deep")

    def _chosen(self, entries: Sequence[Descriptor], where: str) -> Descriptor:
        """The entry for the platform; raises InvalidManifest where there is none."""
        wanted = self.platform or host_platform()
        entry = choose(entries, wanted)
        if entry is None:
            offers = [describe(entry.platform) for entry in entries if entry.platform is not None]
            known = ", ".join(dict.fromkeys(offer for offer in offers if not offer.startswith("unknown")))
            raise InvalidManifest(
                f"{where}: there is no image for {describe(wanted)}; it has {known or 'none'}; choose with --platform"
            )
        return entry

    def _of_manifest(self, manifest: Manifest, raw: bytes, where: str) -> Found:
        """The image of a manifest of the layout."""
        if not manifest.is_image or manifest.artifact_type:
            kind = manifest.artifact_type or manifest.config.media_type
            raise InvalidManifest(f"{where} is no image but an artifact of type {kind}; no container can be made of it")
        raw_config = self._document(manifest.config, where)
        config = self._config(raw_config, len(manifest.layers), where)
        layers = tuple((layer, self._blob(layer, where)) for layer in manifest.layers)
        return Found(Digest.of(raw_config), config, raw_config, layers, raw_manifest=raw)

    def _of_manifest_entry(self, entry: Fields) -> Found:
        """The image of an entry of manifest.json."""
        names = tuple(_reference(tag, entry.where) for tag in entry.texts("RepoTags"))
        where = names[0].familiar if names else entry.where
        paths = entry.texts("Layers")
        raw_config = read_document(self._file(entry.required_text("Config"), where), self.limits, f"{where}: config")
        config = self._config(raw_config, len(paths), where)
        files = [self._file(path, where) for path in paths]
        layers = tuple(_layer(file, diff_id, where) for file, diff_id in zip(files, config.diff_ids, strict=True))
        return Found(Digest.of(raw_config), config, raw_config, layers, names)

    def _config(self, raw: bytes, layers: int, where: str) -> ImageConfig:
        """The image config; raises InvalidManifest unless it has a diff ID for each layer, and is for the platform."""
        config = parse_image_config(raw)
        if len(config.diff_ids) != layers:
            raise InvalidManifest(f"{where}: has {layers} layers, but its config names {len(config.diff_ids)}")
        offered = Platform(config.os, config.architecture, config.variant)
        if self.platform is not None and not suits(offered, self.platform):
            raise InvalidManifest(f"{where}: is for {describe(offered)}, not for {describe(self.platform)}")
        return config

    def _document(self, descriptor: Descriptor, where: str) -> bytes:
        """Bytes of a manifest, index or config."""
        return read_document(self._blob(descriptor, where), self.limits, f"{where}: {descriptor.digest}")

    def _blob(self, descriptor: Descriptor, where: str) -> File:
        """The file of a descriptor; raises InvalidManifest where it is missing, DigestMismatch where it's another."""
        digest = descriptor.digest
        file = self._file(blob_path(digest), where)
        if file.digest != digest:
            raise DigestMismatch(f"{where}: blob {digest}", expected=digest, actual=file.digest)
        if file.size != descriptor.size:
            raise DigestMismatch(
                f"{where}: blob {digest}", expected=f"{descriptor.size} bytes", actual=f"{file.size} bytes"
            )
        return file

    def _file(self, path: str, where: str) -> File:
        """The file of this path; raises InvalidManifest where it is missing."""
        file = self.archive.find(plain_name(path))
        if file is None:
            raise InvalidManifest(f"{where}: the archive lacks {path}; it isn't whole")
        return file


def _named(entries: Sequence[Descriptor]) -> dict[Reference | Digest, list[Descriptor]]:
    """Entries of an index by their name, and by their digest where they have none; attestations are left out."""
    groups: dict[Reference | Digest, list[Descriptor]] = {}
    for entry in entries:
        if entry.platform is None or entry.platform.os != "unknown":
            group = groups.setdefault(_name(entry) or entry.digest, [])
            if all(known.digest != entry.digest for known in group):
                group.append(entry)
    return groups


def _name(entry: Descriptor) -> Reference | None:
    """The name in an entry's annotations. What can't be a name is none, nor is an ID (podman)."""
    text = entry.annotations.get(IMAGE_NAME) or entry.annotations.get(REF_NAME) or ""
    try:
        return None if not text or text.startswith("sha256:") else Reference.parse(text)
    except InvalidReference:
        return None


def _reference(tag: str, where: str) -> Reference:
    """A name of manifest.json."""
    try:
        return Reference.parse(tag)
    except InvalidReference as error:
        raise InvalidManifest(f"{where}.RepoTags: {error}") from error


def _layer(file: File, diff_id: Digest, where: str) -> tuple[Descriptor, File]:
    """A layer of manifest.json with its descriptor; its compression is told by its content."""
    with file.path.open("rb") as content:
        head = content.read(6)
    if head.startswith(_UNTYPED):
        raise InvalidManifest(f"{where}: layer {diff_id.short} is compressed with bzip2 or xz, which no registry takes")
    kind = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), OCI_LAYER)
    if kind == OCI_LAYER and file.digest.algorithm == diff_id.algorithm and file.digest != diff_id:
        raise DigestMismatch(f"{where}: layer", expected=diff_id, actual=file.digest)
    return Descriptor(kind, file.digest, file.size), file
