"""A `debian` image from Debian's packages, made by debootstrap or mmdebstrap on this host.

The packages come from the mirror that apt uses here, and are checked with Debian's signatures by the tool. The same
packages and the same tool give the same image ID. The tool works in mount and process namespaces of its own, so that
it can be interrupted at any point without leaving mounts or processes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dockmagic.errors import InvalidOption, Unsupported
from dockmagic.image import tool
from dockmagic.image.apt_sources import debian_mirror
from dockmagic.image.bootstrap import base_config
from dockmagic.image.debian_tree import settle
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.reference import Reference

_FEATURE: Final = "image bootstrap debian"
_SUITE = re.compile(r"[a-z][a-z0-9.-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # deb-control(5), Package
_APART: Final = ("--mount", "--pid", "--fork", "--kill-child")  # of unshare(1)


def bootstrap_debian(
    store: ImageStore,
    snapshots: Snapshots,
    *,
    suite: str = "bookworm",
    packages: Sequence[str] = (),
    mirror: str | None = None,
    path: str | None = None,
    on_line: tool.OnLine = tool.ignore,
) -> Image:
    """The image `debian:<suite>`, also named `debian:latest`: a minimal system and these packages.

    `mirror` None is the one that apt uses; `path` None is $PATH. Takes a minute, and root. Raises InvalidOption for a
    name that is none, Unsupported without root or a tool, BuildError (with the tool's last lines) where it fails.
    """
    _check(suite, packages)
    name, command = _command(path)
    if os.geteuid() != 0:
        raise Unsupported(_FEATURE, f"{name} needs root; run it as root, or use `image bootstrap busybox`")
    with store.workspaces.new("bootstrap-") as workspace:
        started_s = time.time()
        tree = workspace / "tree"
        options = ["--variant=minbase", *([f"--include={','.join(packages)}"] if packages else [])]
        tool.run([*command, *options, suite, tree, mirror or debian_mirror(suite)], cwd=workspace, on_line=on_line)
        epoch_s = settle(tree, started_s)
        layer = snapshots.commit(None, tree)
        created = datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        origin = " ".join([name, suite, *packages])
        config = base_config(layer.diff_id, cmd=("bash",), origin=origin, created=created)
        references = [Reference.parse(f"debian:{suite}"), Reference.parse("debian")]
        return store.add_image(config, [layer.descriptor], references=references)


def _check(suite: str, packages: Sequence[str]) -> None:
    """Raise InvalidOption for what the tools would take for an option or something else than a name."""
    if _SUITE.fullmatch(suite) is None:
        raise InvalidOption(f"{suite!r} is not a Debian suite; expected a name such as bookworm")
    for package in packages:
        if _PACKAGE.fullmatch(package) is None:
            raise InvalidOption(f"{package!r} is not a package name; expected lower-case letters, digits and '+-.'")


def _command(path: str | None) -> tuple[str, list[str | Path]]:
    """Name of the tool that is here, and the command that starts it apart from the host."""
    unshare = tool.find("unshare", path)
    for name, options in (("debootstrap", ()), ("mmdebstrap", ("--mode=root", "--format=directory"))):
        found = tool.find(name, path)
        if found is not None and unshare is not None:
            return name, [unshare, *_APART, found, *options]
    raise Unsupported(_FEATURE, "it needs debootstrap or mmdebstrap, and unshare; `apt-get install debootstrap` helps")
