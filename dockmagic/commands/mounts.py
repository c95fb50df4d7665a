"""Mounts from flags: `-v` with a host directory and `--tmpfs`. Source: docker run's reference, "Mount volume"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dockmagic.commands.values import size_bytes
from dockmagic.errors import InvalidOption, one_of
from dockmagic.oci.spec import Mount

_ACCESS = ("ro", "rw")
_PROPAGATION = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_WITHOUT_EFFECT = ("cached", "delegated", "consistent", "z", "Z")  # for Docker Desktop; labels of SELinux, never set
_PERCENT = re.compile(r"[0-9]{1,3}%")  # of the memory there is
_TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev")
_TMPFS_SWITCHES = ("ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev")


def bind(text: str) -> Mount:
    """A bind mount from `source:destination[:options]`; `source` is a path of the host, relative to the caller.

    Raises InvalidOption for a named volume, which isn't available yet.
    """
    parts = text.split(":")
    if len(parts) == 1:
        raise InvalidOption(f"{text!r}: volumes aren't available yet; mount a directory as /host/dir:/container/dir")
    if len(parts) > 3:
        raise InvalidOption(f"{text!r} has too many colons; write /host/dir:/container/dir:ro")
    source, destination, options = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
    if not source or not destination:
        raise InvalidOption(f"{text!r} has an empty part; write /host/dir:/container/dir")
    return Mount(_inside(destination, text), "bind", str(_host_path(source, text)), _bind_options(options, text))


def _host_path(source: str, text: str) -> Path:
    """The absolute path of a source, which needn't exist."""
    if not source.startswith(("/", ".", "~")):
        raise InvalidOption(f"{text!r}: named volumes aren't available yet; for a directory write ./{source}")
    return Path(source).expanduser().absolute()


def make_sources(mounts: Sequence[Mount]) -> None:
    """Make the directories to be mounted that don't exist yet, as Docker does for `-v`. Raises InvalidOption."""
    for mount in mounts:
        path = Path(mount.source)
        try:
            if not path.exists():
                path.mkdir(parents=True)
        except OSError as error:
            raise InvalidOption(f"-v {mount.source}: {error.strerror}; make the directory first") from error


def _inside(destination: str, text: str) -> str:
    """A destination, if it is absolute and not the root itself."""
    if not destination.startswith("/"):
        raise InvalidOption(f"{text!r}: {destination!r} isn't an absolute path of the container")
    if Path(destination) == Path("/"):
        raise InvalidOption(f"{text!r}: nothing can be mounted over the container's root")
    return destination


def _bind_options(options: str, text: str) -> tuple[str, ...]:
    """Options of the mount: access and propagation, with Docker's default of "rprivate"."""
    words = [word for word in options.split(",") if word]
    for word in words:
        if word not in (*_ACCESS, *_PROPAGATION, *_WITHOUT_EFFECT):
            raise InvalidOption(f"{text!r}: the mount option {word!r} isn't available; use {one_of(_ACCESS)}")
    if set(_ACCESS) <= set(words):
        raise InvalidOption(f"{text!r}: a mount can't be both ro and rw")
    propagation = [word for word in words if word in _PROPAGATION]
    return ("rbind", "ro" if "ro" in words else "rw", propagation[-1] if propagation else "rprivate")


def tmpfs(text: str) -> Mount:
    """A tmpfs from `/path[:options]`; `noexec,nosuid,nodev` unless said otherwise, and `size=` in bytes or percent."""
    destination, _, options = text.partition(":")
    words = [_tmpfs_option(word, text) for word in options.split(",") if word]
    defaults = [word for word in _TMPFS_DEFAULTS if word.removeprefix("no") not in words and word not in words]
    return Mount(_inside(destination, text), "tmpfs", "tmpfs", (*defaults, *words))


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
