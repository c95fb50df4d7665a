from __future__ import annotations

import pytest

from dockmagic.commands.results import Checked, Document, Facts, Finished, Names, Numbers
from dockmagic.dockerfile.lint import LintWarning


def test_a_success_shows_nothing() -> None:
    finished = Finished(0, stdout=b"hi\n")
    assert str(finished) == ""
    finished._ipython_display_()


def test_a_failure_shows_its_status() -> None:
    finished = Finished(3)
    assert str(finished) == "exited with 3"
    assert "exited with 3" in finished._repr_html_()
    with pytest.raises(NotImplementedError):
        finished._ipython_display_()


def test_a_kill_for_want_of_memory_says_so() -> None:
    assert str(Finished(137, oom_killed=True, memory_limit_bytes=64 << 20)) == (
        "exited with 137: OOM-killed at 64MiB; --memory gives it more"
    )
    assert str(Finished(0, oom_killed=True)) == "exited with 0: a process of it was OOM-killed; --memory gives it more"


def test_names_and_numbers_have_a_line_each() -> None:
    assert str(Names(["a", "b"])) == "a\nb"
    assert str(Numbers([0, 137])) == "0\n137"


def test_documents_are_json_and_can_be_indexed() -> None:
    document = Document([{"Id": "<é>"}])
    assert document[0]["Id"] == "<é>"
    assert str(document) == '[\n    {\n        "Id": "<é>"\n    }\n]'
    assert "&lt;é&gt;" in document._repr_html_()


def test_facts() -> None:
    facts = Facts((("root", "/x"), ("cgroups", "v1")))
    assert facts["cgroups"] == "v1"
    assert str(facts) == "root:      /x\ncgroups:   v1"


def test_a_check_says_how_many_and_each() -> None:
    assert str(Checked((), "", "Dockerfile")) == "Check complete, no warnings found."
    assert Checked((), "", "Dockerfile").exit_status == 0
    warning = LintWarning("Rule", "it is <odd>", "https://example.org/", 1, 1, 5)
    checked = Checked((warning, warning), "FROM busybox\n", "cell")
    block = "WARNING: Rule - https://example.org/\nit is <odd>\ncell:1\n  1 | FROM busybox\n    |      ^^^^^^^"
    assert str(checked) == f"Check complete, 2 warnings have been found!\n\n{block}\n\n{block}"
    assert checked.exit_status == 1
    assert "it is &lt;odd&gt;" in checked._repr_html_()
