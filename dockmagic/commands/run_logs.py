"""Flags of run and create about a container's log, and what `logs --details` tells.

Source: Docker's reference, "JSON File logging driver" and "Local file logging driver".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dockmagic.commands import template_language, values
from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.commands.environment import pairs
from dockmagic.commands.human import short_id
from dockmagic.errors import InvalidOption
from dockmagic.oci.options import LogOptions

if TYPE_CHECKING:
    from dockmagic.runtime.container import Row

_DRIVERS: Final = ("json-file", "local", "none")
_OPTIONS: Final = ("max-size", "max-file", "labels", "env", "tag")
_LOCAL: Final = {"max-size": "20m", "max-file": "5"}  # the defaults of that driver


def add_logs(parser: CommandParser) -> None:
    """Add how the output is kept."""
    group = parser.add_argument_group("its log")
    group.add_argument(
        "--log-driver", default="json-file", type=typed(_driver), metavar="DRIVER", help="json-file, local or none"
    )
    group.add_argument(
        "--log-opt", action="append", default=[], metavar="NAME=VALUE",
        help="max-size=10m, max-file=3; labels=NAME,… env=NAME,… and tag=TEXT are for logs --details",
    )  # fmt: skip


def _driver(text: str) -> str:
    """A log driver. Raises InvalidOption."""
    if text not in _DRIVERS:
        raise InvalidOption(
            f"{text!r} isn't available: logs are kept beside the container; use json-file, local or none"
        )
    return text


def logs(args: Namespace) -> LogOptions:
    """What the flags ask for. Raises InvalidOption."""
    given = pairs(args.log_opt)
    for name in given:
        if args.log_driver == "none" or name not in _OPTIONS:
            raise InvalidOption(f"--log-opt: unknown log opt {name!r} for {args.log_driver} log driver")
    wanted = {**(_LOCAL if args.log_driver == "local" else {}), **given}
    most_bytes, most_files = _size(wanted.get("max-size", "")), _count(wanted.get("max-file", "1"))
    if most_files > 1 and not most_bytes:
        raise InvalidOption("--log-opt: max-file cannot be greater than 1 when max-size is not set")
    if "tag" in given:
        template_language.parse(given["tag"])
    labels, env = (tuple(filter(None, given.get(name, "").split(","))) for name in ("labels", "env"))
    return LogOptions(args.log_driver, given, most_bytes, most_files, labels, env, given.get("tag", ""))


def _size(text: str) -> int:
    """Bytes; 0 for "" and -1, which set no limit. Raises InvalidOption."""
    if text in ("", "-1"):
        return 0
    try:
        size = values.size_bytes(text)
    except InvalidOption as error:
        raise InvalidOption(f"--log-opt max-size: {error}") from error
    if not size:
        raise InvalidOption("--log-opt max-size: must be a positive number")
    return size


def _count(text: str) -> int:
    """How many files; at least one. Raises InvalidOption."""
    if not text.isdecimal() or int(text) < 1:
        raise InvalidOption("--log-opt max-file: cannot be less than 1")
    return int(text)


def details(row: Row) -> str:
    """What the log's options tell of the container: "name=value" with commas, by name."""
    wanted, env = row.options.log, [entry.partition("=") for entry in row.spec.process.env]
    found = {name: row.labels[name] for name in wanted.labels if name in row.labels}
    found |= {name: value for name, _, value in env if name in wanted.env}
    if wanted.tag:
        found["tag"] = template_language.parse(wanted.tag).shown(
            {
                "ID": short_id(row.id),
                "FullID": row.id,
                "Name": row.name,
                "ImageID": short_id(row.image_id),
                "ImageFullID": row.image_id,
                "ImageName": row.image_reference,
                "DaemonName": "dockmagic",
            }
        )
    return ",".join(f"{name}={value}" for name, value in sorted(found.items()))
