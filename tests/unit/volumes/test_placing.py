from __future__ import annotations

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount, Overlay
from dockmagic.oci.volumes import VolumeMount
from dockmagic.volumes.placing import Given, arranged, given_by

BIND = Mount("/data", "bind", "/srv", ("rbind", "rw", "rprivate"))
NAMED = VolumeMount("/data", "name")


def where(options: RunOptions) -> list[tuple[str, str]]:
    """Each mount and its source."""
    mounts = [(mount.destination, mount.source) for mount in options.mounts]
    return mounts + [(volume.destination, volume.source) for volume in options.volumes]


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(mounts=(BIND, Mount("//data/", "bind", "/other"))),
        RunOptions(mounts=(BIND,), volumes=(NAMED,)),
        RunOptions(tmpfs=(Mount("/data/./", "tmpfs"),), volumes=(NAMED,)),
        RunOptions(volumes=(NAMED, VolumeMount("/data", "other"))),
    ],
)
def test_one_place_is_for_one_mount(options: RunOptions) -> None:
    with pytest.raises(InvalidOption, match="Duplicate mount point: /data"):
        arranged(options, (), ())


def test_places_that_the_image_names_get_new_volumes_unless_they_are_taken() -> None:
    options = RunOptions(mounts=(BIND,), tmpfs=(Mount("/tmp", "tmpfs"),))
    assert where(arranged(options, (), ("/data/", "/tmp", "/more", "rel"))) == [
        ("/data", "/srv"), ("/more", ""), ("/rel", ""),
    ]  # fmt: skip


def test_a_bare_destination_is_the_same_as_the_images() -> None:
    bare = VolumeMount("/data", implied=True)
    assert where(arranged(RunOptions(volumes=(bare, bare)), (), ("/data",))) == [("/data", "")]
    assert where(arranged(RunOptions(volumes=(bare, NAMED)), (), ())) == [("/data", "name")]


def test_what_others_give_yields_to_what_is_named_and_wins_over_the_image() -> None:
    one = Given((BIND,), (VolumeMount("/a", "one"), VolumeMount("/b", "one")))
    two = Given((), (VolumeMount("/b", "two"), VolumeMount("/data", "two")))
    options = RunOptions(volumes=(VolumeMount("/a", "mine"),))
    assert where(arranged(options, (one,), ("/b", "/c"))) == [
        ("/data", "/srv"), ("/a", "mine"), ("/b", "one"), ("/c", ""),
    ]  # fmt: skip
    assert where(arranged(options, (one, two), ())) == [("/a", "mine"), ("/b", "two"), ("/data", "two")]


def test_what_a_container_gives() -> None:
    hidden = Mount("/hidden", "overlay", overlay=Overlay(("/l",)))
    options = RunOptions(mounts=(BIND, hidden), volumes=(VolumeMount("/v", "x", implied=True, mode="z"),))
    given = given_by(options, "")
    assert given == Given((BIND,), (VolumeMount("/v", "x", no_copy=True, mode="z"),))
    read = given_by(options, "ro")
    assert read.mounts[0].options == ("rbind", "rprivate", "ro")
    assert read.volumes[0].read_only


def test_the_root_is_no_place_for_a_volume() -> None:
    with pytest.raises(InvalidOption, match="destination can't be '/'"):
        arranged(RunOptions(), (), ("/",))
