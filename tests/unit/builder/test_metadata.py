from __future__ import annotations

import pytest

from dockmagic.builder.metadata import created_by, with_env
from dockmagic.builder.plan import BuildArgs
from dockmagic.builder.steps import Scope, StageState, next_step
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError
from dockmagic.oci.image import ContainerConfig, Healthcheck, ImageConfig


def after(text: str, config: ContainerConfig | None = None) -> StageState:
    """The state after these instructions."""
    state = StageState(ImageConfig("amd64", "linux", config or ContainerConfig()))
    for instruction in stages(parse(f"FROM x\n{text}")).stages[0].instructions:
        state = next_step(state, instruction, Scope(BuildArgs(), {}, {})).after
    return state


def config_after(text: str, config: ContainerConfig | None = None) -> ContainerConfig:
    return after(text, config).image.config


def history(text: str) -> str:
    """The history's words of the last of these instructions."""
    state, words = StageState(ImageConfig("amd64", "linux")), ""
    for instruction in stages(parse(f"FROM x\n{text}")).stages[0].instructions:
        step = next_step(state, instruction, Scope(BuildArgs(), {}, {}))
        state, words = step.after, step.created_by
    return words


def test_env_keeps_its_order_and_sees_only_what_came_before() -> None:
    config = config_after("ENV A=1 B=$A\nENV C=$A A=2\nENV D=$A\n")
    assert config.env == ("A=2", "B=", "C=1", "D=2")


def test_with_env_takes_entries_without_a_sign() -> None:
    assert with_env(["A", "B=1"], [("A", "x")]) == ("A=x", "B=1")


def test_labels_are_merged_with_the_bases() -> None:
    config = config_after("LABEL a=1 b=2\nLABEL b=3\n", ContainerConfig(labels={"old": "o", "a": "0"}))
    assert config.labels == {"old": "o", "a": "1", "b": "3"}


@pytest.mark.parametrize(
    ("text", "directory"),
    [
        ("WORKDIR app\n", "/app"),
        ("WORKDIR /a\nWORKDIR b/../c/\n", "/a/c"),
        ("WORKDIR /a\nWORKDIR ../../..\n", "/"),
        ("ENV D=/d\nWORKDIR $D/e\n", "/d/e"),
    ],
)
def test_workdir(text: str, directory: str) -> None:
    assert config_after(text).working_dir == directory


def test_an_entry_point_forgets_the_bases_command_but_not_the_stages_own() -> None:
    base = ContainerConfig(cmd=("base",))
    assert config_after('ENTRYPOINT ["e"]\n', base).cmd is None
    assert config_after('CMD ["own"]\nENTRYPOINT ["e"]\n', base).cmd == ("own",)
    assert config_after('ENTRYPOINT ["e"]\nCMD ["own"]\n', base).cmd == ("own",)


def test_shell_forms_use_the_shell_of_their_time() -> None:
    config = config_after('ENTRYPOINT one $X\nSHELL ["/bin/bash", "-c"]\nCMD two\n')
    assert config.entrypoint == ("/bin/sh", "-c", "one $X")
    assert config.cmd == ("/bin/bash", "-c", "two")
    assert config.shell == ("/bin/bash", "-c")
    assert config.args_escaped


def test_ports_and_volumes_are_sets() -> None:
    config = config_after(
        'EXPOSE 80 5000-5001/udp\nEXPOSE 80/tcp 22\nVOLUME /b /a\nVOLUME ["/a"]\n', ContainerConfig(volumes=("/z",))
    )
    assert config.exposed_ports == ("22/tcp", "5000/udp", "5001/udp", "80/tcp")
    assert config.volumes == ("/a", "/b", "/z")


def test_health_checks() -> None:
    assert config_after("HEALTHCHECK --interval=2s --retries=3 CMD test -f /x\n").healthcheck == Healthcheck(
        ("CMD-SHELL", "test -f /x"), interval=2_000_000_000, retries=3
    )
    assert config_after('HEALTHCHECK CMD ["a", "b"]\n').healthcheck == Healthcheck(("CMD", "a", "b"))
    assert config_after("HEALTHCHECK NONE\n").healthcheck == Healthcheck(("NONE",))


@pytest.mark.parametrize("name", ["SIGTERM", "term", "9", "SIGRTMIN+3", "RTMAX-2", "sigusr1", "64"])
def test_signals(name: str) -> None:
    assert config_after(f"STOPSIGNAL {name}\n").stop_signal == name


@pytest.mark.parametrize("name", ["SIGFOO", "0", "65", "RTMIN+x", "-9"])
def test_what_is_no_signal(name: str) -> None:
    with pytest.raises(DockerfileError, match="is no signal"):
        config_after(f"STOPSIGNAL {name}\n")


@pytest.mark.parametrize("instruction", ["USER $NONE", "WORKDIR ${NONE}", 'VOLUME ["$NONE"]'])
def test_a_value_must_not_vanish(instruction: str) -> None:
    with pytest.raises(DockerfileError, match="is empty once its variables are expanded") as caught:
        config_after(f"{instruction}\n")
    assert caught.value.line == 2


def test_user_maintainer_and_triggers() -> None:
    state = after("USER bob:staff\nMAINTAINER me\nONBUILD RUN x\nONBUILD COPY a b\n")
    assert state.image.config.user == "bob:staff"
    assert state.image.author == "me"
    assert state.image.config.on_build == ("RUN x", "COPY a b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ENV A=1 B='two words'\n", "ENV A=1 B=two words"),
        ("LABEL a=b\n", "LABEL a=b"),
        ("ARG A B=2\n", "ARG A B=2"),
        ('CMD ["sh", "-c", "a \\"b\\""]\n', 'CMD ["sh" "-c" "a \\"b\\""]'),
        ("CMD hi\n", 'CMD ["/bin/sh" "-c" "hi"]'),
        ('ENTRYPOINT ["x"]\n', 'ENTRYPOINT ["x"]'),
        ("EXPOSE 80 22/udp\n", "EXPOSE map[22/udp:{} 80/tcp:{}]"),
        ("VOLUME /a /b\n", "VOLUME [/a /b]"),
        ("WORKDIR x\n", "WORKDIR /x"),
        ("USER u\n", "USER u"),
        ("STOPSIGNAL 9\n", "STOPSIGNAL 9"),
        ('SHELL ["a", "-b"]\n', "SHELL [a -b]"),
        ("HEALTHCHECK NONE\n", "HEALTHCHECK NONE"),
        ("MAINTAINER me\n", "MAINTAINER me"),
        ("ONBUILD RUN x\n", ""),
        ("RUN a  b\n", "RUN /bin/sh -c a  b # buildkit"),
        ('RUN ["a", "b"]\n', "RUN a b # buildkit"),
        ("ARG X=1\nARG Y\nRUN a\n", "RUN |2 X=1 Y= /bin/sh -c a # buildkit"),
        ("COPY ./ ./\n", "COPY ./ ./ # buildkit"),
        ("ENV D=d\nADD --chown=1:2 --chmod=755 a $D /x/\n", "ADD --chown=1:2 --chmod=755 a d /x/ # buildkit"),
        ("COPY <<one <<two /x/\n1\none\n2\ntwo\n", "COPY <<one <<two /x/ # buildkit"),
    ],
)
def test_the_historys_words(text: str, words: str) -> None:
    assert history(text) == words


def test_every_instruction_has_words() -> None:
    (from_,) = (stage.from_ for stage in stages(parse("FROM x AS y\n")).stages)
    assert created_by(from_, ContainerConfig()) == "FROM x AS y"
