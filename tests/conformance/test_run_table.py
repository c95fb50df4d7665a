"""The table of conformance: what each flag of `docker run` does, seen from inside or by its caller, beside podman.

Where the two differ the table has the reason, and what is to be seen here; a difference that has gone is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from tests.conformance.run_case import Case, Scene
from tests.conformance.run_cases import SCENES
from tests.conformance.run_table import markdown
from tests.conformance.scene import Side

pytestmark = [pytest.mark.root, pytest.mark.needs("podman", "skopeo", "runc", "tini-static")]

Look = Callable[[Scene], dict[Case, tuple[str, str]]]
CASES = [(scene, case) for scene in SCENES for case in scene.cases]


@pytest.fixture(scope="module")
def look(dockmagic: Side, podman: Side) -> Iterator[Look]:
    """Look at a scene's cases with both engines at the same time, once: what dockmagic shows, and what podman shows."""
    with ThreadPoolExecutor(2) as threads:

        @cache
        def look(scene: Scene) -> dict[Case, tuple[str, str]]:
            ours, theirs = threads.map(scene.perform, (dockmagic, podman))
            return dict(zip(scene.cases, zip(ours, theirs, strict=True), strict=True))

        yield look


@pytest.mark.parametrize(("scene", "case"), CASES, ids=[str(case) for _, case in CASES])
def test_a_row(scene: Scene, case: Case, look: Look) -> None:
    ours, theirs = look(scene)[case]
    if case.differs is None or not case.differs.holds():
        assert ours == theirs
        return
    assert re.fullmatch(case.differs.shown, ours, re.DOTALL), f"{ours!r} isn't {case.differs.shown!r}"
    assert ours != theirs, f"no difference any more: {case.differs.why}"


def test_the_table_has_enough_rows() -> None:
    assert len({str(case) for _, case in CASES}) >= 120


def test_a_row_as_text() -> None:
    lines = list(markdown([(Case("-m 64m", "cat x | wc"), ["1\n2", "1\n2"])], ["dockmagic", "podman"]))
    assert lines[2] == "| 1 | `-m 64m` | `cat x \\| wc` | `1⏎2` | = | same |"
    assert lines[-1] == "1 cases: 1 same"
