"""What is sent to other engines and comes back from them: an image with files of every kind, and commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from dockmagic.image.flatten import flatten_into
from dockmagic.image.layout import Saved, saved
from dockmagic.image.store import Image
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.reference import Reference
from tests.integration.registry_fixture import StateRoot
from tests.integration.trees import describe, make_rich_tree, settle_times

Command = list[str | Path]


def storage(program: str, base: Path) -> Command:
    """The command of podman or buildah with a storage of its own in this directory, whose path has to be short."""
    return [program, "--root", base / "root", "--runroot", base / "run", "--storage-driver=overlay"]


def run(*command: str | Path) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(command, check=False, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def make_image(root: StateRoot) -> Saved:
    """An image of two layers with files of every kind."""
    snapshots = root.snapshots
    lower = make_rich_tree(root.path / "lower")
    first = snapshots.commit(None, lower)
    upper = root.path / "upper"
    snapshots.prepare(first.chain_id, upper)
    (upper / "added").write_text("added")
    os.mknod(upper / "etc", 0o020000, 0)  # a whiteout
    settle_times(upper)
    second = snapshots.commit(first.chain_id, upper)
    config = ImageConfig("amd64", "linux", ContainerConfig(cmd=("sh",)), (first.diff_id, second.diff_id))
    name = Reference.parse("localhost/app:1")
    image = root.store.add_image(config, [first.descriptor, second.descriptor], references=[name])
    return saved(root.store, image, [name])


def files_of(root: StateRoot, image: Image, directory: Path) -> object:
    """What the image's file system holds."""
    flatten_into(root.snapshots.lower(image.config.diff_ids), directory)
    return describe(directory)
