"""A `busybox` image from a static BusyBox: the base image for machines that reach no registry.

The BusyBox is one of this host's or, failing that, the one in Debian's package `busybox-static`, fetched by apt into a
directory of our own. The same BusyBox always gives the same image ID; a later pull of `busybox` takes the name over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dockmagic.errors import BuildError, Unsupported
from dockmagic.image import tool
from dockmagic.image.busybox import layer_archive
from dockmagic.image.elf import is_static_native
from dockmagic.image.platform import host_platform
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import OCI_LAYER
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, History, ImageConfig
from dockmagic.oci.reference import Reference

LABEL: Final = "io.dockmagic.bootstrap"
EPOCH: Final = "1970-01-01T00:00:00Z"
_ENV: Final = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
_PACKAGE: Final = "busybox-static"
_VERSION = re.compile(r"BusyBox v(\S+)(?: \(Debian ([^)\s]+)\))?")
_APPLET = re.compile(r"[A-Za-z0-9_\[.+-]+")


def bootstrap_busybox(
    store: ImageStore, snapshots: Snapshots, *, path: str | None = None, on_line: tool.OnLine = tool.ignore
) -> Image:
    """The image `busybox:latest`, made here; `path` is where programs are looked for (None: $PATH). Idempotent.

    Needs no root. Raises Unsupported where there is neither a static BusyBox nor apt, BuildError where apt fails.
    """
    with store.workspaces.new("bootstrap-") as workspace:
        binary = _find_static(path) or _from_debian(workspace, path, on_line)
        on_line(f"using {binary}")
        archive = layer_archive(binary.read_bytes(), _applets(binary, workspace))
        origin = f"{_PACKAGE} {_version(binary, workspace)}"
        descriptor = store.put_blob(archive, OCI_LAYER)
        snapshots.unpack(None, descriptor, diff_id=descriptor.digest)  # one and the same, for it isn't compressed
        config = base_config(descriptor.digest, cmd=("sh",), origin=origin, created=EPOCH)
        return store.add_image(config, [descriptor], references=[Reference.parse("busybox")])


def base_config(diff_id: Digest, *, cmd: tuple[str, ...], origin: str, created: str) -> ImageConfig:
    """Config of an image of one layer that was made on this machine from `origin`, which its label and history name."""
    host = host_platform()
    return ImageConfig(
        architecture=host.architecture,
        os=host.os,
        variant=host.variant,
        config=ContainerConfig(env=_ENV, cmd=cmd, labels={LABEL: origin}),
        diff_ids=(diff_id,),
        history=(History(created=created, created_by=f"bootstrap {origin}", comment="made locally, not pulled"),),
        created=created,
    )


def _find_static(path: str | None) -> Path | None:
    """The first BusyBox in `path` that needs no loader."""
    directories: Iterable[str] = os.get_exec_path() if path is None else path.split(os.pathsep)
    candidates = (Path(directory, "busybox") for directory in directories if directory)
    return next((candidate for candidate in candidates if is_static_native(candidate)), None)


def _from_debian(workspace: Path, path: str | None, on_line: tool.OnLine) -> Path:
    """The BusyBox of Debian's package, fetched with apt and unpacked into the workspace."""
    apt, dpkg_deb = tool.find("apt-get", path), tool.find("dpkg-deb", path)
    if apt is None or dpkg_deb is None:
        raise Unsupported(
            "image bootstrap busybox",
            f"there is no static busybox in PATH and no apt to fetch {_PACKAGE} with; "
            "put a static busybox into PATH, or pull the image from a registry",
        )
    archive = _download(Path(apt), workspace, on_line)
    tool.run([dpkg_deb, "--extract", archive, "unpacked"], cwd=workspace, on_line=on_line)
    for candidate in (workspace / "unpacked/bin/busybox", workspace / "unpacked/usr/bin/busybox"):
        if is_static_native(candidate):
            return candidate
    raise BuildError(f"the package {archive.name} holds no static busybox for this machine", step="bootstrap busybox")


def _download(apt: Path, workspace: Path, on_line: tool.OnLine) -> Path:
    """The package's file. Where the system's package lists are missing or old, lists of our own are fetched."""
    private = workspace / "apt"
    for directory in ("state/lists/partial", "cache/archives/partial"):
        (private / directory).mkdir(parents=True)
    options = [f"-oDir::State={private}/state", f"-oDir::Cache={private}/cache", "-oAPT::Sandbox::User="]
    try:
        tool.run([apt, "-oAPT::Sandbox::User=", "download", _PACKAGE], cwd=workspace, on_line=on_line)
    except BuildError:
        on_line("fetching package lists")
        tool.run([apt, *options, "update"], cwd=workspace, on_line=on_line)
        tool.run([apt, *options, "download", _PACKAGE], cwd=workspace, on_line=on_line)
    return next(workspace.glob(f"{_PACKAGE}_*.deb"))


def _applets(binary: Path, workspace: Path) -> list[str]:
    """Names of the commands that this BusyBox has."""
    return [name for name in tool.run([binary, "--list"], cwd=workspace) if _APPLET.fullmatch(name)]


def _version(binary: Path, workspace: Path) -> str:
    """The Debian version where there is one, else BusyBox's own."""
    first = next(iter(tool.run([binary], cwd=workspace)), "")
    match = _VERSION.match(first)
    return "unknown" if match is None else match[2] or match[1]
