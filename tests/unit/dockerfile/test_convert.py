"""Details of the instructions that the tables under cases/ leave out."""

from __future__ import annotations

import pytest

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.convert import instruction_of
from dockmagic.dockerfile.parser import NAMES, parse
from dockmagic.errors import DockerfileError

_ARGUMENTS = {
    "ENV": "a=b",
    "LABEL": "a=b",
    "COPY": "a b",
    "ADD": "a b",
    "SHELL": '["a"]',
    "HEALTHCHECK": "NONE",
    "ONBUILD": "USER a",
}


def instruction(text: str) -> df.Instruction:
    """The instruction that the text is."""
    dockerfile = parse(text)
    return instruction_of(dockerfile.nodes[0], dockerfile.escape)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_its_class(name: str) -> None:
    found = instruction(f"{name.lower()} \\\n {_ARGUMENTS.get(name, 'a')}")
    assert type(found).keyword == name
    assert (found.line, found.end_line) == (1, 2)
    assert found.text == f"{name.lower()}  {_ARGUMENTS.get(name, 'a')}"


@pytest.mark.parametrize(
    "name", sorted(set(NAMES) - {"FROM", "RUN", "COPY", "ADD", "HEALTHCHECK"}), ids=lambda name: str(name)
)
def test_most_have_no_flags(name: str) -> None:
    with pytest.raises(DockerfileError, match=f"unknown flag: --x; {name} has no flags"):
        instruction(f"{name} --x {_ARGUMENTS.get(name, 'a')}")


def test_the_escape_parts_words() -> None:
    assert instruction("# escape=`\nENV a=b` c d=e\\") == df.Env((("a", "b` c"), ("d", "e\\")))
    assert instruction("# escape=`\nARG a=b` c") == df.Arg((("a", "b` c"),))


@pytest.mark.parametrize("name", ["a", "a-b.c_d", "A1", "build"])
def test_stage_names(name: str) -> None:
    assert instruction(f"FROM x AS {name}") == df.From("x", name=name.lower())


@pytest.mark.parametrize("name", ["1", "-a", "a/b", "a:b", "é", "a\u00a0b"])
def test_texts_that_are_no_stage_names(name: str) -> None:
    with pytest.raises(DockerfileError, match="invalid name for build stage"):
        instruction(f"FROM x AS {name}")


def test_an_onbuild_trigger_has_its_own_text() -> None:
    found = instruction("ONBUILD \\\n  run  a")
    assert found == df.OnBuild(df.Run(df.Command(("a",), shell=True)), "run  a")
    assert isinstance(found, df.OnBuild)
    assert found.trigger.text == "run  a"


@pytest.mark.parametrize("text", ["ONBUILD RUN [1]", "VOLUME [1]", "SHELL [1]", "ENTRYPOINT [{}]"])
def test_arrays_of_other_things(text: str) -> None:
    with pytest.raises(DockerfileError, match="arrays must be comprised of strings only") as raised:
        instruction(text)
    assert raised.value.column == text.index("[")
