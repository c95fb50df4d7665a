from __future__ import annotations

import pytest

from dockmagic.dockerfile.instructions import Options
from dockmagic.dockerfile.mounts import MountError, RunMount, is_settled, mount_of


def options(text: str) -> Options:
    """The options in a --mount without quotes."""
    pairs = (word.partition("=") for word in text.split(","))
    return tuple((name, value if equals else None) for name, equals, value in pairs)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("target=/x", RunMount(target="/x", read_only=True)),
        ("type=BIND,from=a,src=b,dst=/x,rw", RunMount(from_="a", source="b", target="/x", read_only=False)),
        ("source=b,destination=/x,rw=false", RunMount(source="b", target="/x", read_only=True)),
        ("target=/x,ro=F", RunMount(target="/x", read_only=False)),
        ("type=cache,target=/x", RunMount("cache", target="/x", read_only=False)),
        ("type=cache,target=/x,ro", RunMount("cache", target="/x", read_only=True)),
        (
            "type=cache,id=i,target=/x,sharing=LOCKED,mode=0700,uid=1,gid=2",
            RunMount("cache", target="/x", read_only=False, id="i", sharing="locked", mode=0o700, uid=1, gid=2),
        ),
        ("type=tmpfs,target=/x,size=1k", RunMount("tmpfs", target="/x", read_only=False, size_bytes=1024)),
        ("type=secret,id=i,required", RunMount("secret", id="i", read_only=True, required=True)),
        ("type=secret,id=i,env=", RunMount("secret", id="i", read_only=True, env="")),
        ("type=ssh,mode=600", RunMount("ssh", read_only=True, mode=0o600)),
        ("target=/x,type=cache,target=/y", RunMount("cache", target="/y", read_only=False)),
    ],
)
def test_mounts(text: str, mount: RunMount) -> None:
    assert mount_of(options(text)) == mount


@pytest.mark.parametrize(
    ("text", "message", "option"),
    [
        ("type=volume", 'unsupported mount type "volume"; use bind', "type"),
        ("type=tmpf", "did you mean tmpfs", "type"),
        ("sharring=locked", r"unexpected key 'sharring' in 'sharring=locked' \(did you mean sharing\?\)", "sharring"),
        ("type=cache,sharing=lock", r"\(did you mean locked\?\); use shared, private or locked", "sharing"),
        ("target", "invalid field 'target' must be a key=value pair", "target"),
        ("type=cache,mode=9", "isn't an octal number", "mode"),
        ("type=cache,mode=40000000000", "isn't an octal number", "mode"),
        ("type=cache,uid=-1", "isn't a number from 0 up", "uid"),
        ("type=tmpfs,size=big", "invalid value for size: 'big' isn't a size", "size"),
        ("rw=2", "'2' is neither true nor false", "rw"),
        ("uid=1", "unexpected key 'uid' for mount type 'bind'; it is for type=cache, type=secret or type=ssh", "uid"),
        ("required", "it is for type=secret or type=ssh", "required"),
        ("sharing=shared", "it is for type=cache", "sharing"),
        ("type=secret", "needs an id", ""),
        ("type=secret,id=a,src=b", "both source and id", "source"),
        ("type=secret,id=a,from=b", "has no from", "from"),
    ],
)
def test_mounts_that_cannot_be(text: str, message: str, option: str) -> None:
    with pytest.raises(MountError, match=message) as raised:
        mount_of(options(text))
    assert raised.value.option == option


@pytest.mark.parametrize(("text", "settled"), [("a=b,c", True), ("a=$b", False), ("a='b'", False), ("a=\\$", False)])
def test_what_expansion_could_change(text: str, settled: bool) -> None:
    assert is_settled(options(text)) is settled
