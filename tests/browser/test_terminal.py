"""A container's terminal in JupyterLab: what is typed, shown, resized, interrupted, and what stays of it."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import CHROMIUM, running_lab

PICTURE = Path(__file__).parent / "artifacts" / "terminal.png"
SCREEN, KEYS = ".dockmagic-terminal-screen", ".xterm-helper-textarea"
CELLS = (
    "%load_ext dockmagic\n%image_bootstrap busybox",
    "%container_run -it --name work busybox sh",
)


def write_notebook(path: Path) -> None:
    """A notebook with the cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    path.parent.mkdir(parents=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)))


def type_line(page: Page, text: str) -> None:
    """Type a line into the terminal."""
    page.locator(KEYS).press_sequentially(text)
    page.keyboard.press("Enter")


@pytest.mark.root
@pytest.mark.browser
@pytest.mark.needs(CHROMIUM)
@pytest.mark.timeout(240)
def test_a_terminal_in_a_cell(state_root: Path, tmp_path: Path) -> None:
    files, own = tmp_path / "notebooks", tmp_path / "jupyter"
    own.mkdir()
    write_notebook(files / "terminal.ipynb")
    with running_lab(files, own, dict(os.environ)) as lab, lab.notebook("terminal.ipynb") as notebook:
        cells = notebook.run()
        assert [cell.text for cell in cells if cell.failed] == []
        page, rows = notebook.page, notebook.page.locator(".xterm-rows")
        expect(rows).to_contain_text("/ #")
        type_line(page, "echo $((6*7))")
        expect(rows).to_contain_text("42")
        type_line(page, "printf '\\033[31mred\\033[0m %s\\n' $(stty size)")
        expect(page.locator(".xterm-fg-1", has_text="red").first).to_be_visible()
        before = rows.inner_text()
        page.locator(SCREEN).evaluate("(element) => { element.style.height = '200px' }")
        type_line(page, "clear; echo rows: $(stty size | cut -d' ' -f1)")
        expect(rows).to_contain_text("rows: 1")
        assert "rows: 2" not in before
        type_line(page, "echo asleep; sleep 1000")
        expect(rows).to_contain_text("1000asleep")  # by then the shell reads no keys
        page.keyboard.press("Control+c")
        type_line(page, "echo status $?")
        expect(rows).to_contain_text("status 130")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        expect(rows).to_contain_text("status 0")
        notebook.picture(PICTURE)
        type_line(page, "exit 3")
        expect(page.locator(".dockmagic-terminal")).to_have_count(0)
        saved = notebook.saved()
    (output,) = saved["cells"][1]["outputs"]
    assert "application/vnd.jupyter.widget-view+json" not in output["data"]
    assert "status 130" in "".join(output["data"]["text/plain"])
    assert "[ended with 3]" in "".join(output["data"]["text/plain"])
    assert "<pre" in "".join(output["data"]["text/html"])
    assert lab.console == []
