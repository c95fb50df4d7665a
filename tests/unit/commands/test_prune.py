from __future__ import annotations

import os
from typing import Any

import pytest

from dockmagic.builder.records import LAYER, MOUNT, CacheRecord
from dockmagic.builder.upkeep import NO_LIMIT, Space
from dockmagic.commands.prune import Reclaimed
from dockmagic.errors import InvalidOption
from dockmagic.image.pruning import Pruned
from dockmagic.oci.selection import Label, Selection
from dockmagic.upkeep import DiskUsage
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeEngine, FakeUpkeep

ALL = Selection()
WITH_A = Selection(labels=(Label("a"),))
RECORDS = (
    CacheRecord("old", LAYER, "RUN", 10, 0, 5 * 10**9),
    CacheRecord("new", MOUNT, "cached mount x", 20, 0, 50 * 10**9),
)


def calls(line: str, **upkeep: Any) -> list[tuple[Any, ...]]:
    """What a line asks of the engine."""
    engine = FakeEngine(upkeep=FakeUpkeep(DiskUsage((), 0, 0, (), RECORDS), **upkeep))
    call(engine, *line.split())
    return engine.upkeep.calls


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("image prune -f", [("images", ALL, False)]),
        ("image prune -af", [("images", ALL, True)]),
        ("image prune -f --filter dangling=false", [("images", ALL, True)]),
        ("image prune -f --filter dangling=true", [("images", ALL, False)]),
        ("image prune -f --filter until=5", [("images", Selection(5 * 10**9), False)]),
        ("image prune -f --filter label!=keep", [("images", Selection(without=(Label("keep", None),)), False)]),
        ("container prune -f --filter label=a=1", [("containers", Selection(labels=(Label("a", "1"),)))]),
        ("builder prune -f", [("cache", False, ["old", "new"], NO_LIMIT)]),
        ("buildx prune -af --filter until=6", [("cache", True, ["old"], NO_LIMIT)]),
        ("builder prune -f --filter type=exec.cachemount", [("cache", False, ["new"], NO_LIMIT)]),
        ("builder prune -f --keep-storage 1kb", [("cache", False, ["old", "new"], Space(reserved=1024))]),
        (
            "builder prune -f --reserved-space 1 --max-used-space 2 --min-free-space 3",
            [("cache", False, ["old", "new"], Space(1, 2, 3))],
        ),
        (
            "system prune -f --filter until=6",
            [
                ("containers", Selection(6 * 10**9)),
                ("images", Selection(6 * 10**9), False),
                ("cache", False, ["old"], NO_LIMIT),
            ],
        ),
        (
            "system prune -af --filter label=a",
            [("containers", WITH_A), ("images", WITH_A, True)],
        ),
    ],
)  # fmt: skip
def test_what_is_to_go(line: str, asked: list[tuple[Any, ...]]) -> None:
    assert calls(line) == asked


@pytest.mark.parametrize(
    "line",
    [
        "image prune -f --filter colour=red",
        "image prune -f --filter until=1 --filter until=2",
        "image prune -f --filter dangling=perhaps",
        "container prune -f --filter until=soon",
        "builder prune -f --keep-storage much",
        "builder prune -f --builder other",
        "system prune -f --volumes --filter until=1h",
    ],
)
def test_what_cant_be_understood_takes_nothing(line: str) -> None:
    engine = FakeEngine()
    with pytest.raises(InvalidOption):
        call(engine, *line.split())
    assert engine.upkeep.calls == []


@pytest.mark.parametrize("line", ["image prune", "container prune", "builder prune", "system prune"])
def test_no_means_no(line: str) -> None:
    engine = FakeEngine()
    reader, writer = os.pipe()
    os.write(writer, b"n\n")
    os.close(writer)
    result = call(engine, *line.split(), console=FakeConsole(stdin=reader))
    os.close(reader)
    assert (str(result), engine.upkeep.calls) == ("", [])


def test_the_question_says_what_will_go() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"y\n")
    os.close(writer)
    console = FakeConsole(stdin=reader)
    call(FakeEngine(), "system", "prune", "-a", "--filter", "until=24h", console=console)
    os.close(reader)
    text = console.streams["stdout"].decode()
    for line in ("all stopped containers", "all images without at least one container", "all build cache", "until=24h"):
        assert f"  - {line}" in text


def test_the_answer() -> None:
    engine = FakeEngine(upkeep=FakeUpkeep(pruned=Pruned(("deleted: sha256:1",), 1_500_000, held=True)))
    result = call(engine, "system", "prune", "-f")
    assert isinstance(result, Reclaimed)
    assert (result.bytes, result.held, len(result.removed)) == (4_500_000, True, 3)
    assert "Deleted Images:\ndeleted: sha256:1\n\n" in str(result)
    assert "Total reclaimed space: 4.5MB\nA build or a pull is at work" in str(result)
    assert "<b>4.5MB</b>" in result._repr_html_()
    assert "3 removed" in result._repr_html_()
    assert "<details>" not in call(FakeEngine(), "image", "prune")._repr_html_()
