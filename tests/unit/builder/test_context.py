from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.builder.context import Context
from dockmagic.errors import BuildError, DockerfileError
from tests.unit.builder.lab import fill


def test_files_count_as_roots_and_links_to_the_context_are_followed(context: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(context)
    origin = Context(tmp_path / "link").origin
    assert origin.root_owned
    assert origin.tree.layers == (str(context),)


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    context = Context(tmp_path / "none")
    with pytest.raises(BuildError, match="none can't be used: No such file"):
        _ = context.origin


def test_a_file_is_no_context(tmp_path: Path) -> None:
    fill(tmp_path, {"file": ""})
    with pytest.raises(BuildError, match="isn't a directory"):
        _ = Context(tmp_path / "file").origin


def test_no_context() -> None:
    with pytest.raises(BuildError, match="no context to copy from; name a directory"):
        _ = Context(None).origin


def test_which_dockerignore_applies(context: Path, tmp_path: Path) -> None:
    fill(context, {".dockerignore": "a"})
    fill(tmp_path, {"other/Dockerfile": "", "other/Dockerfile.dockerignore": "b", "plain/Dockerfile": ""})
    rules = {
        name: [path for path in ("a", "b") if Context(context, dockerfile).origin.ignore.excludes(path)]
        for name, dockerfile in {
            "text": None,
            "own": tmp_path / "other/Dockerfile",
            "plain": tmp_path / "plain/Dockerfile",
        }.items()
    }
    assert rules == {"text": ["a"], "own": ["b"], "plain": ["a"]}


def test_without_a_dockerignore_nothing_is_left_out(context: Path) -> None:
    assert not Context(context).origin.ignore.excludes("a")


def test_a_wrong_line_is_shown(context: Path) -> None:
    fill(context, {".dockerignore": "fine\n[a\n"})
    with pytest.raises(DockerfileError, match=r"\.dockerignore:2: syntax error in pattern"):
        _ = Context(context).origin


def test_a_context_with_a_name_says_so(context: Path) -> None:
    assert Context(context, name="lib").origin.what == "the build context lib"
