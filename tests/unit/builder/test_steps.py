from __future__ import annotations

from dataclasses import replace

import pytest

from dockmagic.builder.plan import BuildArgs
from dockmagic.builder.steps import (
    Action,
    CopyAction,
    MakeDirectory,
    RunAction,
    Scope,
    StageState,
    begin,
    key,
    next_step,
)
from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, ImageConfig

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PARENT = Digest.of(b"parent")


def actions(text: str, scope: Scope | None = None, config: ContainerConfig | None = None) -> list[Action]:
    """What these instructions do to files, in order."""
    state = begin(ImageConfig("amd64", "linux", config or ContainerConfig()), {})
    found = []
    for instruction in stages(parse(f"FROM x\n{text}")).stages[0].instructions:
        step = next_step(state, instruction, scope or Scope(BuildArgs(), {}, {}))
        state = step.after
        found += [step.action] if step.action is not None else []
    return found


def run(text: str, scope: Scope | None = None) -> RunAction:
    """The last action, which is a command."""
    action = actions(text, scope)[-1]
    assert isinstance(action, RunAction)
    return action


def copy(text: str, scope: Scope | None = None) -> CopyAction:
    action = actions(text, scope)[-1]
    assert isinstance(action, CopyAction)
    return action


def given(**args: str) -> Scope:
    return Scope(BuildArgs(args), {}, {})


def test_there_is_always_a_path_and_the_bases_own_is_kept() -> None:
    assert begin(ImageConfig("amd64", "linux"), {}).image.config.env == (PATH,)
    own = ImageConfig("amd64", "linux", ContainerConfig(env=("PATH=/x",)))
    assert begin(own, {}).image.config.env == ("PATH=/x",)


def test_a_command_gets_all_that_is_set_before_it() -> None:
    action = run('ENV B=2 A=1\nARG C=3\nUSER bob\nWORKDIR /w\nSHELL ["/s", "-x"]\nRUN go $A\n')
    assert action == RunAction(("/s", "-x", "go $A"), ("A=1", "B=2", "C=3", PATH), "bob", "/w", "default")


def test_without_workdir_a_command_starts_in_the_root() -> None:
    assert run('RUN ["a", "b"]\n') == RunAction(("a", "b"), (PATH,), "", "/", "default")


@pytest.mark.parametrize(
    ("flag", "network"), [("", "host"), ("--network=default ", "host"), ("--network=none ", "none")]
)
def test_the_network_of_a_command(flag: str, network: str) -> None:
    assert run(f"RUN {flag}x\n", Scope(BuildArgs(), {}, {}, network="host")).network == network


def test_a_here_document_that_is_a_script() -> None:
    action = run("RUN <<EOF\n#!/bin/busybox sh\necho hi\nEOF\n")
    assert (action.script, action.script_name) == ("#!/bin/busybox sh\necho hi\n", "EOF")


@pytest.mark.parametrize(
    ("text", "scope", "value"),
    [
        ("ARG A\nRUN x\n", given(), None),
        ("ARG A=default\nRUN x\n", given(), "default"),
        ("ARG A=default\nRUN x\n", given(A="given"), "given"),
        ("ARG A\nRUN x\n", given(A=""), ""),
        ("ARG A\nRUN x\n", Scope(BuildArgs(), {"A": "global"}, {}), "global"),
        ("ARG A=own\nRUN x\n", Scope(BuildArgs(), {"A": "global"}, {}), "own"),
        ("ENV A=env\nARG A=arg\nRUN x\n", given(A="given"), "env"),
        ("ARG A=arg\nENV A=env\nRUN x\n", given(), "env"),
        ("ARG A=1\nARG A\nRUN x\n", given(), "1"),
        ("ARG B=1 A=a$B\nRUN x\n", given(), "a1"),
        ("ENV B=e\nARG A=${B}x\nRUN x\n", given(), "ex"),
        ("RUN x\n", given(A="not declared"), None),
    ],
)
def test_arguments(text: str, scope: Scope, value: str | None) -> None:
    env = dict(entry.split("=", 1) for entry in run(text, scope).env)
    assert env.get("A") == value


def test_arguments_expand_words_and_env_wins() -> None:
    assert copy("ARG A=arg\nENV B=env\nARG B=arg\nCOPY $A/$B /x\n").sources == ("arg/env",)


def test_a_stage_inherits_the_arguments_of_the_one_it_starts_from() -> None:
    state = begin(ImageConfig("amd64", "linux"), {"A": "1", "B": None})
    assert state.environment()["A"] == "1"
    assert "B" not in state.environment()


