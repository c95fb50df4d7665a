from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.builder.build import build_dockerfile
from dockmagic.builder.parts import BuildOptions
from dockmagic.builder.plan import BuildArgs
from dockmagic.errors import DockerfileError, NotFound
from dockmagic.events import BuildFinished, BuildWarning, Event
from dockmagic.oci.reference import Reference
from tests.unit.builder.lab import Lab, fill


def test_the_end_is_told_with_the_names(lab: Lab) -> None:
    events: list[Event] = []
    options = BuildOptions(tags=(Reference.parse("one"), Reference.parse("registry.example/two:3")))
    image = build_dockerfile("FROM base\n", None, options, lab.parts, on_event=events.append)
    assert events[-1] == BuildFinished(image.id, ("one:latest", "registry.example/two:3"))
    assert lab.store.get("one").id == lab.store.get("registry.example/two:3").id == image.id


def test_arguments_that_nobody_declares_are_a_warning(lab: Lab) -> None:
    lab.build("FROM base\nARG A\n", args={"A": "1", "B": "2"})
    assert lab.events[0] == BuildWarning("[Warning] One or more build-args [B] were not consumed", 1)


def test_what_the_parser_finds_odd_is_a_warning(lab: Lab) -> None:
    lab.build("FROM base\nENV A=1 \\\n\n  B=2\n")
    assert [event.line for event in lab.events if isinstance(event, BuildWarning)] == [3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no FROM"),
        ("RUN x\n", "no FROM"),
        ("FROM base\nNONSENSE x\n", r"File:2: unknown instruction: NONSENSE(.|\n)*2 \| NONSENSE x\n    \| \^\^\^"),
        (
            "FROM base\nRUN --mount=type=ssh,required y\n",
            r'File:2: no SSH key "default" forwarded from the client(.|\n)*\n    \|     \^{25}',
        ),
        ("FROM base\nENV A=${B:?missing}\n", r"File:2: (.|\n)*2 \| ENV A="),
        ("FROM base\nRUN --device=x a\n", "File:2: RUN --device isn't supported"),
        ("FROM base\nUSER $U\n", r"File:2: USER is empty once its variables are expanded(.|\n)*2 \| USER"),
    ],
)
def test_errors_show_the_file_and_the_lines(lab: Lab, text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message):
        build_dockerfile(text, None, BuildOptions(), lab.parts, filename="File")


def test_a_target_that_is_not_there(lab: Lab) -> None:
    with pytest.raises(NotFound, match="no such build stage: x"):
        build_dockerfile("FROM base\n", None, BuildOptions(BuildArgs(target="x")), lab.parts)


def test_the_dockerfile_decides_what_is_ignored(lab: Lab, context: Path) -> None:
    fill(context, {"a": "", "b": "", "File": "FROM scratch\nCOPY . /\n", "File.dockerignore": "a\nFile*\n"})
    text = (context / "File").read_text()
    image = build_dockerfile(text, context, BuildOptions(), lab.parts, dockerfile=context / "File")
    assert lab.listing(image) == ["b"]
