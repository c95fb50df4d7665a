"""Files that a build writes beside the image: its id, and what is known of it. Source: docker buildx build."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic.commands.build_output import image_names
from dockmagic.commands.command import CommandParser, Namespace
from dockmagic.errors import InvalidOption
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from dockmagic.image.store import Image


def add_file_flags(parser: CommandParser) -> None:
    """Add the flags that name the files."""
    parser.add_argument("--iidfile", metavar="FILE", help="write the image's id to a file")
    parser.add_argument("--metadata-file", metavar="FILE", help="write the image's id, digest and names as JSON")


def forget(args: Namespace) -> None:
    """Remove the id of a former build, so that one which fails leaves none. Raises InvalidOption."""
    if args.iidfile:
        path = Path(args.iidfile).expanduser()
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise InvalidOption(f"--iidfile {args.iidfile}: {error.strerror}") from error


def write(args: Namespace, image: Image) -> None:
    """Write what was asked for. Raises InvalidOption."""
    if args.iidfile:
        _write("--iidfile", args.iidfile, str(image.id))
    if args.metadata_file:
        text = json.dumps(metadata(image, image_names(args)), indent=2)
        _write("--metadata-file", args.metadata_file, f"{text}\n")


def metadata(image: Image, tags: tuple[str, ...]) -> dict[str, str]:
    """What is known of the image, by BuildKit's names; "image.name" has the build's tags in full."""
    known = {"containerimage.config.digest": image.id, "containerimage.digest": image.manifest_digest}
    names = ",".join(str(Reference.parse(tag)) for tag in tags)
    return {**known, **({"image.name": names} if names else {})}


def _write(flag: str, name: str, text: str) -> None:
    """Write the file whole or not at all."""
    path = Path(name).expanduser()
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise InvalidOption(f"{flag} {name}: the image was built, but the file can't be: {error.strerror}") from error
