"""Commands that tell what takes space: system df, builder du. Source: Docker's reference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dockmagic.commands import filters
from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.human import ago, decimal_size, short_id
from dockmagic.commands.refused import TEMPLATES, Refused, add_refused
from dockmagic.commands.table import Pretty, Table
from dockmagic.oci.volumes import VOLUME

if TYPE_CHECKING:
    from dockmagic.builder.records import CacheRecord
    from dockmagic.engine import Engine
    from dockmagic.upkeep import ContainerUse, DiskUsage, ImageUse
    from dockmagic.volumes.verbs import VolumeUse

_NONE = "<none>"
_ID_WIDTH = 25


@dataclass(frozen=True)
class Tables:
    """Tables below each other, each under a line of its own."""

    parts: tuple[tuple[str, Table], ...]

    def __getitem__(self, index: int) -> Table:
        """A table."""
        return self.parts[index][1]

    def __str__(self) -> str:
        """All of them."""
        return "\n\n".join(f"{heading}\n\n{table}" for heading, table in self.parts)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """All of them as HTML."""
        return "".join(f"<p><b>{heading}</b></p>{table._repr_html_()}" for heading, table in self.parts)


# df


def _df_arguments(parser: CommandParser) -> None:
    parser.add_argument("-v", "--verbose", action="store_true", help="show each image, container and cache record")
    add_refused(parser, TEMPLATES)


def _df(engine: Engine, args: Namespace, console: Console) -> Table | Tables:
    """What takes how much of the disk, and how much of it could be had back."""
    usage = engine.upkeep.usage()
    return _details(usage) if args.verbose else _summary(usage)


def _summary(usage: DiskUsage) -> Table:
    """A row for each kind of thing; what is reclaimable is nobody's at the moment."""
    containers, cache = usage.containers, usage.cache
    written = sum(each.size_bytes for each in containers)
    stopped = sum(each.size_bytes for each in containers if not each.running)
    kept = sum(record.size_bytes for record in cache if not record.shared)
    free = sum(record.size_bytes for record in cache if record.reclaimable)
    used = sum(image.containers > 0 for image in usage.images)
    running = sum(each.running for each in containers)
    rows = (
        ("Images", len(usage.images), used, usage.image_bytes, usage.unused_image_bytes),
        ("Containers", len(containers), running, written, stopped),
        _volumes_sum(usage.volumes),
        ("Build Cache", len(cache), sum(record.in_use for record in cache), kept, free),
    )
    return Table(("TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"), tuple(map(_row, rows)), rows)


def _volumes_sum(volumes: Sequence[VolumeUse]) -> tuple[str, int, int, int, int]:
    """The row of the volumes."""
    size, used = sum(use.size_bytes for use in volumes), [use for use in volumes if use.containers]
    return "Local Volumes", len(volumes), len(used), size, size - sum(use.size_bytes for use in used)


def _row(row: tuple[str, int, int, int, int]) -> tuple[str, ...]:
    """A kind of thing: how many, how many in use, bytes, and bytes to be had back."""
    kind, total, active, size, free = row
    share = f" ({free * 100 // size}%)" if size and kind != "Build Cache" else ""
    return kind, str(total), str(active), decimal_size(size), f"{decimal_size(free)}{share}"


def _details(usage: DiskUsage) -> Tables:
    """A table for each kind of thing."""
    now_ns = time.time_ns()
    images = tuple(row for image in usage.images for row in _image_rows(image, now_ns))
    containers = tuple(_container_row(container, now_ns) for container in usage.containers)
    volumes = tuple((use.volume.name, str(len(use.containers)), decimal_size(use.size_bytes)) for use in usage.volumes)
    records = tuple(_record_row(record, now_ns) for record in usage.cache)
    total = decimal_size(sum(record.size_bytes for record in usage.cache if not record.shared))
    image_columns = "REPOSITORY,TAG,IMAGE ID,CREATED,SIZE,SHARED SIZE,UNIQUE SIZE,CONTAINERS"
    container_columns = "CONTAINER ID,IMAGE,COMMAND,LOCAL VOLUMES,SIZE,CREATED,STATUS,NAMES"
    return Tables(
        (
            ("Images space usage:", Table(tuple(image_columns.split(",")), images, usage.images)),
            ("Containers space usage:", Table(tuple(container_columns.split(",")), containers, usage.containers)),
            ("Local Volumes space usage:", Table(("VOLUME NAME", "LINKS", "SIZE"), volumes, usage.volumes)),
            (f"Build cache usage: {total}", Table(_RECORD_COLUMNS, records, usage.cache)),
        )
    )


