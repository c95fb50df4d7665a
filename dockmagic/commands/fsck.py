"""The command that checks and repairs the store: system fsck. Source: fsck(8)."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.results import PRE
from dockmagic.commands.table import Pretty

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.checking import Fault
    from dockmagic.image.fsck import Report


@dataclass(frozen=True)
class Verified:
    """The result of a check: `report` has what was wrong, and what still is."""

    report: Report

    @property
    def exit_status(self) -> int:
        """1 where something is wrong that wasn't repaired."""
        return int(bool(self.report.left))

    def __str__(self) -> str:
        """A line for each fault, and the sum."""
        report = self.report
        lines = [f"{_words(fault)}: repaired" for fault in report.repaired]
        lines += [f"{_words(fault)}{'' if report.dry_run else f': {advice(fault)}'}" for fault in report.left]
        return "\n".join([*lines, self._sum()])

    def _sum(self) -> str:
        """What was looked at, and how it is."""
        report = self.report
        images, layers = _count(report.images, "image"), _count(report.layers, "layer")
        volumes = f"{_count(report.volumes, 'volume')}, " if report.volumes else ""
        seen = f"{volumes}{images}, {layers} and {_count(report.blobs, 'blob')} checked"
        if not report.faults:
            return f"{seen}: all is well."
        if report.dry_run:
            return f"{seen}: {_count(len(report.faults), 'fault')}; without --dry-run what can be repaired is."
        return f"{seen}: {_count(len(report.repaired), 'fault')} repaired, {len(report.left)} left."

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The sum, and the faults behind it; open where something is left."""
        listed = "\n".join(str(self).splitlines()[:-1])
        state = " open" if self.report.left else ""
        block = f"<pre style='{PRE}'>{html.escape(listed)}</pre>"
        details = f"<details{state}><summary>{_count(len(self.report.faults), 'fault')}</summary>{block}</details>"
        return f"<div>{html.escape(self._sum())}</div>{details if self.report.faults else ''}"


def _count(number: int, noun: str) -> str:
    """How many there are.

    >>> _count(1, "fault"), _count(2, "fault")
    ('1 fault', '2 faults')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def advice(fault: Fault) -> str:
    """What a user can do about a fault that is beyond repair."""
    images = ", ".join(fault.images)
    if fault.kind == "database":
        return "remove state.db, and pull and build the images again"
    if fault.kind == "layer":
        return f"stop the containers of {images} and try again; or remove {images} and get it again"
    return f"get {images} again: pull it, or build it" if images else "try again"


def _words(fault: Fault) -> str:
    """A fault in a line: what, how, and for whom."""
    users = f" ({', '.join(fault.images)})" if fault.images else ""
    return f"{fault.kind} {fault.name}{users} {fault.problem}"


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("--full", action="store_true", help="also compare each layer's files with its archive")
    parser.add_argument("-n", "--dry-run", action="store_true", help="only tell what is wrong")


def _fsck(engine: Engine, args: Namespace, console: Console) -> Verified:
    """Check every blob, layer, image, name and volume, and repair what can be repaired."""
    return Verified(engine.upkeep.fsck(full=args.full, dry_run=args.dry_run))


COMMANDS = (Command("system", "fsck", ("fsck",), "Check the store, and repair it.", _arguments, _fsck),)
