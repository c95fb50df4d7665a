from __future__ import annotations

import pytest

from dockmagic.builder.mounts import AnyMount, BindMount, CacheMount, SecretMount, SshMount, TmpfsMount, run_mounts
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError


def mounts(flags: str, workdir: str = "/w") -> tuple[AnyMount, ...]:
    """The mounts of a RUN with these flags; there is a stage `one`, and an image `two`."""
    (instruction,) = stages(parse(f"FROM x\nRUN {flags} y\n")).stages[0].instructions
    assert isinstance(instruction, df.Run)
    return run_mounts(instruction, workdir, {"one": 0, "two": "two"})


@pytest.mark.parametrize(
    ("flag", "mount"),
    [
        ("target=/x", BindMount("/x", read_only=True, source="")),
        ("source=a/b,target=x/../y,rw", BindMount("/w/y", read_only=False, source="a/b")),
        ("from=one,target=/x", BindMount("/x", read_only=True, source="", origin=0)),
        ("from=two,source=/a", BindMount("/w", read_only=True, source="/a", origin="two")),
        ("type=cache,target=/x//y/", CacheMount("/x/y", read_only=False, id="/x/y", sharing="shared")),
        ("type=cache,target=x", CacheMount("/w/x", read_only=False, id="x", sharing="shared")),
        (
            "type=cache,id=i,target=/x,from=one,source=/s,sharing=private,ro,mode=700,uid=1,gid=2",
            CacheMount("/x", True, "i", "private", "s", "one", 0o700, 1, 2, 0),
        ),
        ("type=tmpfs,target=/x", TmpfsMount("/x", read_only=False)),
        ("type=tmpfs,target=/x,size=1k,ro", TmpfsMount("/x", read_only=True, size_bytes=1024)),
        ("type=secret,id=a/b", SecretMount("a/b", "/run/secrets/b", "", required=False)),
        ("type=secret,source=a", SecretMount("a", "/run/secrets/a", "", required=False)),
        ("type=secret,target=x/y", SecretMount("y", "/w/x/y", "", required=False)),
        ("type=secret,id=a,env=B,required", SecretMount("a", "", "B", required=True)),
        ("type=secret,id=a,env=,target=/t", SecretMount("a", "/t", "a", required=False)),
        ("type=ssh", SshMount("default", "/run/buildkit/ssh_agent.0", required=False)),
        ("type=ssh,id=a,target=x,required,mode=666,uid=1,gid=2", SshMount("a", "/w/x", True, 0o666, 1, 2)),
        ("type=secret,id=a,mode=444,uid=1,gid=2", SecretMount("a", "/run/secrets/a", "", False, 0o444, 1, 2)),
    ],
)
def test_what_the_options_come_to(flag: str, mount: AnyMount) -> None:
    assert mounts(f"--mount={flag}") == (mount,)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("target=/", "invalid mount target '/': nothing can be mounted on /"),
        ("type=tmpfs,target=/a/..", "invalid mount target"),
        ("type=secret,id=a,target=/", "a secret is a file"),
        ("type=ssh,target=/", "an agent's socket is a file"),
    ],
)
def test_what_they_cannot(flag: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message) as raised:
        mounts(f"--mount=target=/x \\\n   --mount={flag}")
    assert (raised.value.line, raised.value.column) == (3, 3)


def test_each_agent_has_a_place_of_its_own() -> None:
    targets = [mount.target for mount in mounts("--mount=type=ssh --mount=type=tmpfs,target=/t --mount=type=ssh,id=b")]
    assert targets == ["/run/buildkit/ssh_agent.0", "/t", "/run/buildkit/ssh_agent.1"]


def test_without_a_target_the_working_directory_is_meant() -> None:
    with pytest.raises(DockerfileError, match="nothing can be mounted on /"):
        mounts("--mount=type=bind,rw", "/")
