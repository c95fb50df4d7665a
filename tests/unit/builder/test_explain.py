from __future__ import annotations

from dataclasses import replace

import pytest

from dockmagic.builder.explain import MOST_FILES, Spot, StepRun, differences, hit, label_of, miss, step_run
from dockmagic.builder.steps import CopyAction, RunAction
from dockmagic.dockerfile import instructions as df

COPY = Spot("place", "COPY ./ ./", "parent step 3 ran again")
RUN = Spot("place", "RUN", "parent step 3 ran again", ("VERSION",))
FILES = {"./": "0", "src/": "0", "src/app.js": "1", "src/b": "2"}
COPIED = StepRun("k1", "sha256:a", {"sources": '["./"]', "destination": "/app/"}, content="c1", files=FILES)
RAN = StepRun(
    "k1", "sha256:a", {"argv": '["sh", "-c", "make"]', "user": ""}, {"WHO": "world", "VERSION": "1"}, ("VERSION",)
)


def copied(files: dict[str, str]) -> StepRun:
    """The copy with these files."""
    return replace(COPIED, key="k2", content="c2", files=files)


@pytest.mark.parametrize(
    ("last", "now", "spot", "reason", "details"),
    [
        (
            COPIED,
            copied({**FILES, "src/app.js": "9"}),
            COPY,
            "COPY ./ ./: src/app.js changed",
            ("COPY ./ ./:", "  src/app.js changed"),
        ),
        (
            COPIED,
            copied({"./": "0", "a": "1", "src/": "9", "src/app.js": "1"}),
            COPY,
            "COPY ./ ./: a added, src/ changed, src/b removed",
            ("COPY ./ ./:", "  a added", "  src/ changed", "  src/b removed"),
        ),
        (
            COPIED,
            copied({**FILES, **{f"n{number}": "1" for number in range(60)}}),
            COPY,
            "COPY ./ ./: n0 added, n1 added, n10 added and 57 more",
            None,
        ),
        (COPIED, copied(FILES), COPY, "COPY ./ ./: files changed", None),
        (
            replace(COPIED, complete=False),
            replace(copied({**FILES, "new": "1"}), complete=False),
            COPY,
            f"COPY ./ ./: files changed; there are more than {MOST_FILES:,}, not all are compared",
            None,
        ),
        (
            COPIED,
            replace(COPIED, key="k2", inputs={"sources": '["./"]', "destination": "/new dir/"}),
            COPY,
            'COPY ./ ./: destination changed from /app/ to "/new dir/"',
            ('COPY ./ ./: destination changed from /app/ to "/new dir/"',),
        ),
        (
            RAN,
            replace(RAN, key="k2", inputs={"argv": '["sh", "-c", "make all"]', "user": ""}),
            RUN,
            "RUN: command changed",
            ("RUN: command changed", '  before: ["sh", "-c", "make"]', '  now:    ["sh", "-c", "make all"]'),
        ),
        (
            RAN,
            replace(RAN, key="k2", inputs={**RAN.inputs, "user": "bob"}),
            RUN,
            'RUN: user changed from "" to bob',
            None,
        ),
        (
            RAN,
            replace(RAN, key="k2", env={"WHO": "you all", "VERSION": "2"}),
            RUN,
            'ARG VERSION: value changed from 1 to 2; ENV WHO: value changed from world to "you all"',
            None,
        ),
        (
            RAN,
            replace(RAN, key="k2", env={"VERSION": "1", "A_TOKEN": "secret", "B": "2"}),
            RUN,
            "ENV A_TOKEN: added; ENV B: added, 2; and 1 more",
            ("ENV A_TOKEN: added", "ENV B: added, 2", "ENV WHO: removed"),
        ),
        (
            replace(RAN, env={"KEY": "old"}),
            replace(RAN, key="k2", env={"KEY": "new"}),
            RUN,
            "ENV KEY: value changed",
            None,
        ),
        (RAN, replace(RAN, key="k2", parent="sha256:b"), RUN, "parent step 3 ran again", ("parent step 3 ran again",)),
        (
            RAN,
            replace(RAN, key="k2", parent="", inputs={"argv": "[]", "user": ""}),
            RUN,
            "RUN: command changed; parent step 3 ran again",
            None,
        ),
        (RAN, replace(RAN, key="k2"), RUN, "RUN: what it is made of changed", ()),
    ],
)
def test_what_differs(last: StepRun, now: StepRun, spot: Spot, reason: str, details: tuple[str, ...] | None) -> None:
    found = differences(last, now, spot)
    assert found.reason == reason
    if details is not None:
        assert found.details == details
    assert "secret" not in str(found)


def test_long_lists_and_long_values_are_cut() -> None:
    many = differences(COPIED, copied({f"n{number}": "1" for number in range(1000)}), COPY)
    assert len(many.details) == 52
    assert many.details[-1] == "  and 954 more"
    long = differences(RAN, replace(RAN, key="k2", env={"WHO": "x" * 10_000, "VERSION": "1"}), RUN)
    assert len(long.reason) < 130
    assert len(differences(RAN, replace(RAN, key="k2", inputs={"argv": "y" * 10_000}), RUN).details[2]) < 600


def test_no_run_and_the_same_run() -> None:
    assert miss(None, RAN, RUN).reason == "not built before"
    assert miss(RAN, RAN, RUN).reason == "its layer isn't in the cache any more"
    assert miss(RAN, replace(RAN, key="k2", parent="x"), RUN).reason == "parent step 3 ran again"
    assert hit("k1", "k1", "abc").reason == "nothing changed: layer abc"
    assert hit("k1", "k2", "abc").reason == hit("k1", None, "abc").reason == "built like this before: layer abc"


def test_the_parts_of_a_run() -> None:
    action = RunAction(("sh", "-c", "x"), ("A=1=2", "B="), "bob", "/", "none", hidden_env=("http_proxy=secret",))
    run = step_run("k", None, action, ("A",), "", {})
    assert (run.parent, run.env, run.args, run.complete) == ("", {"A": "1=2", "B": ""}, ("A",), True)
    told = {"argv": '["sh", "-c", "x"]', "user": "bob", "workdir": "/", "network": "none", "script": "", "mounts": "[]"}
    assert {name: run.inputs[name] for name in told} == told
    assert "allow" not in run.inputs["settings"]
    files = {str(number): "0" for number in range(MOST_FILES + 1)}
    run = step_run("k", "sha256:a", CopyAction(("a",), "/x", None, None, (), unpack=False), (), "c", files)
    assert (len(run.files), run.complete, run.content) == (MOST_FILES, False, "c")
    assert run.inputs["unpack"] == "False"


@pytest.mark.parametrize(
    ("instruction", "label"),
    [
        (df.Copy(sources=("a", "b/"), destination="x/"), "COPY a b/ x/"),
        (df.Add(sources=("a" * 100,), destination="/x"), f"ADD {'a' * 35}…"),
        (df.Run(command=df.Command(("make",), shell=True)), "RUN"),
        (df.Workdir(path="/x"), "WORKDIR"),
    ],
)
def test_what_a_step_is_called(instruction: df.Instruction, label: str) -> None:
    assert label_of(instruction) == label