def _image_rows(use: ImageUse, now_ns: int) -> list[tuple[str, ...]]:
    """A row for each of the image's names, or one for an image without."""
    image = use.image
    created = "N/A" if image.created is None else _since(int(image.created.timestamp() * 1e9), now_ns)
    sizes = (use.size_bytes, use.shared_bytes, use.size_bytes - use.shared_bytes)
    rest = (short_id(image.id), created, *map(decimal_size, sizes), str(use.containers))
    names = [(name.familiar_name, name.tag or _NONE) for name in image.references]
    return [(*name, *rest) for name in names or [(_NONE, _NONE)]]


def _container_row(use: ContainerUse, now_ns: int) -> tuple[str, ...]:
    """A container's row."""
    row = use.row
    return (
        short_id(row.id),
        row.image_reference,
        f'"{" ".join(row.spec.process.args)[:20]}"',
        str(len({volume.source for volume in row.options.volumes if volume.type == VOLUME})),
        decimal_size(use.size_bytes),
        _since(row.created_ns, now_ns),
        "Up" if use.running else "Exited",
        row.name,
    )


_RECORD_COLUMNS = ("CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "SHARED")


def _record_row(record: CacheRecord, now_ns: int) -> tuple[str, ...]:
    """A record's row; `*` after the id: it is in use."""
    identifier = short_id(record.id) + "*" * record.in_use
    times = _since(record.created_ns, now_ns), _since(record.used_ns, now_ns)
    return (identifier, record.kind, decimal_size(record.size_bytes), *times, str(record.shared).lower())


def _since(time_ns: int, now_ns: int) -> str:
    """How long ago that was."""
    return ago((now_ns - time_ns) / 1e9)


# builder du


@dataclass(frozen=True)
class CacheUsage:
    """The build cache: a record each, and sums below; `verbose` has a block of lines for each record."""

    records: tuple[CacheRecord, ...]
    verbose: bool = False

    def __len__(self) -> int:
        """Number of records."""
        return len(self.records)

    def __getitem__(self, index: int) -> CacheRecord:
        """A record."""
        return self.records[index]

    def __str__(self) -> str:
        """The list and the sums."""
        if self.verbose:
            blocks = ["\n".join(f"{name}:\t{value}" for name, value in _facts(record)) for record in self.records]
            return "\n\n".join([*blocks, self._sums()])
        return f"{self._table()}\n{self._sums()}"

    def _table(self) -> Table:
        now_ns = time.time_ns()
        rows = [
            (
                record.id[:_ID_WIDTH] + "*" * record.in_use,
                str(record.reclaimable).lower(),
                decimal_size(record.size_bytes),
                _since(record.used_ns, now_ns),
            )
            for record in self.records
        ]
        return Table(
            ("ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"), tuple(rows), self.records, caption="no build cache"
        )

    def _sums(self) -> str:
        def total(records: Sequence[CacheRecord]) -> str:
            return decimal_size(sum(record.size_bytes for record in records))

        records = self.records
        lines = [
            f"Shared:\t\t{total([record for record in records if record.shared])}",
            f"Private:\t{total([record for record in records if not record.shared])}",
            f"Reclaimable:\t{total([record for record in records if record.reclaimable])}",
            f"Total:\t\t{total(records)}",
        ]
        return "\n".join(lines if any(record.shared for record in records) else lines[2:])

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The table and the sums."""
        return f"{self._table()._repr_html_()}<pre>{self._sums()}</pre>"


def _facts(record: CacheRecord) -> list[tuple[str, str]]:
    """All that is known of a record, in BuildKit's words."""
    now_ns = time.time_ns()
    created = datetime.fromtimestamp(record.created_ns // 10**9, UTC).isoformat(" ")
    parents = [("Parent", record.parent)] if record.parent else []
    return [
        ("ID", record.id),
        *parents,
        ("Created at", created),
        ("Mutable", str(record.kind == "exec.cachemount").lower()),
        ("Reclaimable", str(record.reclaimable).lower()),
        ("Shared", str(record.shared).lower()),
        ("Size", decimal_size(record.size_bytes)),
        ("Description", record.description),
        ("Last used", _since(record.used_ns, now_ns)),
        ("Type", record.kind),
    ]


def _du_arguments(parser: CommandParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="show all that is known of each record")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="FILTER", help="only these: until=24h, type=exec.cachemount"
    )
    add_refused(parser, TEMPLATES)
    add_refused(parser, (Refused(("--builder",), "dockmagic is its own builder"),))


def _du(engine: Engine, args: Namespace, console: Console) -> CacheUsage:
    """What the build cache consists of."""
    takes = [filters.cache_filter(text, time.time()) for text in args.filter]
    records = [record for record in engine.upkeep.cache() if all(take(record) for take in takes)]
    records.sort(key=lambda record: (-record.size_bytes, record.id))
    return CacheUsage(tuple(records), args.verbose)


COMMANDS = (
    Command("system", "df", (), "Show what takes how much of the disk.", _df_arguments, _df),
    Command("builder", "du", ("buildx du",), "Show what the build cache consists of.", _du_arguments, _du),
)
