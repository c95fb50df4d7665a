"""The commands manifest inspect and buildx imagetools inspect: an image in its registry, in Docker's words.

Source: Docker's reference of both; docker/cli, package manifest/types; buildx, util/imagetools/printers.go.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dockmagic.commands import document
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, show_text, typed
from dockmagic.commands.results import Json, Names
from dockmagic.commands.table import Pretty
from dockmagic.errors import InvalidOption
from dockmagic.image.platform import describe
from dockmagic.oci.descriptor import DOCKER_MANIFEST, Descriptor
from dockmagic.widgets.text import printable

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.remote import RemoteImage
    from dockmagic.image.remote_parts import RemotePart

_INDEX_INDENT: Final = 3  # of Docker's package manifestlist
_WITH_CONFIG: Final = frozenset({"image", ""})  # fields that need the configs


@dataclass(frozen=True)
class Raw:
    """A document byte for byte."""

    data: bytes

    def __str__(self) -> str:
        """The same as text."""
        return self.data.decode()

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


def _show(result: Names | Raw, console: Console) -> None:
    """Write a raw document as it is, and anything else as text."""
    if isinstance(result, Raw):
        console.write("stdout", result.data)
    else:
        show_text(result, console)


def _inspect_arguments(parser: CommandParser) -> None:
    parser.add_argument("-v", "--verbose", action="store_true", help="each manifest with its descriptor and platform")
    parser.add_argument(
        "--insecure", action="store_true", help="ask the registry without TLS, or trust any certificate"
    )
    parser.add_argument("name", metavar="MANIFEST", help="name of an image in a registry")


def _inspect(engine: Engine, args: Namespace, console: Console) -> Json:
    """The manifest or index as it is; with --verbose, every manifest of it."""
    with console.watching() as on_event:
        remote = engine.images.remote(args.name, insecure=args.insecure, on_event=on_event)
        if not args.verbose:
            return Json(json.loads(remote.raw), _INDEX_INDENT if remote.is_index else "\t")
        parts = engine.images.remote_parts(remote, insecure=args.insecure, on_event=on_event)
    entries = [_verbose(remote, part) for part in parts]
    return Json(entries if remote.is_index else entries[0], "\t")


def _verbose(remote: RemoteImage, part: RemotePart) -> dict[str, Any]:
    """A manifest as Docker's ImageManifest."""
    name = f"{remote.reference}@{part.descriptor.digest}" if remote.is_index else str(remote.reference)
    kind = "SchemaV2Manifest" if part.manifest.media_type == DOCKER_MANIFEST else "OCIManifest"
    return {
        "Ref": name,
        "Descriptor": _descriptor(part.descriptor),
        "Raw": base64.b64encode(part.raw).decode(),
        kind: json.loads(part.raw),
    }


def _descriptor(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor with its platform, in the order of the image-spec's Go type."""
    found: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.annotations:
        found["annotations"] = dict(descriptor.annotations)
    if descriptor.platform is not None:
        names = ("architecture", "os", "os_version", "variant")
        values = {name.replace("_", "."): getattr(descriptor.platform, name) for name in names}
        found["platform"] = {name: value for name, value in values.items() if value}
    return found


def _imagetools_arguments(parser: CommandParser) -> None:
    parser.add_argument("--raw", action="store_true", help="the manifest as it is, byte for byte")
    parser.add_argument(
        "--format", type=typed(document.parse), metavar="FORMAT",
        help="template with .Name, .Manifest and .Image: '{{json .Manifest}}', '{{.Manifest.Digest}}'",
    )  # fmt: skip
    parser.add_argument("name", metavar="NAME", help="name of an image in a registry")


def _imagetools(engine: Engine, args: Namespace, console: Console) -> Names | Raw:
    """What an image in a registry consists of."""
    if args.raw and args.format is not None:
        raise InvalidOption("--raw and --format can't be used together")
    with console.watching() as on_event:
        remote = engine.images.remote(args.name, on_event=on_event)
        if args.raw:
            return Raw(remote.raw)
        if args.format is None:
            return Names(_lines(remote))
        wanted = bool(args.format.fields & _WITH_CONFIG)
        parts = engine.images.remote_parts(remote, configs=True, on_event=on_event) if wanted else ()
    return Names([args.format.shown(_document(remote, parts))])


def _lines(remote: RemoteImage) -> list[str]:
    """Name, type and digest, and those of the manifests of an index."""
    lines = [*_head("", str(remote.reference), remote.media_type), f"Digest:    {remote.digest}"]
    lines += ["", "Manifests:"] if remote.is_index else []
    for number, entry in enumerate(remote.entries):
        lines += [""] if number else []
        lines += _head("  ", f"{remote.reference}@{entry.digest}", entry.media_type)
        lines += [f"  Platform:  {printable(describe(entry.platform))}"] if entry.platform is not None else []
        lines += ["  Annotations:"] if entry.annotations else []
        lines += [f"    {printable(f'{name}: {value}')}" for name, value in entry.annotations.items()]
    return lines


def _head(indent: str, name: str, media_type: str) -> list[str]:
    """The first two lines on a manifest."""
    return [f"{indent}Name:      {name}", f"{indent}MediaType: {printable(media_type)}"]


def _document(remote: RemoteImage, parts: tuple[RemotePart, ...]) -> dict[str, Any]:
    """What templates take their fields from: an index has the configs by platform, an image its own."""
    manifest = {
        **json.loads(remote.raw),
        "mediaType": remote.media_type,
        "digest": remote.digest,
        "size": len(remote.raw),
    }
    configs = {
        describe(part.descriptor.platform): json.loads(part.raw_config)
        for part in parts
        if part.raw_config and part.descriptor.platform is not None and part.descriptor.platform.os != "unknown"
    }
    image = configs if remote.is_index else next(iter(configs.values()), None)
    return {"name": str(remote.reference), "manifest": manifest, "image": image}


COMMANDS = (
    Command("manifest", "inspect", (), "Show an image's manifest in its registry.", _inspect_arguments, _inspect),
    Command(
        "buildx",
        "imagetools inspect",
        (),
        "Show what an image in a registry consists of.",
        _imagetools_arguments,
        _imagetools,
        _show,
    ),
)
