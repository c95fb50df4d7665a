"""What the parser gives beyond the instructions, which the tables under cases/ try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.dockerfile.nodes import Dockerfile, Heredoc, Node, ParseWarning
from dockmagic.dockerfile.parser import MAX_LINE_BYTES, NAMES, parse, split_instruction
from dockmagic.errors import DockerfileError
from tests.timing import takes_less


def test_a_dockerfile() -> None:
    text = "# syntax=x\nFROM --platform=p a\n\nCOPY <<f \\\n /\nb\nf\n"
    assert parse(text, "web/Dockerfile") == Dockerfile(
        (
            Node("FROM", "FROM --platform=p a", ("--platform=p",), "a", (), 2, 2),
            Node("COPY", "COPY <<f  /", (), "<<f  /", (Heredoc("f", "b\n"),), 4, 7),
        ),
        "\\",
        {"syntax": "x"},
        (),
        text,
        "web/Dockerfile",
    )


@pytest.mark.parametrize("text", ["", "\n", "# c", "\\", "\\\n\\\n", " \t\n", "\ufeff", "# escape=`"])
def test_texts_without_instructions(text: str) -> None:
    assert parse(text).nodes == ()


def test_names_are_upper_case_and_text_is_as_written() -> None:
    node = parse("from  a").nodes[0]
    assert (node.name, node.text) == ("FROM", "from  a")


def test_comments_above_an_instruction() -> None:
    text = "# syntax=x\n# one\n\n#  two \nFROM a\n# three\n#\n# four\nRUN \\\n# inside\nb\nRUN c\n"
    assert [node.comments for node in parse(text).nodes] == [("one", "two"), ("four",), ()]


def test_an_empty_continuation_line_is_warned_of_once() -> None:
    warning = ParseWarning("NoEmptyContinuation", "Empty continuation line", 2)
    assert parse("RUN a \\\n\n\n b\n").warnings == (warning,)


@pytest.mark.parametrize(
    "text",
    ["RUN " + "x" * (MAX_LINE_BYTES - 3), "RUN a \\\n" + "é" * 32_768, "RUN <<E\n" + "x" * (MAX_LINE_BYTES + 1)],
)
def test_a_line_may_not_be_too_long(text: str) -> None:
    with pytest.raises(DockerfileError, match="line greater than max allowed size of 65535 bytes") as raised:
        parse(text)
    assert raised.value.line == text.count("\n") + 1


def test_the_longest_line() -> None:
    assert len(parse("RUN " + "x" * (MAX_LINE_BYTES - 4)).nodes[0].text) == MAX_LINE_BYTES


def test_an_error_shows_the_line_and_the_file() -> None:
    with pytest.raises(DockerfileError) as raised:
        parse("FROM a\n  COYP b c", "x.dockerfile")
    assert str(raised.value) == (
        "x.dockerfile:2: unknown instruction: COYP (did you mean COPY?)\n  2 |   COYP b c\n    |   ^^^^"
    )


def test_a_byte_order_mark_moves_no_column() -> None:
    with pytest.raises(DockerfileError) as raised:
        parse("\ufeffFRO a")
    assert str(raised.value).endswith("\n  1 | FRO a\n    | ^^^")


def test_a_long_unknown_name_is_cut() -> None:
    with pytest.raises(DockerfileError, match=r"unknown instruction: x{40} \(the instructions are ADD, ARG"):
        parse("x" * 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run", ("RUN", (), "")),
        ("Copy --from=a --link b c", ("COPY", ("--from=a", "--link"), "b c")),
        ("CMD -- --a ", ("CMD", (), "--a")),
        ("", ("", (), "")),
    ],
)
def test_splitting_an_instruction(text: str, expected: tuple[str, tuple[str, ...], str]) -> None:
    assert split_instruction(text) == expected


_LINES = st.text(
    st.characters(exclude_characters="\\\n#<`\r\x0b\x0c", exclude_categories=["Cs", "Cc", "Z"]), min_size=1
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), _LINES), min_size=1))
def test_every_line_is_an_instruction(lines: list[tuple[str, str]]) -> None:
    lines = [(name, f"x{rest}") for name, rest in lines]
    nodes = parse("\n".join(f"{name} {rest}" for name, rest in lines)).nodes
    assert [(node.name, node.rest, node.line, node.end_line) for node in nodes] == [
        (name, rest, number, number) for number, (name, rest) in enumerate(lines, 1)
    ]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])).filter(lambda line: line != "E")
    )
)
def test_a_heredoc_is_kept_as_it_is(body: list[str]) -> None:
    content = "".join(f"{line}\n" for line in body)
    nodes = parse(f"RUN <<E\n{content}E\nRUN x").nodes
    assert nodes[0].heredocs == (Heredoc("E", content),)
    assert nodes[1].line == len(body) + 3


@pytest.mark.parametrize(
    "text",
    [
        "RUN a\n" * 20_000,
        "RUN a \\\n" * 20_000,
        "RUN a \\\n" + "# c\n" * 40_000,
        "# c\n" * 40_000,
        "RUN <<E\n" + "x\n" * 40_000 + "E\n",
        "\\\n" * 40_000,
        "RUN " + "--a=b \\\n" * 10_000,
        "RUN " + "<<E \\\n" * 5_000 + "x\n" + "E\n" * 5_000,
    ],
    ids=lambda text: text[:12],
)
def test_parsing_takes_time_in_proportion(text: str) -> None:
    assert takes_less(lambda: parse(text), 3)
