"""Which fields of which instruction are expanded, and how."""

from __future__ import annotations

from dataclasses import fields

import pytest

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.dockerfile.substitute import Names, expand_instruction, expand_noting
from dockmagic.errors import DockerfileError

ENV = {"A": "1", "W": "x y", "E": "", "M": "90 91"}


def instruction(text: str) -> df.Instruction:
    """The last instruction of a stage with this text."""
    stage = stages(parse(f"FROM a\n{text}")).stages[-1]
    return stage.instructions[-1] if stage.instructions else stage.from_


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM --platform=$A b:$A AS c", df.From("b:1", "1", "c")),
        ("ENV $A='$A' b=\"$W\" c=$W", df.Env((("1", "$A"), ("b", "x y"), ("c", "x y")))),
        ("ENV d=${N:-n} e=\\$A", df.Env((("d", "n"), ("e", "$A")))),
        ("ENV k  $W \"q\" 'r'", df.Env((("k", "x y q r"),), legacy=True)),
        ("LABEL \"a b\"=$A c='$A'", df.Label((("a b", "1"), ("c", "$A")))),
        ('ARG a=$A b c="$W"', df.Arg((("a", "1"), ("b", None), ("c", "x y")))),
        ("WORKDIR /$A/'$A'", df.Workdir("/1/$A")),
        ("USER ${U:-nobody}:$A", df.User("nobody:1")),
        ("VOLUME /$A $W", df.Volume(("/1", "x y"))),
        ('VOLUME ["/$A"]', df.Volume(("/1",))),
        ("STOPSIGNAL SIG$A", df.StopSignal("SIG1")),
        ("EXPOSE $A ${P:-80/udp} $E $M", df.Expose(("1", "80/udp", "90", "91"))),
        (
            "COPY --from=f --chown=$A:$A --chmod=$A --exclude=$A $A $W d/$A",
            df.Copy(("1", "x y"), "d/1", from_="f", chown="1:1", chmod="1", exclude=("1",)),
        ),
        ('COPY ["$A b", "\\\\$A"]', df.Copy(("1 b",), "$A")),
        ("ADD --checksum=sha256:$A http://$A/ .", df.Add(("http://1/",), ".", checksum="sha256:1")),
        (
            "RUN --mount=type=bind,target=/$A,rw echo $A",
            df.Run(df.Command(("echo $A",), True), mounts=((("type", "bind"), ("target", "/1"), ("rw", None)),)),
        ),
        ("CMD $A", df.Cmd(df.Command(("$A",), shell=True))),
        ('ENTRYPOINT ["$A"]', df.Entrypoint(df.Command(("$A",), shell=False))),
        ('SHELL ["$A"]', df.Shell(("$A",))),
        ("HEALTHCHECK CMD $A", df.Healthcheck(df.Command(("$A",), shell=True))),
        ("MAINTAINER $A", df.Maintainer("$A")),
        ("ONBUILD USER $A", df.OnBuild(df.User("$A"), "USER $A")),
    ],
)
def test_an_instruction_expanded(text: str, expected: df.Instruction) -> None:
    assert expand_instruction(instruction(text), ENV) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("k=a", "a"),
        ("k=", ""),
        ('k=""', ""),
        ("k=a=b", "a=b"),
        ("k=a\\ b", "a b"),
        ('k="a b"', "a b"),
        ("k='a  b'", "a  b"),
        ('k=a"b c"d', "ab cd"),
        ("k='a'\"b\"c", "abc"),
        ('k=\\"a\\"', '"a"'),
        ('k="\\"a\\""', '"a"'),
        ('k="it\'s"', "it's"),
        ("k='a\"b'", 'a"b'),
        ('k="a\\ b"', "a\\ b"),
        ('k="a\\\\b"', "a\\b"),
        ("k='a\\b'", "a\\b"),
        ("k=$A$W", "1x y"),
        ("k='$A'", "$A"),
        ('k="$A"', "1"),
        ('k="\\$A"', "$A"),
        ("k=#a", "#a"),
        ("k a", "a"),
        ("k   a  b ", "a  b"),
        ("k a=b", "a=b"),
        ('k "a  b" c', "a  b c"),
        ("k a\\ b", "a b"),
        ("k '$A' $A", "$A 1"),
    ],
)
@pytest.mark.parametrize("name", ["ENV", "LABEL"])
def test_quotes_in_values(name: str, written: str, expected: str) -> None:
    found = expand_instruction(instruction(f"{name} {written}"), ENV)
    assert isinstance(found, df.Env | df.Label)
    assert found.pairs == (("k", expected),)


def test_one_instruction_sees_the_values_from_before_it() -> None:
    env = dict[str, str]()
    for line in ("ENV abc=hello", "ENV abc=bye def=$abc", "ENV ghi=$abc"):
        found = expand_instruction(instruction(line), env)
        assert isinstance(found, df.Env)
        env.update(found.pairs)
    assert env == {"abc": "bye", "def": "hello", "ghi": "bye"}


def test_heredocs_are_expanded_unless_quoted() -> None:
    copy = instruction("COPY <<a <<'b' /\n'$A' \\$A \"$W\"\na\n$A\nb\n")
    assert expand_instruction(copy, ENV) == df.Copy(
        (), "/", heredocs=(Heredoc("a", "'1' $A \"x y\"\n"), Heredoc("b", "$A\n", expand=False))
    )


def test_a_run_heredoc_is_left_to_the_shell() -> None:
    run = instruction("RUN <<E\necho $A\nE\n")
    assert expand_instruction(run, ENV) == run


def test_positions_are_kept() -> None:
    expanded = expand_instruction(instruction("USER \\\n $A"), ENV)
    assert (expanded.line, expanded.end_line, expanded.text) == (2, 3, "USER  $A")


def test_the_escape_of_the_file() -> None:
    assert expand_instruction(df.Workdir("C:\\`$A"), ENV, "`") == df.Workdir("C:\\$A")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("USER \\\n ${A", "failed to process"),
        ("WORKDIR '\\\n", "single-quote"),
        ("EXPOSE 80 \\\n $W", "invalid containerPort: x"),
    ],
)
def test_an_error_has_the_lines(text: str, message: str) -> None:
    found = instruction(text)
    with pytest.raises(DockerfileError, match=message) as raised:
        expand_instruction(found, ENV)
    assert (raised.value.line, raised.value.end_line) == (2, found.end_line)


def test_the_names_looked_up() -> None:
    found = expand_noting(instruction("COPY <<f $A /$N\n$B '$E'\nf\n"), ENV)[1]
    assert found == Names(used=frozenset("ABEN"), unset=frozenset("BN"))
    assert expand_noting(instruction("RUN echo $A"), ENV)[1] == Names(frozenset(), frozenset())
    assert expand_noting(instruction("EXPOSE ${P#80}0"), {**ENV, "P": "8"})[1] == Names(frozenset("P"), frozenset())


@pytest.mark.parametrize("word", ["${P-80}", "${P:-80}", "${P:+80}${P+80}", "${A:?}${Q-}"])
def test_a_word_that_provides_for_what_is_not_set(word: str) -> None:
    names = expand_noting(instruction(f"WORKDIR /{word}"), ENV)[1]
    assert names.used
    assert not names.unset
    assert expand_noting(instruction(f"WORKDIR $P$Q{word}"), ENV)[1].unset == frozenset("PQ")


def test_only_fields_that_exist_are_named() -> None:
    for kind in df.Instruction.__subclasses__():
        assert set(kind.expands) <= {item.name for item in fields(kind)}
