"""Layers mounted as one tree. Source: the kernel's filesystems/overlayfs.rst, mount(2), fsopen(2).

mount(2) takes a page of options, which some sixty layers fill; above that each layer is given by itself, which kernels
since Linux 6.5 understand.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Final

from dockmagic.linux import mount as m
from dockmagic.oci.spec import Overlay

_PAGE: Final = 4096
# Features that would write into the upper directory what a layer can't say.
_PLAIN: Final = ("index=off", "redirect_dir=off", "metacopy=off")


def mount_overlay(overlay: Overlay, target: str) -> None:
    """Mount the layers on `target`; raises OSError."""
    if overlay.volatile:  # an earlier try, killed since, leaves a mark that forbids another
        with contextlib.suppress(OSError):
            os.rmdir(f"{overlay.work}/work/incompat/volatile")
    lower, common = _relative(overlay.lower)
    options = [f"lowerdir={':'.join(_escaped(path) for path in lower)}", *_options(overlay)]
    data = ",".join(options)
    if len(data) >= _PAGE:
        _mount_one_by_one(overlay, target)
        return
    here = os.getcwd()
    os.chdir(common)
    try:
        m.mount("overlay", target, "overlay", 0, data)
    finally:
        os.chdir(here)


def _relative(lower: Iterable[str]) -> tuple[list[str], str]:
    """The layers' names relative to the directory that the topmost is in, which makes the options short."""
    paths = list(lower)
    common = os.path.dirname(paths[0])
    return [os.path.relpath(path, common) for path in paths], common


def _options(overlay: Overlay) -> list[str]:
    upper = (
        [f"upperdir={_escaped(overlay.upper)}", f"workdir={_escaped(overlay.work)}", *_PLAIN] if overlay.upper else []
    )
    return upper + (["volatile"] if overlay.volatile else [])


def _escaped(path: str) -> str:
    """The path with the characters that mean something in the options."""
    return "".join("\\" + character if character in "\\:," else character for character in path)


def _mount_one_by_one(overlay: Overlay, target: str) -> None:
    fs = m.fsopen("overlay")
    try:
        for path in overlay.lower:
            m.fsconfig(fs, m.FSCONFIG_SET_STRING, "lowerdir+", path)
        for option in _options(overlay):
            name, _, value = option.partition("=")
            command = m.FSCONFIG_SET_STRING if value else m.FSCONFIG_SET_FLAG
            m.fsconfig(fs, command, name, value or None)
        m.fsconfig(fs, m.FSCONFIG_CMD_CREATE)
        mounted = m.fsmount(fs, 0)
    finally:
        os.close(fs)
    m.move_mount(mounted, "", m.AT_FDCWD, target, m.MOVE_MOUNT_F_EMPTY_PATH)
    os.close(mounted)
