"""The flags of run and create that mount something: -v, --mount, --volumes-from, --tmpfs, --volume-driver."""

from __future__ import annotations

from typing import TypedDict

from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.commands.mount_flag import mount
from dockmagic.commands.mounts import Bind, prepare_sources, tmpfs, volume, volumes_from
from dockmagic.oci.spec import Mount
from dockmagic.oci.volumes import VolumeMount, VolumesFrom
from dockmagic.volumes.local import check_name, driver
from dockmagic.volumes.placing import places


class MountOptions(TypedDict):
    """The fields of RunOptions that these flags give."""

    mounts: tuple[Mount, ...]
    tmpfs: tuple[Mount, ...]
    long_mounts: tuple[str, ...]
    volumes: tuple[VolumeMount, ...]
    volumes_from: tuple[VolumesFrom, ...]


def add_mounts(parser: CommandParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("mounts")
    group.add_argument(
        "-v", "--volume", action="append", default=[], type=typed(_volume), metavar="SOURCE:DIR[:ro]",
        help="mount a volume by name, or a directory of the host: /DIR, ./DIR, ~/DIR; DIR alone: a new volume",
    )  # fmt: skip
    group.add_argument(
        "--mount", action="append", default=[], type=typed(mount), metavar="KEY=VALUE,…",
        help="mount something: type=bind|volume|tmpfs|image,source=…,target=/DIR,readonly",
    )  # fmt: skip
    group.add_argument(
        "--volumes-from", action="append", default=[], type=typed(volumes_from), metavar="CONTAINER[:ro]",
        help="mount the volumes of another container",
    )  # fmt: skip
    group.add_argument(
        "--tmpfs", action="append", default=[], type=typed(tmpfs), metavar="DIR[:OPTIONS]", help="mount a tmpfs"
    )
    group.add_argument("--volume-driver", type=typed(driver), metavar="DRIVER", help="local, the only one there is")


def mount_options(args: Namespace) -> MountOptions:
    """What the flags ask for. Raises InvalidOption where two want one place."""
    given = [*args.volume, *args.mount]
    mounts = tuple(each.mount if isinstance(each, Bind) else each for each in given)
    plain = tuple(each for each in mounts if isinstance(each, Mount))
    volumes = tuple(each for each in mounts if isinstance(each, VolumeMount))
    places([*args.tmpfs, *plain, *(each for each in volumes if not each.implied)])
    return MountOptions(
        mounts=plain,
        tmpfs=tuple(args.tmpfs),
        long_mounts=tuple(each.destination for each in mounts[len(args.volume) :]),
        volumes=volumes,
        volumes_from=tuple(args.volumes_from),
    )


def prepare_mounts(args: Namespace) -> None:
    """Make the directories that `-v` names where they are missing. Raises InvalidOption where --mount's are."""
    prepare_sources(each for each in [*args.volume, *args.mount] if isinstance(each, Bind))


def _volume(text: str) -> Bind | VolumeMount:
    """What `-v` says, its volume's name looked at."""
    given = volume(text)
    if isinstance(given, VolumeMount) and given.source:
        check_name(given.source)
    return given
