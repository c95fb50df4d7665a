"""Targets and outline as the tables that `docker build --call=targets` and `--call=outline` print.

Source: BuildKit's tables, which have no section for caches; here they are the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dockmagic.dockerfile.outline import Outline, OutlineInput
from dockmagic.dockerfile.targets import Target

_DEFAULT = "(default)"


def targets_text(targets: Iterable[Target]) -> str:
    """A row a stage, with a heading; each line ends with a newline."""
    names = ((" ".join(filter(None, (each.name, _DEFAULT * each.is_default))), each.description) for each in targets)
    return _table([("TARGET", "DESCRIPTION"), *names], gap=1)


def outline_text(outline: Outline) -> str:
    """A section each for the target, arguments, secrets, SSH agents and caches; those without rows are left out."""
    args = [(arg.name, arg.value or "", arg.description) for arg in outline.args]
    sections = [
        _target(outline),
        _section(("BUILD ARG", "VALUE", "DESCRIPTION"), args),
        _section(("SECRET", "REQUIRED"), _inputs(outline.secrets)),
        _section(("SSH", "REQUIRED"), _inputs(outline.ssh)),
        _section(("CACHE",), [(cache.name,) for cache in outline.caches]),
    ]
    return "\n".join(filter(None, sections))


def _target(outline: Outline) -> str:
    """The section of the target, "" if it has no name."""
    rows = [("TARGET:", outline.name), ("DESCRIPTION:", outline.description)]
    return _table([row for row in rows if row[1]], gap=1) if outline.name else ""


def _inputs(inputs: Iterable[OutlineInput]) -> list[tuple[str, ...]]:
    return [(each.name, "true" if each.required else "") for each in inputs]


def _section(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table, "" if it has no rows."""
    return _table([heading, *rows], gap=3) if rows else ""


def _table(rows: Sequence[Sequence[str]], gap: int) -> str:
    """Columns that are `gap` apart."""
    *widths, _ = (max(map(len, column)) + gap for column in zip(*rows, strict=True))
    lines = ("".join(map(str.ljust, row, [*widths, 0])).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)
