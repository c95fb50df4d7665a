"""A shell with the magics loaded, on an engine without containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

from dockmagic.magics import session
from dockmagic.magics.extension import load, unload
from tests.unit.commands.fakes import FakeEngine


@dataclass
class Cell:
    """What a cell gave: its result, its streams, its displays and its errors as shown."""

    result: ExecutionResult
    stdout: str
    stderr: str
    value: object = field(init=False)

    def __post_init__(self) -> None:
        self.value = self.result.result

    @property
    def error(self) -> BaseException | None:
        """What ended it."""
        return self.result.error_in_exec or self.result.error_before_exec


RunCell = Callable[[str], Cell]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine that the magics will find."""
    fake = FakeEngine()
    monkeypatch.setattr(session, "open_engine", lambda environ: fake)
    return fake


@pytest.fixture
def shell(engine: FakeEngine) -> Iterator[Any]:
    """An IPython shell without history."""
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)  # type: ignore[no-untyped-call]
    load(shell)
    yield shell
    if hasattr(shell, "dockmagic"):
        unload(shell)
    shell.restore_sys_module_state()  # type: ignore[no-untyped-call]


@pytest.fixture
def run(shell: Any, capsys: pytest.CaptureFixture[str]) -> RunCell:
    """Run a cell and say what came of it."""

    def run_cell(source: str) -> Cell:
        capsys.readouterr()
        result = shell.run_cell(source, store_history=True)
        captured = capsys.readouterr()
        return Cell(result, captured.out, captured.err)

    return run_cell