def test_proxies_reach_the_command_but_neither_key_nor_history_unless_declared() -> None:
    with_proxy, without = run("RUN x\n", given(HTTP_PROXY="p")), run("RUN x\n")
    assert with_proxy.hidden_env == ("HTTP_PROXY=p",)
    assert key(PARENT, with_proxy) == key(PARENT, without)
    declared = run("ARG HTTP_PROXY\nRUN x\n", given(HTTP_PROXY="p"))
    assert declared.hidden_env == ()
    assert key(PARENT, declared) != key(PARENT, without)


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("COPY a b\n", "/b"),
        ("WORKDIR /w\nCOPY a b\n", "/w/b"),
        ("WORKDIR /w\nCOPY a .\n", "/w/"),
        ("WORKDIR /w\nCOPY a ./\n", "/w/"),
        ("WORKDIR /w\nCOPY a ../b/\n", "/b/"),
        ("COPY a /\n", "/"),
        ("COPY a .\n", "/"),
    ],
)
def test_destinations(text: str, destination: str) -> None:
    assert copy(text).destination == destination


def test_where_copies_come_from_and_what_is_unpacked() -> None:
    scope = Scope(BuildArgs(), {}, {"b": 0, "img": "img"})
    assert copy("COPY --from=b /x /x\n", scope).origin == 0
    assert copy("COPY --from=img /x /x\n", scope).origin == "img"
    assert copy("COPY a b\n").origin is None
    assert [copy(text).unpack for text in ("COPY a b\n", "ADD a b\n", "ADD --unpack=false a b\n")] == [
        False,
        None,
        False,
    ]


def test_workdir_makes_a_directory_owned_by_the_user() -> None:
    assert actions("USER bob\nWORKDIR /w\nWORKDIR /\n") == [MakeDirectory("/w", "bob")]
    scope = Scope(BuildArgs(), {}, {}, epoch_s=5)
    assert actions("WORKDIR /w\n", scope) == [MakeDirectory("/w", "", 5)]


def test_what_changes_only_the_config_changes_no_key_of_a_copy() -> None:
    plain = copy("COPY a /x\n")
    after = copy("ENV A=1\nLABEL b=2\nARG C=3\nUSER bob\nCOPY a /x\n")
    assert key(PARENT, plain, "content") == key(PARENT, after, "content")


@pytest.mark.parametrize(
    "before", ["ENV A=1\n", "ARG A=1\n", "USER bob\n", "WORKDIR /w\n", 'SHELL ["/s"]\n', "ENV PATH=/x\n"]
)
def test_whatever_a_command_sees_changes_its_key(before: str) -> None:
    assert key(PARENT, run(f"{before}RUN x\n")) != key(PARENT, run("RUN x\n"))


@pytest.mark.parametrize("before", ["LABEL a=b\n", "CMD x\n", "EXPOSE 80\n", "VOLUME /v\n", "ARG A\n"])
def test_what_a_command_does_not_see_does_not(before: str) -> None:
    assert key(PARENT, run(f"{before}RUN x\n")) == key(PARENT, run("RUN x\n"))


def test_each_part_of_a_key_counts() -> None:
    action = copy("COPY a /x\n")
    others = [
        key(None, action, "c"),
        key(PARENT, action, "d"),
        key(PARENT, replace(action, sources=("b",)), "c"),
        key(PARENT, replace(action, destination="/x/"), "c"),
        key(PARENT, replace(action, chown="1"), "c"),
        key(PARENT, replace(action, chmod="755"), "c"),
        key(PARENT, replace(action, unpack=True), "c"),
        key(PARENT, replace(action, heredocs=(Heredoc("a", "b"),)), "c"),
        key(PARENT, MakeDirectory("/x", ""), "c"),
    ]
    assert len({key(PARENT, action, "c"), *others}) == 10
    assert key(PARENT, replace(action, origin=3), "c") == key(PARENT, action, "c")


def test_names_that_are_no_text_have_keys_too() -> None:
    assert key(PARENT, replace(copy("COPY a /x\n"), sources=("\udcff",)))


def test_a_wrong_variable_is_shown_at_its_line() -> None:
    with pytest.raises(DockerfileError) as caught:
        actions("ENV A=1\nENV B=${X:?is missing}\n")
    assert caught.value.line == 3


def test_the_state_is_not_changed_by_a_step() -> None:
    state = StageState(ImageConfig("amd64", "linux"))
    instruction = stages(parse("FROM x\nENV A=1\n")).stages[0].instructions[0]
    next_step(state, instruction, Scope(BuildArgs(), {}, {}))
    assert state == StageState(ImageConfig("amd64", "linux"))
