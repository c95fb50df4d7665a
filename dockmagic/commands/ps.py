"""The command ps: which containers, and how they are shown. Source: Docker's reference, "docker container ls"."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from dockmagic.commands import filters, template, values
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.human import ago, decimal_size, duration, short_id
from dockmagic.commands.ps_filters import FILTERS, shows_all, taken
from dockmagic.commands.results import Names
from dockmagic.commands.table import Table
from dockmagic.errors import NotFound
from dockmagic.oci.ports import column

if TYPE_CHECKING:
    from dockmagic.container import Container
    from dockmagic.engine import Engine
    from dockmagic.runtime.state import ContainerState

_HEADINGS: Final = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "Networks": "NETWORKS",
    "LocalVolumes": "LOCAL VOLUMES",
}
_PLAIN: Final = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_COMMAND_WIDTH: Final = 20
_HEALTH: Final = {"starting": "health: starting"}  # where Docker's word for a health stands for more


def _arguments(parser: CommandParser) -> None:
    parse_filter = typed(lambda text: filters.parse(text, FILTERS))
    parse_format = typed(lambda text: template.parse(text, [*_HEADINGS, "Label"]))
    parser.add_argument("-a", "--all", action="store_true", help="show the stopped ones too")
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument("--no-trunc", action="store_true", help="don't shorten ids and commands")
    parser.add_argument("-n", "--last", type=typed(values.natural), metavar="N", help="the last N made, in any state")
    parser.add_argument("-l", "--latest", action="store_true", help="the last one made, in any state")
    parser.add_argument("-s", "--size", action="store_true", help="show how much each has written")
    parser.add_argument(
        "-f", "--filter", action="append", default=[], type=parse_filter, metavar="FILTER",
        help="only these: name=PATTERN, status=exited, exited=1, label=KEY[=VALUE], ancestor=IMAGE, since=CONTAINER …",
    )  # fmt: skip
    parser.add_argument(
        "--format", type=parse_format, metavar="FORMAT", help="json, or a template: '{{.Names}} {{.Status}}'"
    )


def _ps(engine: Engine, args: Namespace, console: Console) -> Table | Names:
    """Table of containers, newest first."""
    last = 1 if args.latest else args.last
    containers = engine.containers.ls(all=args.all or last is not None or shows_all(args.filter))
    containers = taken(engine, containers, args.filter)
    containers = sorted(containers, key=lambda container: container.created_ns, reverse=True)[:last]
    if args.quiet:
        rows = tuple((container.id if args.no_trunc else short_id(container.id),) for container in containers)
        return Table(("CONTAINER ID",), rows, tuple(containers), bare=True, caption="no containers")
    sized = args.size or (args.format is not None and args.format.uses("Size"))
    now_ns = time.time_ns()
    return _shown(containers, [_fields(engine, each, now_ns, args.no_trunc, sized) for each in containers], args)


def _shown(containers: Sequence[Container], rows: Sequence[dict[str, Any]], args: Namespace) -> Table | Names:
    """The rows in the form that was asked for."""
    if args.format is not None:
        headings = {**_HEADINGS, "Label": lambda name: name}
        shown: Table | Names = args.format.shown(rows, headings, containers)
        return shown
    fields = (*_PLAIN, "Size") if args.size else _PLAIN
    cells = tuple(tuple(str(row[name]) for name in fields) for row in rows)
    caption = "no containers" if args.all else "no running containers"
    return Table(tuple(_HEADINGS[name] for name in fields), cells, tuple(containers), caption=caption)


def _fields(engine: Engine, container: Container, now_ns: int, no_trunc: bool, sized: bool) -> dict[str, Any]:
    """A container's row, by the names that templates have for its cells."""
    state = container.state()
    command = _command_text(container.command)
    if not no_trunc and len(command) > _COMMAND_WIDTH:
        command = f"{command[: _COMMAND_WIDTH - 1]}…"
    labels, options = container.labels, container.row.options
    mounts = [mount.source for mount in options.mounts]
    return {
        "ID": container.id if no_trunc else short_id(container.id),
        "Image": container.image,
        "Command": json.dumps(command, ensure_ascii=False),
        "CreatedAt": f"{datetime.fromtimestamp(container.created_ns // 10**9).astimezone():%Y-%m-%d %H:%M:%S %z %Z}",
        "RunningFor": ago((now_ns - container.created_ns) / 1e9),
        "Ports": column(options.expose, container.ports()) if state.status in ("running", "paused") else "",
        "State": str(state.status),
        "Status": status_text(state, now_ns),
        "Size": size_text(engine, container) if sized else "0B",
        "Names": container.name,
        "Labels": ",".join(f"{name}={value}" for name, value in labels.items()),
        "Label": lambda name: labels.get(name, ""),
        "Mounts": ",".join(mounts),
        "Networks": ",".join(container.networks()),
        "LocalVolumes": "0",
    }


def size_text(engine: Engine, container: Container) -> str:
    """What the container has written, and that together with its image."""
    written = container.size_bytes()
    return f"{decimal_size(written)} (virtual {decimal_size(written + image_bytes(engine, container))})"


def image_bytes(engine: Engine, container: Container) -> int:
    """Size of the container's image; 0 where that is gone."""
    try:
        return engine.images.get(container.row.image_id).size_bytes
    except NotFound:
        return 0


def _command_text(command: Sequence[str]) -> str:
    """A command on one line; arguments with a blank stand in quotes, so that one sees where they end."""
    first, *rest = command
    return " ".join([first, *(f"'{word}'" if " " in word else word for word in rest)])


def status_text(state: ContainerState, now_ns: int) -> str:
    """The status in Docker's words: "Up 3 seconds", "Exited (0) 5 seconds ago", "Restarting (1) …", "Created"."""
    if state.status in {"running", "paused"}:
        remark = "Paused" if state.status == "paused" else _HEALTH.get(state.health, state.health)
        lasting = duration((now_ns - (state.started_ns or now_ns)) / 1e9)
        return f"Up {lasting} ({remark})" if remark else f"Up {lasting}"
    if state.status in {"exited", "restarting"}:
        ended = ago((now_ns - (state.finished_ns or now_ns)) / 1e9)
        return f"{state.status.capitalize()} ({state.exit_status}) {ended}"
    return state.status.capitalize()


COMMANDS = (Command("container", "ps", ("ps", "container ls", "container list"), "List containers.", _arguments, _ps),)
