from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.image.tree import Change, changes, image_tree, instruction_text
from dockmagic.oci.image import History, ImageConfig
from tests.unit.image.conftest import MakeLayer

WHITEOUT = "whiteout"
OPAQUE = "opaque"


def build(directory: Path, files: Mapping[str, str]) -> Path:
    """A layer's directory: "dir/" is a directory, WHITEOUT and OPAQUE (of a directory) are the overlay's marks."""
    directory.mkdir()
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text == WHITEOUT:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))
        elif name.endswith("/"):
            path.mkdir(exist_ok=True)
            if text == OPAQUE:
                os.setxattr(path, "user.overlay.opaque", b"y")
        else:
            path.write_text(text)
    return directory


def diff(tmp_path: Path, *layers: Mapping[str, str]) -> list[str]:
    """Sorted changes of the last layer on those before it, as `docker diff` shows them."""
    lowest_first = [build(tmp_path / f"layer{number}", files) for number, files in enumerate(layers)]
    top, *lower = reversed(lowest_first)
    return sorted(f"{change.kind} {change.path}" for change in changes(top, lower))


def test_lowest_layer_adds_everything(tmp_path: Path) -> None:
    assert diff(tmp_path, {"a": "1", "d/b": "2", "e/": ""}) == ["A /a", "A /d", "A /d/b", "A /e"]


def test_added_changed_deleted(tmp_path: Path) -> None:
    below = {"a": "1", "d/b": "2", "d/c": "3"}
    above = {"a": "2", "d/b": WHITEOUT, "d/n": "4"}
    assert diff(tmp_path, below, above) == ["A /d/n", "C /a", "C /d", "D /d/b"]


def test_whiteout_of_nothing_is_no_change(tmp_path: Path) -> None:
    assert diff(tmp_path, {"a": "1"}, {"a": WHITEOUT}, {"a": WHITEOUT, "b": WHITEOUT}) == []


def test_what_was_deleted_is_new_when_it_comes_again(tmp_path: Path) -> None:
    assert diff(tmp_path, {"a": "1"}, {"a": WHITEOUT}, {"a": "2"}) == ["A /a"]


def test_deleted_directory_hides_its_content(tmp_path: Path) -> None:
    assert diff(tmp_path, {"d/x": "1"}, {"d": WHITEOUT}, {"d/x": "2"}) == ["A /d", "A /d/x"]


def test_file_in_place_of_a_directory_hides_it(tmp_path: Path) -> None:
    assert diff(tmp_path, {"d/x": "1"}, {"d": "file"}, {"d/x": "2"}) == ["A /d/x", "C /d"]


def test_opaque_directory_removes_what_it_does_not_have(tmp_path: Path) -> None:
    below = {"d/a": "1", "d/b": "2", "d/sub/x": "3", "d/sub/y": "4"}
    above = {"d/": OPAQUE, "d/a": "new", "d/sub/x": "5", "d/n": "6"}
    expected = ["A /d/n", "C /d", "C /d/a", "C /d/sub", "C /d/sub/x", "D /d/b", "D /d/sub/y"]
    assert diff(tmp_path, below, above) == expected


def test_opaque_directory_below_hides_what_is_under_it(tmp_path: Path) -> None:
    assert diff(tmp_path, {"d/a": "1"}, {"d/": OPAQUE}, {"d/a": "2"}) == ["A /d/a", "C /d"]


def test_opaque_directory_does_not_remove_twice(tmp_path: Path) -> None:
    assert diff(tmp_path, {"d/a": "1", "d/b": "1"}, {"d/a": WHITEOUT}, {"d/": OPAQUE}) == ["C /d", "D /d/b"]


def test_symlinks_are_not_followed(tmp_path: Path) -> None:
    top = build(tmp_path / "top", {"link/x": "1"})
    below = build(tmp_path / "below", {"real/x": "1"})
    (below / "link").symlink_to("real")
    assert [f"{change.kind} {change.path}" for change in changes(top, [below])] == ["C /link", "A /link/x"]


def test_what_a_change_says(tmp_path: Path) -> None:
    below = build(tmp_path / "below", {"gone": "12345"})
    top = build(tmp_path / "top", {"dir/": "", "file": "123", "gone": WHITEOUT})
    (top / "file").chmod(0o4755)
    (top / "dir").chmod(0o750)
    (below / "gone").chmod(0o600)
    (top / "link").symlink_to("file")
    os.mkfifo(top / "fifo", 0o644)
    found = {change.path: change for change in changes(top, [below])}
    assert found["/file"] == Change("/file", "A", "file", 3, 0o4755)
    assert found["/dir"] == Change("/dir", "A", "dir", 0, 0o750)
    assert found["/gone"] == Change("/gone", "D", "file", 5, 0o600)
    assert (found["/link"].type, found["/link"].size_bytes) == ("symlink", 0)
    assert found["/fifo"].type == "fifo"


@pytest.mark.parametrize(
    ("created_by", "text"),
    [
        ('/bin/sh -c #(nop)  CMD ["sh"]', 'CMD ["sh"]'),
        ("/bin/sh -c #(nop) ADD file:1234 in / ", "ADD file:1234 in /"),
        ("/bin/sh -c apt-get update", "RUN apt-get update"),
        ("|1 A=b /bin/sh -c echo $A", "RUN echo $A"),
        ("RUN |1 A=b /bin/sh -c echo $A # buildkit", "RUN echo $A"),
        ("RUN /bin/sh -c echo # buildkit", "RUN echo"),
        ("COPY . . # buildkit", "COPY . ."),
        ("RUN echo hi", "RUN echo hi"),
        ("", ""),
    ],
)
def test_instruction(created_by: str, text: str) -> None:
    assert instruction_text(created_by) == text


def test_tree_joins_history_and_layers(store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer) -> None:
    base = make_layer(a="12345", b="1")
    top = make_layer(base, b="22", c="333")
    history = (
        History("2024-05-01T12:00:00Z", "ADD file"),
        History(created_by='CMD ["sh"]', empty_layer=True),
        History(created_by="RUN /bin/sh -c make # buildkit"),
    )
    config = ImageConfig("amd64", "linux", diff_ids=(base.diff_id, top.diff_id), history=history)
    image = store.add_image(config, [base.descriptor, top.descriptor])
    tree = image_tree(image, snapshots, largest=1)
    assert tree.image == image
    add, cmd, run = tree.nodes
    assert (add.instruction, add.created, add.empty) == ("ADD file", "2024-05-01T12:00:00Z", False)
    assert (add.diff_id, add.chain_id, add.size_bytes) == (base.diff_id, base.chain_id, 6)
    assert (add.added, add.changed, add.removed) == (2, 0, 0)
    assert [change.path for change in add.largest] == ["/a"]
    assert (cmd.instruction, cmd.empty, cmd.diff_id, cmd.largest) == ('CMD ["sh"]', True, None, ())
    assert (run.instruction, run.added, run.changed, run.size_bytes) == ("RUN make", 1, 1, 5)


def test_history_and_layers_that_do_not_match(store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer) -> None:
    base = make_layer(a="1")
    bare = store.add_image(ImageConfig("amd64", "linux", diff_ids=(base.diff_id,)), [base.descriptor])
    assert [(node.instruction, node.added) for node in image_tree(bare, snapshots).nodes] == [("", 1)]
    history = (History(created_by="one"), History(created_by="two"))
    long = store.add_image(ImageConfig("amd64", "linux", diff_ids=(base.diff_id,), history=history), [base.descriptor])
    assert [(node.instruction, node.empty) for node in image_tree(long, snapshots).nodes] == [
        ("one", False),
        ("two", True),
    ]
