"""The command image diff: what is different between the files of two images, or of two steps of builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.human import decimal_size
from dockmagic.commands.table import Pretty, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockmagic.engine import Engine
    from dockmagic.image.difference import Difference, Facts, FileChange

_MOST_SHOWN: Final = 500  # in a notebook
_COLUMNS: Final = ("", "PATH", "SIZE", "WHAT")


@dataclass(frozen=True)
class Changes:
    """Changes of files, each with Docker's letter: A added, C changed, D deleted. As a sequence it gives them."""

    difference: Difference

    def __len__(self) -> int:
        """Number of changes."""
        return len(self.difference.changes)

    def __getitem__(self, index: int) -> FileChange:
        """A change."""
        return self.difference.changes[index]

    @property
    def summary(self) -> str:
        """How many there are of each kind, and the change in size."""
        added, changed, deleted = (self.difference.count(kind) for kind in ("A", "C", "D"))
        size = self.difference.size_bytes
        return (
            f"{added} added, {changed} changed, {deleted} deleted: {'-' if size < 0 else '+'}{decimal_size(abs(size))}"
        )

    def __str__(self) -> str:
        """All changes, and the summary."""
        return self._text(self.difference.changes)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython, of a length that a notebook can show."""
        printer.text(self._text(self.difference.changes[:_MOST_SHOWN]))

    def _repr_html_(self) -> str:
        """A table of that length, and the summary."""
        shown = self.difference.changes[:_MOST_SHOWN]
        table = _table(shown)._repr_html_() if shown else ""
        return f'{table}<div style="opacity:.7">{self._more(shown)}{self.summary}</div>'

    def _text(self, shown: Sequence[FileChange]) -> str:
        lines = [str(_table(shown))] if shown else []
        return "\n".join([*lines, f"{self._more(shown)}{self.summary}"])

    def _more(self, shown: Sequence[FileChange]) -> str:
        more = len(self) - len(shown)
        return f"… {more} more; " if more else ""


def _table(changes: Sequence[FileChange]) -> Table:
    """A row for each change."""
    return Table(_COLUMNS, tuple((change.kind, change.path, *_described(change)) for change in changes))


def _described(change: FileChange) -> tuple[str, str]:
    """The size of what was changed, and what it is or how it was changed."""
    before, after = change.before, change.after
    if before is None or after is None:
        facts = before or after
        assert facts is not None
        return _size(facts), f"{facts.type} {facts.mode:04o} {facts.uid}:{facts.gid}"
    sizes = dict.fromkeys((_size(before), _size(after)))
    return " → ".join(sizes), ", ".join(_aspect(aspect, before, after) for aspect in change.what)


def _size(facts: Facts) -> str:
    return decimal_size(facts.size_bytes) if facts.type == "file" else "-"


def _aspect(aspect: str, before: Facts, after: Facts) -> str:
    """In what a file was changed, with the values."""
    match aspect:
        case "type":
            return f"{before.type} → {after.type}"
        case "mode":
            return f"mode {before.mode:04o} → {after.mode:04o}"
        case "owner":
            return f"owner {before.uid}:{before.gid} → {after.uid}:{after.gid}"
        case _:
            return aspect


def _arguments(parser: CommandParser) -> None:
    """Add the two states."""
    parser.add_argument("before", metavar="A", help="an image, or [BUILD]:STEP such as :3 or hello:latest:3")
    parser.add_argument("after", metavar="B", help="what to compare with it")


def _diff(engine: Engine, args: Namespace, console: Console) -> Changes:
    """What is different in the files of the second image."""
    return Changes(engine.past.diff(args.before, args.after))


COMMANDS = (Command("image", "diff", (), "Show which files differ between two images or steps.", _arguments, _diff),)
