"""The quickstart notebook gives what it promises, in a real kernel."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [pytest.mark.root, pytest.mark.notebook]
QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
Cell = Any  # nbformat's nodes have no types


def text(cell: Cell) -> str:
    """What a cell shows in a terminal."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def data(cell: Cell, kind: str) -> list[str]:
    """A cell's outputs of one MIME type."""
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def test_it_is_stored_without_outputs() -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}


def test_every_cell(state_root: Path) -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(QUICKSTART.parent)}}).execute()
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    outputs = [output for cell in cells.values() for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
    _check_build(cells)
    _check_run(cells)
    _check_stats(cells)
    _check_tree(cells)
    _check_end(cells)


def _check_build(cells: dict[str, Cell]) -> None:
    assert text(cells["base"]).endswith("busybox:latest")
    assert "[5/6] RUN echo" in text(cells["build"])
    assert re.search(r"hello:latest · [0-9a-f]{12} · 6 steps, 1 cached", text(cells["build"]))
    assert data(cells["build"], "text/html")


def _check_run(cells: dict[str, Cell]) -> None:
    greeting, built, hostname, user, header, process = text(cells["run"]).splitlines()
    assert (greeting, built, user) == ("hello world", f"built {datetime.now(UTC):%Y}", "0")
    assert re.fullmatch(r"[0-9a-f]{12}", hostname)
    assert header.split() == ["PID", "USER", "COMMAND"]
    assert process.split()[:2] == ["1", "root"]


def _check_stats(cells: dict[str, Cell]) -> None:
    assert len(data(cells["stats"], "image/png")) == 1
    average = re.search(r"burn: CPU ([\d.]+) % of one core on average", text(cells["stats"]))
    assert average is not None
    assert float(average[1]) < 75  # the limit is 50 %


def _check_tree(cells: dict[str, Cell]) -> None:
    assert "/app/motd.txt" in text(cells["tree"])
    assert "<details" in data(cells["tree"], "text/html")[0]


def _check_end(cells: dict[str, Cell]) -> None:
    assert re.search(r"^[0-9a-f]{12} +hello .* Up \d+ seconds +burn$", text(cells["ps"]).splitlines()[1])
    assert text(cells["logs"]) == "burning\n"
    assert text(cells["stop"]) == text(cells["rm"]) == "burn"
    assert [line.split()[:2] for line in text(cells["images"]).splitlines()[1:]] == [
        ["hello", "latest"],
        ["busybox", "latest"],
    ]
