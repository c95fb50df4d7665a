from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from dockmagic.errors import StoreError
from dockmagic.image import layer
from dockmagic.image.flatten import flatten_into, flatten_tar, read_merged
from tests.unit.image.archives import archive, member


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    """Three layers, topmost first, as layers are unpacked."""
    owner = (os.geteuid(), os.getegid())

    def file(name: str, content: bytes = b"") -> bytes:
        return member(name, content, owner=owner)

    def directory(name: str) -> bytes:
        return member(name, kind=tarfile.DIRTYPE, mode=0o755, owner=owner)

    stack = [
        [
            directory("d"),
            file("d/low", b"low"),
            file("d/hidden"),
            file("gone"),
            directory("replaced"),
            file("replaced/old"),
            file("becomes-dir", b"file"),
            directory("opaque"),
            file("opaque/old"),
            directory("again"),
            file("again/low"),
        ],
        [
            directory("d"),
            file("d/.wh.hidden"),
            file(".wh.gone"),
            file("d/low", b"middle"),
            file("replaced", b"a file"),
            directory("becomes-dir"),
            file("becomes-dir/x"),
            file("opaque/.wh..wh..opq"),
            file("opaque/new"),
            file(".wh.again"),
            file("z", b"z"),
            member("d/link", kind=tarfile.LNKTYPE, linkname="z", owner=owner),
        ],
        [file("d/top", b"top"), directory("again"), file("again/top"), file("hidden/deep/x")],
    ]
    made: list[Path] = []
    for number, members in enumerate(stack):
        path = tmp_path / f"layer{number}"
        path.mkdir()
        layer.unpack(archive(*members), path, lower=made)
        made.insert(0, path)
    return made


FILES = {
    "again": None,
    "again/top": b"",
    "becomes-dir": None,
    "becomes-dir/x": b"",
    "d": None,
    "d/link": b"z",
    "d/low": b"middle",
    "d/top": b"top",
    "hidden": None,
    "hidden/deep": None,
    "hidden/deep/x": b"",
    "opaque": None,
    "opaque/new": b"",
    "replaced": b"a file",
    "z": b"z",
}


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def test_the_merged_tree_in_a_directory(layers: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "made/out"
    flatten_into(layers, out)
    assert {str(path.relative_to(out)): _content(path) for path in out.rglob("*")} == FILES
    assert (out / "z").samefile(out / "d/link")


def test_the_merged_tree_as_an_archive(layers: list[Path], tmp_path: Path) -> None:
    out, again = io.BytesIO(), io.BytesIO()
    flatten_tar(layers, out)
    flatten_tar(layers, again)
    assert out.getvalue() == again.getvalue()
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        names = tar.getnames()
        assert sorted(names) == sorted(FILES)
        assert (tar.getmember("d/link").islnk(), tar.getmember("d/link").linkname) == (True, "z")
    copy = tmp_path / "copy"
    copy.mkdir()
    layer.unpack(io.BytesIO(out.getvalue()), copy)
    assert {str(path.relative_to(copy)): _content(path) for path in copy.rglob("*")} == FILES


def test_files_that_are_there_are_replaced_and_links_not_followed(layers: list[Path], tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    (out / "d").mkdir(parents=True)
    outside.mkdir()
    (out / "d/top").write_text("mine")
    (out / "mine").write_text("mine")
    (out / "again").symlink_to(outside)
    flatten_into(layers, out)
    assert (out / "d/top").read_bytes() == b"top"
    assert (out / "mine").read_text() == "mine"
    assert list(outside.iterdir()) == []


def test_where_files_cant_be_made(layers: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write files to"):
        flatten_into(layers, tmp_path / "file")


def test_a_reader_that_goes_away(layers: list[Path]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as out, pytest.raises(BrokenPipeError):
        flatten_tar(layers, out)


def test_nothing_stays_open(layers: list[Path]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for stop in range(1, 5):
        files = read_merged(layers)
        for _ in range(stop):
            next(files)
        files.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_names_can_be_left_out(layers: list[Path]) -> None:
    whole, less = io.BytesIO(), io.BytesIO()
    flatten_tar(layers, whole)
    flatten_tar(layers, less, without={b"z", b"d/top"})
    names = []
    for out in (whole, less):
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            names.append(set(tar.getnames()))
    assert names[0] - names[1] == {"z", "d/top"}


def test_a_layer_can_be_an_open_directory(layers: list[Path]) -> None:
    directory = os.open(layers[0], os.O_RDONLY)
    try:
        found = [entry.name for entry, _ in read_merged([directory])]
    finally:
        os.close(directory)
    assert b"d/top" in found


def test_a_directory_swapped_for_a_link_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "layer/sub").mkdir(parents=True)
    files = read_merged([tmp_path / "layer"])
    assert next(files)[0].name == b""
    (tmp_path / "layer/sub").rmdir()
    (tmp_path / "layer/sub").symlink_to("/")
    assert [entry.name for entry, _ in files] in ([], [b"sub"])
