"""`--output` of build: what is written of the image, and where. Source: docker build's reference, "--output"."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import CommandParser, Console, Namespace, typed
from dockmagic.errors import InvalidOption, one_of

if TYPE_CHECKING:
    from dockmagic.builder.outputs import Output
    from dockmagic.image.streams import Sink

_LOCAL, _TAR, _OCI, _DOCKER, _IMAGE, _REGISTRY, _CACHE_ONLY = _TYPES = (
    "local", "tar", "oci", "docker", "image", "registry", "cacheonly"
)  # fmt: skip
_STDOUT: Final = "-"
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False, "": False}
_KEYS: Final = {
    _LOCAL: ("dest",),
    _TAR: ("dest",),
    _OCI: ("dest", "tar", "name", "rewrite-timestamp"),
    _DOCKER: ("dest", "tar", "name", "rewrite-timestamp"),
    _IMAGE: ("name", "push", "rewrite-timestamp"),
    _REGISTRY: ("name", "push", "rewrite-timestamp"),
    _CACHE_ONLY: (),
}
_REFUSED: Final = {
    "push-by-digest": "an image is pushed under its names",
    "registry.insecure": "a registry without TLS is listed as insecure in dockmagic.toml",
    "compression": "layers are written as they are in the store",
    "compression-level": "layers are written as they are in the store",
    "force-compression": "layers are written as they are in the store",
    "oci-mediatypes": "manifests are written as they are in the store",
    "attestation-prefix": "there are no attestations",
    "platform-split": "a build is for one platform",
}


@dataclass(frozen=True, slots=True)
class OutputFlag:
    """The fields of one `--output`, as they were checked; `dest` is "-" for standard output, "" for the store."""

    text: str
    type: str
    dest: str = ""
    is_tar: bool = True
    names: tuple[str, ...] = ()
    rewrite_timestamp: bool = False
    push: bool = False


def add_output_flags(parser: CommandParser) -> None:
    """Add the flags."""
    parser.add_argument(
        "-o", "--output", action="append", default=[], type=typed(output_flag), metavar="DIR|type=TYPE,dest=PATH",
        help="write the image's files to DIR, or: type=local, tar, oci, docker, image, registry, cacheonly; dest=- is "
        "standard output. An image that has no -t is then stored with type=image, registry and docker only",
    )  # fmt: skip
    parser.add_argument(
        "--push", action="append_const", dest="output", const=OutputFlag("--push", _IMAGE, push=True),
        help="push the image under its names: -o type=registry",
    )  # fmt: skip
    parser.add_argument(
        "--load", action="append_const", dest="output", const=OutputFlag("--load", _DOCKER),
        help="put the image into the store whatever else is written: -o type=docker",
    )  # fmt: skip
    parser.add_argument(
        "--rewrite-timestamp", action="store_true",
        help="let no file of a new layer be younger than SOURCE_DATE_EPOCH",
    )  # fmt: skip


def output_flag(text: str) -> OutputFlag:
    """One value: a directory, "-" for a tar archive on standard output, or fields. Raises InvalidOption.

    >>> output_flag("bin") == OutputFlag("bin", "local", "bin")
    True
    """
    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidOption(f"{text!r}: {error}") from None
    if words == [text] and not text.startswith("type="):
        return OutputFlag(text, _TAR if text == _STDOUT else _LOCAL, text)
    fields = dict(_field(text, word) for word in words)
    return _checked(text, fields)


def _field(text: str, word: str) -> tuple[str, str]:
    """A key in lower case and its value."""
    key, equals, value = word.partition("=")
    if not equals:
        raise InvalidOption(f"{text!r}: {word!r} isn't KEY=VALUE")
    return key.strip().lower(), value


def _checked(text: str, fields: Mapping[str, str]) -> OutputFlag:
    """The flag that these fields make. Raises InvalidOption."""
    kind = fields.get("type", "")
    if kind not in _TYPES:
        raise InvalidOption(f"{text!r}: the type is missing" if not kind else f"{text!r}: type can be {one_of(_TYPES)}")
    for key in sorted(fields.keys() - {"type"} - set(_KEYS[kind])):
        raise InvalidOption(f"{text!r}: type={kind} can't have {key}{_reason(key)}")
    flag = OutputFlag(
        text,
        _IMAGE if kind == _REGISTRY else kind,
        _dest(text, kind, fields),
        _boolean(text, fields, "tar", default=True),
        tuple(name for name in map(str.strip, fields.get("name", "").split(",")) if name),
        _boolean(text, fields, "rewrite-timestamp"),
        _boolean(text, fields, "push", default=kind == _REGISTRY),
    )
    if not flag.is_tar and (kind != _OCI or flag.dest == _STDOUT):
        raise InvalidOption(f"{text!r}: tar=false writes a directory; it needs type=oci and dest=DIR")
    return flag


def _reason(key: str) -> str:
    """Why a field that BuildKit knows isn't taken."""
    return f": {_REFUSED[key]}" if key in _REFUSED else ""


