"""A volume's name, its driver's options, and what these mount: its own directory, another one, or memory.

Source: docker volume create's reference, "Driver-specific options"; mount(8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import Mount
from dockmagic.oci.volumes import LOCAL

NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_KNOWN: Final = ("type", "o", "device")
_BINDS: Final = frozenset(("bind", "rbind"))
_BIND_WORDS: Final = _BINDS | {"ro", "rw"}
_BIND_TYPES: Final = ("none", "bind", "")


def check_name(name: str) -> None:
    """Raise InvalidOption unless a volume can have this name."""
    if not NAME.fullmatch(name):
        raise InvalidOption(
            f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are '
            "allowed. If you intended to pass a host directory, use absolute path"
        )
    if len(name) < 2:
        raise InvalidOption("volume name is too short, names should be at least two alphanumeric characters")


def driver(name: str) -> str:
    """The driver of this name, "" being the only one there is. Raises InvalidOption."""
    if name not in ("", LOCAL):
        raise InvalidOption(f'error looking up volume plugin {name}: plugin "{name}" not found; there is only {LOCAL}')
    return LOCAL


def check_options(options: Mapping[str, str]) -> None:
    """Raise InvalidOption unless these options say something that can be mounted."""
    for name in options:
        if name == "size":
            raise InvalidOption("quota size requested but no quota support; limit a tmpfs with -o o=size=64m")
        if name not in _KNOWN:
            raise InvalidOption(f'invalid option: "{name}"; there are type, o and device')
    if not options:
        return
    if not options.get("device"):
        raise InvalidOption('missing required option: "device"')
    if options.get("type") == "tmpfs":
        return
    words = _words(options)
    if options.get("type", "") not in _BIND_TYPES or not _BINDS.intersection(words):
        raise InvalidOption(
            f"a volume of type {options.get('type', '')!r} isn't available; "
            "use type=tmpfs,device=tmpfs, or type=none,o=bind,device=/DIR"
        )
    for word in words:
        if word not in _BIND_WORDS:
            raise InvalidOption(f"o={options['o']}: {word!r} isn't available; use bind and ro")


def in_memory(options: Mapping[str, str]) -> bool:
    """Whether it is a tmpfs."""
    return options.get("type") == "tmpfs"


def bound_directory(options: Mapping[str, str]) -> Path | None:
    """The directory of the host that is the volume's content, None where it has its own."""
    return Path(options["device"]) if options and not in_memory(options) else None


def mount_of(options: Mapping[str, str], data: Path, destination: str, *, read_only: bool, subpath: str = "") -> Mount:
    """What is mounted for a volume with these options, whose own directory is `data`. Raises InvalidOption."""
    if in_memory(options):
        if subpath:
            raise InvalidOption(f"{destination}: a volume of type tmpfs begins empty, so it has no subpath to mount")
        access = ("ro",) if read_only else ()
        return Mount(destination, "tmpfs", "tmpfs", (*_words(options), *access))
    source = bound_directory(options) or data
    if not source.is_dir():
        raise InvalidOption(f"failed to mount local volume: mount {source}:{data}: no such file or directory")
    words = _words(options)
    how = "bind" if "bind" in words and "rbind" not in words else "rbind"
    access = ("ro",) if read_only or "ro" in words else ("rw",)
    return Mount(destination, "bind", str(source), (how, *access, "rprivate"), subpath=subpath)


def _words(options: Mapping[str, str]) -> tuple[str, ...]:
    """The words of `o`."""
    return tuple(word for word in options.get("o", "").split(",") if word)
