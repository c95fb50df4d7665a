from __future__ import annotations

import pytest

from dockmagic.errors import DockerfileError, DockmagicError, NotFound, excerpt, one_of


def test_a_notebook_shows_one_line_for_an_error() -> None:
    assert NotFound("image", "x", "pull it")._render_traceback_() == ["NotFound: no such image: x; pull it"]


def test_a_dockerfile_error_shows_the_line_and_points_at_the_word() -> None:
    error = DockerfileError("unknown instruction: FOO", line=2).locate("FROM x\nFOO bar\nRUN y", "Dockerfile")
    assert str(error) == "Dockerfile:2: unknown instruction: FOO\n  2 | FOO bar\n    | ^^^"
    assert isinstance(error, DockmagicError)


def test_an_excerpt_can_have_several_lines_and_a_column() -> None:
    assert excerpt("RUN a \\\n  b", 1, 2, column=4) == "  1 | RUN a \\\n    |     ^\n  2 |   b"


@pytest.mark.parametrize(("names", "phrase"), [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")])
def test_names_as_a_phrase(names: list[str], phrase: str) -> None:
    assert one_of(names) == phrase
