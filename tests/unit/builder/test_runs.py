from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.builder import runs
from dockmagic.builder.explain import StepRun
from dockmagic.builder.runs import Places, StepRuns, build_name
from dockmagic.database import Database

RUN = StepRun("key", "parent", {"argv": "x"}, {"A": "\udcff"}, ("A",), "c", {"a/": "1"}, complete=False)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "state.db")


def test_the_last_run_counts(database: Database) -> None:
    step_runs = StepRuns(database)
    assert (step_runs.key("p"), step_runs.last("p")) == (None, None)
    step_runs.record("p", StepRun("other", ""))
    step_runs.record("p", RUN)
    assert (step_runs.key("p"), StepRuns(Database(database.path)).last("p")) == ("key", RUN)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"key": "k", "parent": "", "args": [], "unheard of": 1}', "null"])
def test_what_another_version_wrote_is_no_run(database: Database, text: str) -> None:
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO build_steps VALUES ('p', 'k', ?, 1)", (text,))
    assert StepRuns(database).last("p") is None


def test_only_so_many_places_are_kept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_PLACES", 3)
    step_runs = StepRuns(database)
    for place in "abacde":
        step_runs.record(place, RUN)
    assert [row["place"] for row in database.query("SELECT place FROM build_steps ORDER BY place")] == ["c", "d", "e"]


def test_places_are_by_stage_kind_and_number() -> None:
    one, two = Places("b", "0"), Places("b", "0")
    first = [one.next(keyword) for keyword in ("RUN", "ENV", "RUN")]
    second = [two.next(keyword) for keyword in ("RUN", "RUN")]
    assert second == [first[0], first[2]]
    others = {Places("b", "1").next("RUN"), Places("c", "0").next("RUN"), Places("b", "0").next("COPY")}
    assert len(others | set(first)) == 6


def test_a_build_is_called_by_its_file_context_and_image() -> None:
    names = {
        build_name(None, None, ""),
        build_name(Path("a"), None, ""),
        build_name(None, Path("a"), ""),
        build_name(None, None, "a"),
    }
    assert len(names) == 4
    assert build_name(Path("a"), None, "") == build_name(Path("a").absolute(), None, "")
