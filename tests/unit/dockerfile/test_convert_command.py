from __future__ import annotations

import pytest

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.convert import instruction_of
from dockmagic.dockerfile.parser import parse
from dockmagic.errors import DockerfileError


def instruction(text: str) -> df.Instruction:
    """The instruction that the text is."""
    return instruction_of(parse(text).nodes[0])


def run(text: str) -> df.Run:
    """The RUN that the text is."""
    found = instruction(text)
    assert isinstance(found, df.Run)
    return found


@pytest.mark.parametrize(
    ("text", "args", "script"),
    [
        ("RUN <<E\na\nE", "a\n", None),
        ("RUN <<-E\n\ta\n\tE", "a\n", None),
        ("RUN  <<E \n#!/bin/x\na\nE", "#!/bin/x\na\n", "#!/bin/x\na\n"),
        ("RUN 3<<E\n#!x\nE", "#!x\n", "#!x\n"),
        ("RUN <<E sh\n#!x\nE", "<<E sh\n#!x\nE", None),
        ("RUN cat <<E <<'F'\na\nE\nb\nF", "cat <<E <<'F'\na\nE\nb\nF", None),
        ("RUN a \\\n b", "a  b", None),
    ],
)
def test_what_the_shell_reads(text: str, args: str, script: str | None) -> None:
    found = run(text)
    assert (found.command, found.script) == (df.Command((args,), shell=True), script)


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ("type=cache,target=/a", (("type", "cache"), ("target", "/a"))),
        ("TYPE=Cache,ID=x", (("type", "Cache"), ("id", "x"))),
        ("target=/a,ro", (("target", "/a"), ("ro", None))),
        ("type=$T,target=$A", (("type", "$T"), ("target", "$A"))),
        ("src=a=b,rw=true", (("src", "a=b"), ("rw", "true"))),
        ("type=tmpfs,size=$S", (("type", "tmpfs"), ("size", "$S"))),
        ("from=a$,dst=/", (("from", "a$"), ("dst", "/"))),
    ],
)
def test_mounts(mount: str, expected: df.Options) -> None:
    assert run(f"RUN --mount={mount} x").mounts == (expected,)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--mount=", "--mount needs options, as in --mount=type=cache,target=/root/.cache"),
        ("--mount=type=", 'unsupported mount type ""; use bind, cache, tmpfs, secret or ssh'),
        ("--mount=type=bind,,", "unexpected key '' in ''"),
        ("--mount=zzz=1", "unexpected key 'zzz' in 'zzz=1'$"),
        ("--device", "missing a value on flag: --device"),
    ],
)
def test_flags_that_cannot_be(flag: str, message: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        run(f"RUN {flag} x")
    assert message.rstrip("$") in raised.value.message


def test_devices() -> None:
    assert run("RUN --device=a --device=b,required x").devices == ("a", "b,required")


@pytest.mark.parametrize(
    ("flag", "retries"), [("--retries=0", 0), ("--retries=2147483647", 2**31 - 1), ("--interval=1ms", None)]
)
def test_health_checks(flag: str, retries: int | None) -> None:
    found = instruction(f"HEALTHCHECK {flag} CMD x")
    assert isinstance(found, df.Healthcheck)
    assert found.retries == retries


@pytest.mark.parametrize(
    "flag", ["--retries=2147483648", "--retries=12345678901", "--retries=x", "--retries=٣", "--interval=-1s"]
)
def test_health_checks_that_cannot_be(flag: str) -> None:
    with pytest.raises(DockerfileError, match=flag.partition("=")[0]):
        instruction(f"HEALTHCHECK {flag} CMD x")


def test_none_takes_no_flags() -> None:
    with pytest.raises(DockerfileError, match="HEALTHCHECK NONE takes no arguments"):
        instruction("HEALTHCHECK --interval=1s NONE")


def test_a_mount_with_variables_is_read_when_they_are_known() -> None:
    assert run("RUN --mount=type=$T,sharing=${S:-lock},target=/x y").mounts
    with pytest.raises(DockerfileError, match="unexpected key 'taget'"):
        run("RUN --mount=type=$T,taget=$X y")


def test_a_mount_knows_its_place() -> None:
    found = run("RUN --mount=target=/a \\\n  --mount=target=/b x")
    places = [found.mount_fault(index, "no") for index in range(2)]
    assert [(error.line, error.end_line, error.column) for error in places] == [(1, 1, 4), (2, 2, 2)]
