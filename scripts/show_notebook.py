"""Execute a notebook in a real kernel and show it in the terminal, cell by cell, as it goes.

    python scripts/show_notebook.py NOTEBOOK DIRECTORY

The executed notebook, its HTML page and its pictures are written to the directory. Ends with status 1 where a cell
failed; the containers that such a notebook left running are removed.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from dockmagic.commands.doors import open_engine

TIMEOUT_S = 300
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
Cell = Any  # nbformat's nodes have no types
Output = Any


class Page:
    """Shows cells on standard output; pictures go to files named after the cell."""

    def __init__(self, pictures: Path, stem: str) -> None:
        self._pictures = pictures
        self._stem = stem
        self._width = min(shutil.get_terminal_size().columns, 100)
        self._bold, self._dim, self._end = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "")

    def markdown(self, cell: Cell) -> None:
        """Show a text."""
        for line in cell.source.splitlines():
            print(f"{self._bold}{line}{self._end}" if line.startswith("#") else textwrap.fill(line, self._width))
        print()

    def source(self, cell: Cell) -> None:
        """Show a cell's code."""
        number = f"In [{cell.execution_count}]: "
        for index, line in enumerate(cell.source.splitlines()):
            print(f"{self._dim}{' ' * len(number) if index else number}{self._end}{self._bold}{line}{self._end}")

    def outputs(self, cell: Cell) -> None:
        """Show what a cell gave."""
        for output in cell.outputs:
            text = _ESCAPES.sub("", _text(output)).rstrip()
            if text:
                print(text)
            picture = output.get("data", {}).get("image/png")
            if picture:
                print(f"{self._dim}[picture: {self._save(cell, picture)}]{self._end}")
        print(flush=True)

    def _save(self, cell: Cell, picture: str) -> Path:
        path = self._pictures / f"{self._stem}-{cell.id}.png"
        path.write_bytes(base64.b64decode(picture))
        return path


def _text(output: Output) -> str:
    """An output as plain text."""
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
    return str(output.data.get("text/plain", ""))


def execute(notebook: Any, page: Page, directory: Path) -> bool:
    """Run all cells in a kernel in the directory, showing each; whether all went well."""
    shown = 0

    def show(cell_index: int, cell: Cell, **_: Any) -> None:
        nonlocal shown
        for text in notebook.cells[shown:cell_index]:
            page.markdown(text)
        shown = cell_index + 1
        page.source(cell)
        page.outputs(cell)

    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        resources={"metadata": {"path": str(directory)}},
        on_cell_executed=show,
        extra_arguments=["--log-level=ERROR"],
    )
    try:
        client.execute()
    except CellExecutionError:
        return False
    for text in notebook.cells[shown:]:
        page.markdown(text)
    return True


@contextmanager
def containers_removed_on_failure() -> Iterator[list[bool]]:
    """Yield a list that takes the outcome; without a good one, the containers made meanwhile are removed."""
    engine = open_engine(os.environ)
    outcome: list[bool] = []
    before = {container.id for container in engine.containers.ls(all=True)}
    try:
        yield outcome
    finally:
        if outcome != [True]:
            for container in engine.containers.ls(all=True):
                if container.id not in before:
                    container.rm(force=True)
        engine.close()


def main() -> int:
    """Execute, show and write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("directory", type=Path)
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(args.notebook, as_version=4)
    page = Page(args.directory, args.notebook.stem)
    with containers_removed_on_failure() as outcome:
        outcome.append(execute(notebook, page, args.notebook.resolve().parent))
    nbformat.write(notebook, args.directory / args.notebook.name)
    html = args.directory / f"{args.notebook.stem}.html"
    html.write_text(HTMLExporter().from_notebook_node(notebook)[0])
    print(f"The executed notebook, as a page: {html}")
    return 0 if outcome == [True] else 1


if __name__ == "__main__":
    sys.exit(main())
