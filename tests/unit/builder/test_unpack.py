from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from dockmagic.builder.attributes import Owner
from dockmagic.builder.tree import Found, Tree
from dockmagic.builder.unpack import is_archive, unpack
from dockmagic.builder.upper import Upper
from dockmagic.errors import BuildError
from tests.unit.builder.lab import fill

ME = Owner(os.geteuid(), os.getegid())
Member = tuple[str, bytes, str]  # name, kind, content or target
FILE, DIR, LINK, HARD, PIPE, DEVICE = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
)


def archive(*members: Member) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.mode = kind, 5, 0o750 if kind == DIR else 0o4640
            info.linkname = content if kind in (LINK, HARD) else ""
            body = content.encode() if kind == FILE else b""
            info.size = len(body)
            info.pax_headers = {"SCHILY.xattr.user.x": "1", "SCHILY.xattr.trusted.overlay.opaque": "y"}
            tar.addfile(info, io.BytesIO(body))
    return data.getvalue()


class Bench:
    """A lower layer, and an upper directory over it."""

    def __init__(self, tmp_path: Path) -> None:
        self.low, self.up, self.context = tmp_path / "low", tmp_path / "up", tmp_path / "context"
        fill(self.low, {"dir/old": "old", "file": "file", "link": "-> dir", "etc/passwd": "p"})
        self.up.mkdir()
        self.context.mkdir()
        self.upper = Upper(self.up, (self.low,))

    def found(self, data: bytes) -> Found:
        (self.context / "archive").write_bytes(data)
        found = Tree((self.context,)).find("archive")
        assert found is not None
        return found

    def unpack(self, *members: Member, target: str = "") -> None:
        unpack(self.found(archive(*members)), self.upper, target, ME)

    def read(self, path: str) -> str:
        return (self.up / path).read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_an_archive_is_told_by_its_content(bench: Bench, pack: Callable[[bytes], bytes]) -> None:
    found = bench.found(pack(archive(("a", FILE, "text"))))
    assert is_archive(found)
    unpack(found, bench.upper, "", ME)
    assert bench.read("a") == "text"


@pytest.mark.parametrize(
    "data",
    [b"", b"text", bytes(10240), gzip.compress(b"no tar"), gzip.compress(archive(("a", FILE, "a")))[:20], b"\x1f\x8b"],
)
def test_what_is_none(bench: Bench, data: bytes) -> None:
    assert not is_archive(bench.found(data))


def test_all_kinds_with_their_attributes(bench: Bench) -> None:
    bench.unpack(
        ("./", DIR, ""),
        ("d/", DIR, ""),
        ("d/f", FILE, "f"),
        ("d/l", LINK, "./x//y"),
        ("d/h", HARD, "d/f"),
        ("p", PIPE, ""),
        ("implied/deep/x", FILE, "x"),
        target="new",
    )
    new = bench.up / "new"
    assert (stat.S_IMODE((new / "d/f").stat().st_mode), (new / "d/f").stat().st_mtime) == (0o4640, 5)
    assert (stat.S_IMODE((new / "d").stat().st_mode), (new / "d").stat().st_mtime) == (0o750, 5)
    assert os.readlink(new / "d/l") == "./x//y"  # noqa: PTH115 - as it is stored
    assert (new / "d/h").stat().st_ino == (new / "d/f").stat().st_ino
    assert stat.S_ISFIFO((new / "p").stat().st_mode)
    assert stat.S_IMODE((new / "implied/deep").stat().st_mode) == 0o755
    assert os.listxattr(new / "d/f") == ["user.x"]


def test_names_that_mean_something_in_a_layer_mean_nothing_here(bench: Bench) -> None:
    bench.unpack((".wh.file", FILE, "w"))
    assert bench.read(".wh.file") == "w"
    assert bench.upper.tree.find("file") is not None


def test_links_in_the_image_are_followed_inside_it(bench: Bench) -> None:
    fill(bench.low, {"out": "-> /../../etc"})
    bench.unpack(("link/new", FILE, "n"), ("out/passwd", FILE, "x"))
    assert bench.read("dir/new") == "n"
    assert bench.read("etc/passwd") == "x"


