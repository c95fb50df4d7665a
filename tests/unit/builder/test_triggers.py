from __future__ import annotations

import pytest

from dockmagic.builder.plan import names_of_origins
from dockmagic.builder.steps import StageState
from dockmagic.builder.triggers import triggered
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError
from dockmagic.oci.image import ContainerConfig, ImageConfig


def found(*texts: str) -> tuple[df.Instruction, ...]:
    state = StageState(ImageConfig("amd64", "linux", ContainerConfig(on_build=texts)))
    return triggered(state, stages(parse("# comment\nFROM x\n")).stages[0].from_, "\\")


def test_triggers_stand_at_the_line_of_the_from() -> None:
    run, copy = found("RUN a", "COPY b c")
    assert run == df.Run(df.Command(("a",), True))
    assert (run.line, run.text, copy.line) == (2, "RUN a", 2)


def test_triggers_that_take_from_elsewhere() -> None:
    copy, run = found("COPY --from=x a b", "RUN --mount=from=y,target=/y z")
    assert [name for each in (copy, run) for name, _ in names_of_origins(each)] == ["x", "y"]


def test_without_triggers() -> None:
    assert found() == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NONSENSE x", "ONBUILD NONSENSE x: unknown instruction"),
        ("RUN a\nRUN b", "it isn't one instruction"),
        ("", "it isn't one instruction"),
        ("RUN --device=x y", "RUN --device isn't supported"),
        ("FROM y", "FROM can't be one"),
    ],
)
def test_triggers_that_cannot_be_carried_out(text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message) as caught:
        found(text)
    assert caught.value.line == 2
