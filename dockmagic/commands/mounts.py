"""Mounts from the flags `-v`, `--volumes-from` and `--tmpfs`. Source: docker run's reference, "Mount volume".

What is refused, and in which words, is as in docker/cli (opts, volumespec) and moby (volume/mounts, linux_parser).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dockmagic.commands.values import size_bytes
from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import Mount
from dockmagic.oci.volumes import VolumeMount, VolumesFrom, place

PROPAGATION: Final = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_GROUPS: Final = (("ro", "rw"), ("z", "Z"), PROPAGATION, ("nocopy",), ("cached", "delegated", "consistent"))
_PERCENT = re.compile(r"[0-9]{1,3}%")  # of the memory there is
_TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev")
_TMPFS_SWITCHES = (
    "ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev",
    "noatime", "nodiratime", "relatime", "strictatime",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bind:
    """Something of the host to be mounted; `make_source` makes it a directory where it isn't there."""

    mount: Mount
    make_source: bool


def volume(text: str) -> Bind | VolumeMount:
    """What `-v` says: `source:destination[:options]`, or `destination` for a new volume without a name.

    A source that begins with `/`, `.` or `~` is a path of the host, relative to the caller; any other a volume's name.
    SELinux' labels (z, Z) and the words for other systems (cached …) change nothing on Linux without SELinux.
    Raises InvalidOption.
    """
    parts = text.split(":")
    if not text:
        raise InvalidOption("invalid empty volume spec; write SOURCE:/DIR")
    if not all(parts):
        raise InvalidOption(f"invalid spec: {text}: empty section between colons")
    if len(parts) > 3:
        raise InvalidOption(f"invalid spec: {text}: too many colons; write SOURCE:/DIR:ro")
    if len(parts) == 1:
        return VolumeMount(mount_point(text, text), implied=True)
    source, destination, mode = parts[0], mount_point(parts[1], text), parts[2] if len(parts) == 3 else ""
    words = _mode_words(mode, text)
    if source.startswith(("/", ".", "~")):
        return Bind(Mount(destination, "bind", str(host_path(source)), _bind_options(words, mode)), make_source=True)
    if any(word in PROPAGATION for word in words):
        raise InvalidOption(f"invalid mode: {mode}: a volume has no propagation; that is for directories of the host")
    return VolumeMount(destination, source, read_only="ro" in words, no_copy="nocopy" in words, mode=mode or "z")


def host_path(source: str) -> Path:
    """The absolute path of a source, which needn't exist."""
    return Path(source).expanduser().absolute()


def mount_point(destination: str, text: str) -> str:
    """A destination, if it is absolute and not the root itself; `text` is the flag's value."""
    if not destination.startswith("/"):
        message = f"invalid volume specification: '{text}': '{destination}' mount path must be absolute"
        raise InvalidOption(f"{message}; write an absolute path")
    if place(destination) == "/":
        raise InvalidOption(f"invalid volume specification: '{text}': destination can't be '/'")
    return place(destination)


def _mode_words(mode: str, text: str) -> list[str]:
    """The options of `-v`, of each kind one at most."""
    words = mode.split(",") if mode else []
    for word in words:
        if not any(word in group for group in _GROUPS):
            hint = "; use --mount for it" if word.startswith(("volume-", "readonly")) else "; use ro, rw or nocopy"
            raise InvalidOption(f"invalid mode: {mode}{hint} ({text!r}: {word!r})")
    for group in _GROUPS:
        if sum(word in group for word in words) > 1:
            raise InvalidOption(f"invalid mode: {mode}: one of {', '.join(group)} at most")
    return words


def _bind_options(words: list[str], mode: str) -> tuple[str, ...]:
    """Options of the mount: access and propagation, with Docker's default of "rprivate"."""
    if "nocopy" in words:
        raise InvalidOption(f"invalid mode: {mode}: nothing is ever copied into a directory of the host")
    propagation = [word for word in words if word in PROPAGATION]
    return ("rbind", "ro" if "ro" in words else "rw", propagation[0] if propagation else "rprivate")


def prepare_sources(binds: Iterable[Bind]) -> None:
    """Make the directories to be mounted that don't exist yet, where the flag does so. Raises InvalidOption."""
    for bind in binds:
        path = Path(bind.mount.source)
        try:
            if path.exists():
                continue
            if not bind.make_source:
                message = f'invalid mount config for type "bind": bind source path does not exist: {path}'
                raise InvalidOption(f"{message}; make it first, or add bind-create-src")
            path.mkdir(parents=True)
        except OSError as error:
            raise InvalidOption(f"-v {path}: {error.strerror}; make the directory first") from error


def volumes_from(text: str) -> VolumesFrom:
    """Another container, from `container[:ro|:rw][,z]`. Raises InvalidOption."""
    container, _, mode = text.partition(":")
    if not container:
        raise InvalidOption("volumes-from specification cannot be an empty string; write CONTAINER or CONTAINER:ro")
    words = [word for word in _mode_words(mode, text) if word not in ("z", "Z")]
    if not {"ro", "rw"}.issuperset(words):
        raise InvalidOption(f"invalid mode: {mode}; use ro, rw or z")
    return VolumesFrom(container, "ro" if "ro" in words else "")


def tmpfs(text: str) -> Mount:
    """A tmpfs from `/path[:options]`; `noexec,nosuid,nodev` unless said otherwise, and `size=` in bytes or percent."""
    destination, _, options = text.partition(":")
    words = [_tmpfs_option(word, text) for word in options.split(",") if word]
    defaults = [word for word in _TMPFS_DEFAULTS if word.removeprefix("no") not in words and word not in words]
    return Mount(mount_point(destination, text), "tmpfs", "tmpfs", (*defaults, *words))


def _tmpfs_option(word: str, text: str) -> str:
    """An option of tmpfs(5), with its size made plain bytes."""
    name, equals, value = word.partition("=")
    if name == "size":
        return word if _PERCENT.fullmatch(value) else f"size={size_bytes(value)}"
    if name == "mode" and value and all(c in "01234567" for c in value):
        return word
    if name in {"uid", "gid", "nr_inodes"} and value.isdecimal():
        return word
    if equals or name not in _TMPFS_SWITCHES:
        raise InvalidOption(f"{text!r}: the tmpfs option {word!r} isn't available; use size=64m, mode=1777, exec or ro")
    return word
