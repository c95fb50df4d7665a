from __future__ import annotations

import time
from pathlib import Path

import pytest

from dockmagic.errors import BuildError
from dockmagic.image import tool


def test_lines_arrive_while_it_runs(tmp_path: Path) -> None:
    seen: list[str] = []
    lines = tool.run(["sh", "-c", "echo out; echo err >&2; pwd"], cwd=tmp_path, on_line=seen.append)
    assert lines == seen == ["out", "err", str(tmp_path)]


def test_a_failure_shows_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"sh ended with status 3:\n(.*\n){11}  line 20") as caught:
        tool.run(["sh", "-c", "for i in $(seq 20); do echo line $i; done; exit 3"], cwd=tmp_path)
    assert "line 8\n" not in str(caught.value)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="cannot start /no/such: No such file"):
        tool.run(["/no/such"], cwd=tmp_path)


def test_an_interruption_ends_all_that_it_started(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tool.run(["sh", "-c", "sleep 60 & echo $! > child; echo go; wait"], cwd=tmp_path, on_line=interrupt)
    child = Path("/proc") / (tmp_path / "child").read_text().strip()
    for _ in range(100):
        if not child.exists() or "\nState:\tZ" in (child / "status").read_text():
            return
        time.sleep(0.02)
    pytest.fail("the child still runs")


def test_programs_are_found_in_the_given_path_only(tmp_path: Path) -> None:
    assert tool.find("sh", None) is not None
    assert tool.find("sh", str(tmp_path)) is None
