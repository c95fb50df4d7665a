"""`--mount`: what it means and what is refused, as docker/cli's own tests (opts/mount_test.go) and moby have it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dockmagic.commands.mount_flag import mount
from dockmagic.commands.mounts import Bind
from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import Mount
from dockmagic.oci.volumes import VolumeMount

BIND = "type=bind,source=/srv,target=/data"
NAMED = "source=name,target=/data"


def bound(*options: str, made: bool = False) -> Bind:
    """A bind of /srv."""
    return Bind(Mount("/data", "bind", "/srv", options), made)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BIND, bound("rbind", "rw", "rprivate")),
        ("type=BIND,src=/srv,dst=/data", bound("rbind", "rw", "rprivate")),
        ("TYPE=bind,source=/srv,destination=/data/", bound("rbind", "rw", "rprivate")),
        (f"{BIND},readonly", bound("rbind", "ro", "rprivate")),
        (f"{BIND},ro=1,consistency=cached", bound("rbind", "ro", "rprivate")),
        (f"{BIND},readonly=false", bound("rbind", "rw", "rprivate")),
        (f"{BIND},bind-propagation=rSLAVE", bound("rbind", "rw", "rslave")),
        (f"{BIND},bind-recursive=enabled,ro", bound("rbind", "ro", "rprivate")),
        (f"{BIND},bind-recursive=disabled", bound("bind", "rw", "rprivate")),
        (f"{BIND},bind-recursive=writable,ro", bound("rbind", "ro-top", "rprivate")),
        (f"{BIND},bind-recursive=readonly,ro,bind-propagation=rprivate", bound("rbind", "ro", "rprivate")),
        (f"{BIND},bind-create-src", bound("rbind", "rw", "rprivate", made=True)),
        (f"{BIND},bind-create-src=true", bound("rbind", "rw", "rprivate", made=True)),
        (NAMED, VolumeMount("/data", "name", mode="z")),
        (f"type=volume,{NAMED},ro,volume-nocopy", VolumeMount("/data", "name", read_only=True, no_copy=True, mode="z")),
        ("target=/data", VolumeMount("/data", mode="z")),
        (f"{NAMED},volume-driver=local", VolumeMount("/data", "name", mode="z")),
        (f"{NAMED},volume-subpath=a/b", VolumeMount("/data", "name", subpath="a/b", mode="z")),
        (
            f"{NAMED},volume-label=a=1,volume-label=b",
            VolumeMount("/data", "name", labels={"a": "1", "b": ""}, mode="z"),
        ),
        (
            f'{NAMED},volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,uid=7"',
            VolumeMount(
                "/data", "name", driver_options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=7"}, mode="z"
            ),
        ),
        ("type=tmpfs,target=/t", Mount("/t", "tmpfs", "tmpfs", ("noexec", "nosuid", "nodev"))),
        (
            "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0700,ro",
            Mount("/t", "tmpfs", "tmpfs", ("noexec", "nosuid", "nodev", "ro", "size=1048576", "mode=0700")),
        ),
        (
            "type=image,source=busybox,target=/i,image-subpath=bin",
            VolumeMount("/i", "busybox", "image", read_only=True, subpath="bin"),
        ),
    ],
)
def test_what_it_means(text: str, expected: Bind | Mount | VolumeMount) -> None:
    assert mount(text) == expected


def test_relative_sources_are_the_callers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for source, expected in (("./a", tmp_path / "a"), (".", tmp_path), ("~/a", Path.home() / "a")):
        given = mount(f"type=bind,source={source},target=/data")
        assert isinstance(given, Bind)
        assert given.mount.source == str(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "value is empty"),
        ('"a=b', "write key=value"),
        ("type=bind,x=y", "unknown option 'x' in 'x=y'"),
        ("type=volume,nonsense,target=/foo", "invalid field 'nonsense' must be a key=value pair"),
        ("type,target=/foo", "invalid field 'type' must be a key=value pair"),
        ("type=,target=/foo", "type is required"),
        ("type=nfs,target=/foo", 'invalid mount config for type "nfs": mount type unknown'),
        ("type=bind,source=/a", "target is required"),
        ("type=bind,source=/a,target=rel", "invalid mount path: 'rel' mount path must be absolute"),
        ("type=bind,source=/a,target=/", "destination can't be '/'"),
        ("type=bind,target=/a", 'invalid mount config for type "bind": field Source must not be empty'),
        ("type=bind,source=rel,target=/a", "invalid mount path: 'rel' mount path must be absolute"),
        (f"{BIND},readonly=no", "invalid value for readonly: no"),
        (f"{BIND},ro=", "invalid value for ro: "),
        (f"{BIND},bind-propagation=x", "invalid propagation mode: x"),
        (f"{BIND},bind-nonrecursive", "bind-nonrecursive is deprecated, use bind-recursive=disabled instead"),
        (f"{BIND},bind-nonrecursive=true", "bind-nonrecursive is deprecated"),
        (
            f"{BIND},bind-recursive=x",
            'invalid value for bind-recursive: x (must be "enabled", "disabled", "writable", or "readonly")',
        ),
        (f"{BIND},bind-recursive=writable", "'bind-recursive=writable' requires 'readonly' to be specified"),
        (f"{BIND},bind-recursive=readonly", "'bind-recursive=readonly' requires 'readonly' to be specified"),
        (f"{BIND},bind-recursive=readonly,ro", "requires 'bind-propagation=rprivate' to be specified"),
        (f"{BIND},consistency=x", "invalid value for consistency: x"),
        (f"{BIND},volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        (f"{BIND},tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'bind'"),
        (f"{BIND},image-subpath=a", "cannot mix 'image-*' options with mount type 'bind'"),
        (f"{NAMED},bind-propagation=shared", "cannot mix 'bind-*' options with mount type 'volume'"),
        ("type=tmpfs,target=/t,volume-label=a", "cannot mix 'volume-*' options with mount type 'tmpfs'"),
        (f"{NAMED},volume-nocopy=x", "invalid value for volume-nocopy: x"),
        (f"{NAMED},volume-driver=nfs", "error looking up volume plugin nfs"),
        (f"{NAMED},volume-opt=size=1g", "no quota support"),
        (f"{NAMED},volume-subpath=../a", "subpath must be a relative path within the volume"),
        (f"{NAMED},volume-subpath=/a", "subpath must be a relative path within the volume"),
        ("target=/data,volume-subpath=a", "must not set Subpath when using anonymous volumes"),
        ("source=/a,target=/data", "includes invalid characters for a local volume name"),
        ("type=tmpfs,source=/a,target=/t", 'invalid mount config for type "tmpfs": field Source must not be specified'),
        ("type=tmpfs,target=/t,tmpfs-size=much", "invalid value for tmpfs-size: much"),
        ("type=tmpfs,target=/t,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("type=image,target=/i", "field Source must not be empty"),
        ("type=image,source=a,target=/i,image-subpath=..", "subpath must be a relative path within the image"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=re.escape(message)):
        mount(text)
