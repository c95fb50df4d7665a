from __future__ import annotations

import pytest

from dockmagic.commands.fsck import Verified, advice
from dockmagic.image.checking import Fault, Kind
from dockmagic.image.fsck import Report
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeEngine, FakeUpkeep

BLOB = Fault(Kind.BLOB, "sha256:1", "is missing", ("app", "<b>"))
LAYER = Fault(Kind.LAYER, "sha256:2", "its directory is missing", ("app",))


def test_a_sound_store() -> None:
    engine = FakeEngine()
    result = call(engine, "system", "fsck")
    assert (str(result), result.exit_status) == ("1 image, 2 layers and 3 blobs checked: all is well.", 0)
    assert "<details" not in result._repr_html_()
    call(engine, "fsck", "-n", "--full")
    assert engine.upkeep.calls == [("fsck", False, False), ("fsck", True, True)]


def test_what_was_repaired_and_what_is_left() -> None:
    result = call(FakeEngine(upkeep=FakeUpkeep(checked=Report(1, 2, 3, (BLOB, LAYER), (BLOB,)))), "fsck")
    assert result.report.repaired == (LAYER,)
    assert str(result).splitlines() == [
        "layer sha256:2 (app) its directory is missing: repaired",
        "blob sha256:1 (app, <b>) is missing: get app, <b> again: pull it, or build it",
        "1 image, 2 layers and 3 blobs checked: 1 fault repaired, 1 left.",
    ]
    assert result.exit_status == 1
    assert "<details open><summary>2 faults</summary>" in result._repr_html_()
    assert "&lt;b&gt;" in result._repr_html_()


def test_a_dry_run_gives_no_advice() -> None:
    result = Verified(Report(1, 2, 3, (BLOB,), (BLOB,), dry_run=True))
    assert str(result).splitlines()[0] == "blob sha256:1 (app, <b>) is missing"
    assert "1 fault; without --dry-run" in str(result)
    assert result.exit_status == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(Kind.DATABASE, "state.db", "x"), "remove state.db"),
        (LAYER, "stop the containers of app"),
        (Fault(Kind.BLOB, "sha256:1", "x"), "try again"),
    ],
)
def test_advice(fault: Fault, words: str) -> None:
    assert words in advice(fault)
