"""Layers under a real overlay: what a command did there is what the layer does when it is unpacked elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.image.tree import changes
from dockmagic.image.workspace import Workspaces
from dockmagic.oci.digest import Digest

pytestmark = pytest.mark.root

BASE = """
mkdir -p etc usr/share/doc home/old
echo one > etc/one; echo two > etc/two; echo doc > usr/share/doc/a; echo old > home/old/file
ln etc/one etc/same; ln -s /etc/two etc/link; mkfifo etc/fifo; chmod 4755 etc/two; chown 12:34 etc/one
"""
STEP = """
rm -r usr/share; rm etc/link
rm -r home/old; mkdir home/old; echo new > home/old/new
echo more >> etc/two; chown 5:6 etc; touch etc/three; mv etc/fifo etc/pipe
setfattr -n user.note -v hello etc/three
setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 etc/three
"""


@contextmanager
def parts(root: Path) -> Iterator[tuple[ImageStore, Snapshots]]:
    database = Database(root / "state.db")
    store = ImageStore(root, database)
    yield store, Snapshots(root, database, store, store.workspaces)
    database.close()


def run_step(store: ImageStore, snapshots: Snapshots, parent: Layer | None, script: str) -> Layer:
    """The layer that a script makes on top of `parent`, run in the root directory of a real overlay mount."""
    with store.workspaces.new() as workspace:
        below = None if parent is None else parent.chain_id
        snapshots.prepare(below, workspace / "upper")
        lower = workspace / "nothing" if below is None else snapshots.path(below)
        for name in ("work", "merged", "nothing"):
            (workspace / name).mkdir()
        mount = f"lowerdir={lower},upperdir=upper,workdir=work,redirect_dir=off,metacopy=off"
        command = f"mount -t overlay -o {mount} none merged && cd merged && {script.strip()}"
        subprocess.run(["unshare", "--mount", "sh", "-ec", command], check=True, cwd=workspace)
        return snapshots.commit(below, workspace / "upper")


def listing(snapshots: Snapshots, diff_ids: list[Digest]) -> str:
    """All that a container would see of these layers: names, types, modes, owners, sizes, links, attributes."""
    lower = ":".join(str(path) for path in [*snapshots.lower(diff_ids), "nothing"])
    show = "find . -mindepth 1 -printf '%p %y %m %U:%G %n %l %T@\\n' | sort; getfattr -Rdm - .; "
    show += "cat etc/one etc/two home/old/*"
    command = f"mkdir nothing merged; mount -t overlay -o lowerdir={lower} none merged && cd merged && {show}"
    with Workspaces(snapshots.path(diff_ids[0]).parent.parent).new() as workspace:
        return subprocess.run(
            ["unshare", "--mount", "sh", "-ec", command], check=True, cwd=workspace, capture_output=True, text=True
        ).stdout


def test_a_step_is_the_same_elsewhere(tmp_path: Path) -> None:
    with parts(tmp_path / "here") as (store, snapshots), parts(tmp_path / "there") as (other_store, other_snapshots):
        base = run_step(store, snapshots, None, BASE)
        step = run_step(store, snapshots, base, STEP)
        parent = None
        for layer in (base, step):
            data = store.read_blob(layer.descriptor.digest)
            other_store.put_blob(data, layer.descriptor.media_type)
            copy = other_snapshots.unpack(parent, layer.descriptor, layer.diff_id)
            assert copy == layer
            parent = copy.chain_id
        diff_ids = [base.diff_id, step.diff_id]
        assert listing(snapshots, diff_ids) == listing(other_snapshots, diff_ids)
        assert "home/old/new" in listing(snapshots, diff_ids)
        for root in (snapshots, other_snapshots):
            assert summary(root, base, step) == [
                "A /etc/pipe",
                "A /etc/three",
                "A /home/old/new",
                "C /etc",
                "C /etc/two",
                "C /home",
                "C /home/old",
                "C /usr",
                "D /etc/fifo",
                "D /etc/link",
                "D /home/old/file",
                "D /usr/share",
            ]


def summary(snapshots: Snapshots, base: Layer, step: Layer) -> list[str]:
    found = changes(snapshots.path(step.chain_id), [snapshots.path(base.chain_id)])
    return sorted(f"{change.kind} {change.path}" for change in found)


def test_overlay_keeps_nothing_private_in_a_layer(tmp_path: Path) -> None:
    with parts(tmp_path / "here") as (store, snapshots):
        base = run_step(store, snapshots, None, BASE)
        step = run_step(store, snapshots, base, STEP)
        top = snapshots.path(step.chain_id)
        own = {
            (path.relative_to(top).as_posix(), name)
            for path in (top, *top.rglob("*"))
            for name in os.listxattr(path, follow_symlinks=False)
            if "overlay" in name
        }
        assert own == {("home/old", "trusted.overlay.opaque")}