def test_links_in_the_destination_take_it_for_the_root(bench: Bench) -> None:
    links = {"absolute": "-> /etc", "up": "-> ../etc", "far": "-> /etc/sub/../../..", "near": "-> real", "real/old": ""}
    fill(bench.low / "srv", {**links, "etc/old": "", "self": "-> /"})
    names = ("absolute/a", "up/b", "far/c", "near/d", "self/e")
    bench.unpack(*((name, FILE, name) for name in names), ("self", DIR, ""), target="srv")
    made = sorted(str(path.relative_to(bench.up)) for path in bench.up.rglob("*") if path.is_file())
    assert made == ["srv/c", "srv/e", "srv/etc/a", "srv/etc/b", "srv/real/d"]


def test_a_directory_may_be_a_link_to_one(bench: Bench) -> None:
    bench.unpack(("link/", DIR, ""), ("link/new", FILE, "n"), ("l", LINK, "later"), ("l/", DIR, ""))
    found = bench.upper.tree.find("link")
    assert found is not None
    assert found.target == "dir"
    assert stat.S_IMODE((bench.up / "dir").stat().st_mode) == 0o750
    assert bench.read("dir/new") == "n"
    assert (bench.up / "later").is_dir()


def test_a_link_of_the_archive_cannot_lead_out(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    bench.unpack(("l", LINK, str(outside)), ("l/x", FILE, "x"), ("m", LINK, "../../.."), ("m/y", FILE, "y"))
    assert list(outside.iterdir()) == []
    assert bench.read(f"{str(outside).lstrip('/')}/x") == "x"
    assert bench.read("y") == "y"


def test_entries_replace_each_other(bench: Bench) -> None:
    bench.unpack(("x/y", FILE, "1"), ("x", FILE, "2"), ("l", LINK, "x"), ("l", FILE, "3"), ("file", DIR, ""))
    assert (bench.read("x"), bench.read("l")) == ("2", "3")
    assert (bench.up / "file").is_dir()


def test_a_directory_that_is_there_keeps_what_is_in_it(bench: Bench) -> None:
    bench.unpack(("dir", DIR, ""))
    assert bench.upper.tree.names("dir") == ["old"]
    assert stat.S_IMODE((bench.up / "dir").stat().st_mode) == 0o750


def test_a_directory_that_is_replaced_later_gets_no_attributes(bench: Bench) -> None:
    bench.unpack(("d", DIR, ""), ("d", FILE, "x"))
    assert bench.read("d") == "x"


def test_a_hard_link_to_a_file_of_the_image(bench: Bench) -> None:
    bench.unpack(("h", HARD, "dir/old"))
    assert bench.read("h") == "old"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("../x", FILE, ""), "'../x', which would leave the destination"),
        (("a/../../x", DIR, ""), "which would leave the destination"),
        (("h", HARD, "../../etc/passwd"), "which would leave the destination"),
        (("h", HARD, "nothing"), "there is no file /nothing to link to"),
        (("file/x", FILE, ""), "/file isn't a directory"),
        (("zero", DEVICE, ""), "character device 0/0"),
    ],
)
def test_what_is_refused(bench: Bench, member: Member, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        bench.unpack(member)


def test_absolute_names_are_below_the_destination(bench: Bench) -> None:
    bench.unpack(("/abs", FILE, "a"), target="dir")
    assert bench.read("dir/abs") == "a"


def test_a_damaged_archive(bench: Bench) -> None:
    found = bench.found(archive(("a", FILE, "x" * 5000))[:2000])
    assert is_archive(found)
    with pytest.raises(BuildError, match=r"cannot unpack archive: .*ends too early"):
        unpack(found, bench.upper, "", ME)


def test_the_owners_of_the_archive_are_kept_unless_one_is_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, uid, gid, **_: given.append((uid, gid)))
    info = tarfile.TarInfo("f")
    info.uid, info.gid = 1000, 50
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(info)
    unpack(bench.found(data.getvalue()), bench.upper, "", None)
    unpack(bench.found(data.getvalue()), bench.upper, "", Owner(3, 4))
    assert given == [(1000, 50), (3, 4)]