def _dest(text: str, kind: str, fields: Mapping[str, str]) -> str:
    """Where to; standard output without a dest, where that can be."""
    dest = fields.get("dest", "")
    if kind == _LOCAL and dest in {"", _STDOUT}:
        raise InvalidOption(f"{text!r}: type=local needs a directory: dest=DIR")
    is_stored = kind in {_DOCKER, _IMAGE, _REGISTRY, _CACHE_ONLY}
    return dest or ("" if is_stored else _STDOUT)


def _boolean(text: str, fields: Mapping[str, str], key: str, *, default: bool = False) -> bool:
    """The field's value."""
    value = fields.get(key)
    if value is None:
        return default
    if value.lower() not in _BOOLEANS:
        raise InvalidOption(f"{text!r}: {key} can be true or false, not {value!r}")
    return _BOOLEANS[value.lower()]


def image_names(args: Namespace) -> tuple[str, ...]:
    """The names that the image gets in the store."""
    stored = (name for flag in args.output if flag.type in {_DOCKER, _IMAGE} and not flag.dest for name in flag.names)
    return tuple(dict.fromkeys((*args.tag, *stored)))


def rewrites(args: Namespace) -> bool:
    """Whether any flag asks for times to be rewritten."""
    return args.rewrite_timestamp or any(flag.rewrite_timestamp for flag in args.output)


@contextmanager
def outputs(args: Namespace, console: Console, *, speaks: bool) -> Iterator[tuple[Output, ...]]:
    """The outputs, with standard output opened for the one that goes there.

    `speaks`: the build itself writes to standard output. Raises InvalidOption.
    """
    flags: Sequence[OutputFlag] = args.output
    streamed = [flag for flag in flags if flag.dest == _STDOUT]
    if len(streamed) > 1:
        raise InvalidOption(f"-o {streamed[1].text}: standard output takes one archive; name a file with dest=FILE")
    if streamed and speaks:
        raise InvalidOption(
            "-q and --progress=classic write to standard output, where the archive goes; leave them out"
        )
    with ExitStack() as stack:
        yield tuple(_output(flag, stack, console) for flag in flags)


def _output(flag: OutputFlag, stack: ExitStack, console: Console) -> Output:
    """The output of one flag."""
    from dockmagic.builder.outputs import Output, OutputType
    from dockmagic.commands.archive import output as archive
    from dockmagic.oci.reference import Reference

    dest: Path | Sink | None = Path(flag.dest).expanduser() if flag.dest else None
    if flag.dest == _STDOUT:
        if console.stdout is None or os.isatty(console.stdout):
            raise InvalidOption(f"-o {flag.text}: an archive isn't written to the screen; name a file with dest=FILE")
        dest = stack.enter_context(archive(None, console))
    names = tuple(map(Reference.parse, flag.names))
    return Output(OutputType(flag.type), dest, flag.is_tar, names, flag.push)
