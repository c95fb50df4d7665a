from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from dockmagic.builder.attributes import Owner
from dockmagic.builder.files import CopyRules, copy
from dockmagic.builder.modes import parse_mode
from dockmagic.builder.sources import Origin, find_sources
from dockmagic.builder.tree import Tree
from dockmagic.builder.upper import Upper
from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.errors import BuildError
from tests.unit.builder.lab import fill

ME = Owner(os.geteuid(), os.getegid())
LOW = {
    "etc/conf": "old",
    "srv/real/": "",
    "data": "-> /srv/real",
    "dangling": "-> srv/made",
    "file-link": "-> etc/conf",
    "ring": "-> ring",
}
CONTEXT = {"a": "a", "b": "b", "d/x": "x", "d/sub/y": "y", "d/link": "-> nowhere", "conf/": "", "e/real": "file"}


class Bench:
    """A context, a lower layer, and an upper directory to copy to."""

    def __init__(self, tmp_path: Path, low: Mapping[str, str] = LOW) -> None:
        self.context, self.low, self.directory = tmp_path / "context", tmp_path / "low", tmp_path / "up"
        fill(self.context, CONTEXT)
        fill(self.low, low)
        self.directory.mkdir()
        self.upper = Upper(self.directory, (self.low,))

    def copy(self, *names: str, to: str, mode: str | None = None, heredocs: tuple[Heredoc, ...] = ()) -> bool:
        sources = find_sources(Origin(Tree((self.context,)), "the build context"), names)
        return copy(sources, heredocs, self.upper, CopyRules(to, ME, None if mode is None else parse_mode(mode)))

    def made(self) -> list[str]:
        """Everything in the upper directory."""
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("source", "to", "made"),
    [
        ("a", "/new", ["new"]),
        ("a", "/new/", ["new", "new/a"]),
        ("a", "/x/y/new", ["x", "x/y", "x/y/new"]),
        ("a", "/etc", ["etc", "etc/a"]),
        ("a", "/etc/", ["etc", "etc/a"]),
        ("a", "/etc/conf", ["etc", "etc/conf"]),
        ("a", "/", ["a"]),
        ("a", "/data", ["srv", "srv/real", "srv/real/a"]),
        ("a", "/data/n", ["srv", "srv/real", "srv/real/n"]),
        ("a", "/data/../n", ["srv", "srv/n"]),
        ("a", "/dangling", ["srv", "srv/made"]),
        ("a", "/dangling/", ["srv", "srv/made", "srv/made/a"]),
        ("a", "/file-link", ["etc", "etc/conf"]),
        ("d", "/new", ["new", "new/link", "new/sub", "new/sub/y", "new/x"]),
        ("d", "/new/", ["new", "new/link", "new/sub", "new/sub/y", "new/x"]),
        ("d/sub", "/etc", ["etc", "etc/y"]),
        ("d/sub", "/data", ["srv", "srv/real", "srv/real/y"]),
        ("conf", "/etc", []),
        ("conf", "/empty", ["empty"]),
        ("d/link", "", []),
    ],
)
def test_where_things_go(bench: Bench, source: str, to: str, made: list[str]) -> None:
    if not to:
        with pytest.raises(BuildError, match="not found"):
            bench.copy(source, to="/x")
        return
    assert bench.copy(source, to=to)
    assert bench.made() == made


def test_a_copied_file_replaces_the_link_it_meets(bench: Bench) -> None:
    bench.copy("a", "b", to="/x/")
    fill(bench.low, {"meet/a": "-> ../etc/conf"})
    bench.copy("a", to="/meet/")
    assert not (bench.directory / "meet/a").is_symlink()
    assert (bench.low / "etc/conf").read_text() == "old"


def test_a_destination_that_goes_in_circles(bench: Bench) -> None:
    with pytest.raises(BuildError, match="too many levels of symbolic links"):
        bench.copy("a", to="/ring/x")


@pytest.mark.parametrize("to", ["/new", "/etc/conf"])
def test_several_sources_need_a_directory(bench: Bench, to: str) -> None:
    with pytest.raises(BuildError, match=f"more than one source.*write {to}/"):
        bench.copy("a", "b", to=to)


@pytest.mark.parametrize("to", ["/new/", "/etc", "/data"])
def test_several_sources_in_a_directory(bench: Bench, to: str) -> None:
    assert bench.copy("a", "b", to=to)


def test_a_file_never_takes_the_place_of_a_directory(bench: Bench) -> None:
    with pytest.raises(BuildError, match="cannot replace the directory /srv/real with a file"):
        bench.copy("e", to="/srv")


def test_a_directory_never_takes_the_place_of_a_file(bench: Bench) -> None:
    with pytest.raises(BuildError, match="cannot copy a directory to /etc/conf"):
        bench.copy(".", to="/etc")


@pytest.mark.parametrize(("source", "to"), [("d", "/etc/conf"), ("a", "/etc/conf/"), ("a", "/etc/conf/x")])
def test_a_file_in_the_way(bench: Bench, source: str, to: str) -> None:
    with pytest.raises(BuildError, match="/etc/conf isn't a directory"):
        bench.copy(source, to=to)


def test_attributes_are_the_sources_but_a_destination_made_for_contents_is_new(bench: Bench) -> None:
    for name, mode in (("a", 0o4750), ("d", 0o700), ("d/sub", 0o1711)):
        (bench.context / name).chmod(mode)
        os.utime(bench.context / name, (5, 5))
    os.setxattr(bench.context / "a", "user.x", b"1")
    bench.copy("a", to="/x/a")
    bench.copy("d", to="/y")
    assert _mode_and_time(bench.directory / "x/a") == (0o4750, 5)
    assert os.getxattr(bench.directory / "x/a", "user.x") == b"1"
    assert _mode_and_time(bench.directory / "y/sub") == (0o1711, 5)
    assert _mode_and_time(bench.directory / "y")[0] == 0o755


def test_a_directory_that_is_there_takes_on_the_mode_of_the_one_copied_over_it(bench: Bench) -> None:
    fill(bench.low, {"t/sub/old": ""})
    (bench.low / "t").chmod(0o750)
    (bench.context / "d/sub").chmod(0o711)
    bench.copy("d", to="/t")
    assert _mode_and_time(bench.directory / "t/sub")[0] == 0o711
    assert _mode_and_time(bench.directory / "t")[0] == 0o750


def test_a_mode_for_all(bench: Bench) -> None:
    bench.copy("d", to="/x/", mode="701")
    assert {_mode_and_time(bench.directory / "x" / name)[0] for name in ("x", "sub", "sub/y")} == {0o701}
    assert _mode_and_time(bench.directory / "x")[0] == 0o755


def test_changes_of_modes(bench: Bench) -> None:
    for name, mode in (("d/sub", 0o700), ("d/sub/y", 0o700), ("d/x", 0o600)):
        (bench.context / name).chmod(mode)
    bench.copy("d", to="/x/", mode="u=rwX,go=rX", heredocs=(Heredoc("h", ""),))
    modes = {name: _mode_and_time(bench.directory / "x" / name)[0] for name in ("sub", "sub/y", "x", "h")}
    assert modes == {"sub": 0o755, "sub/y": 0o755, "x": 0o644, "h": 0o644}
    assert (bench.directory / "x/link").is_symlink()


def test_hard_links_in_a_directory_stay_together(bench: Bench) -> None:
    (bench.context / "d/sub/again").hardlink_to(bench.context / "d/x")
    bench.copy("d", to="/n")
    assert (bench.directory / "n/sub/again").stat().st_ino == (bench.directory / "n/x").stat().st_ino


def test_pipes_are_copied(bench: Bench) -> None:
    os.mkfifo(bench.context / "d/pipe")
    bench.copy("d", to="/n")
    assert stat.S_ISFIFO((bench.directory / "n/pipe").stat().st_mode)


def test_here_documents(bench: Bench) -> None:
    bench.copy("a", to="/h/", heredocs=(Heredoc("one", "1\n"), Heredoc("two", "")))
    assert (bench.directory / "h/one").read_text() == "1\n"
    assert _mode_and_time(bench.directory / "h/two")[0] == 0o644
    bench.copy(to="/h/three", heredocs=(Heredoc("x", "3"),), mode="755")
    assert (bench.directory / "h/three").read_text() == "3"
    assert _mode_and_time(bench.directory / "h/three")[0] == 0o755


def test_a_here_document_and_a_directory_of_its_name(bench: Bench) -> None:
    with pytest.raises(BuildError, match="cannot replace the directory /srv/real"):
        bench.copy(to="/srv/", heredocs=(Heredoc("real", ""),))


def test_a_file_that_changes_meanwhile_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = find_sources(Origin(Tree((bench.context,)), "x"), ["a"])
    (bench.context / "a").write_text("longer")
    assert not copy(sources, (), bench.upper, CopyRules("/n", ME))
    assert (bench.directory / "n").read_text() == "longer"


def test_the_owner_is_roots_unless_it_is_given_or_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, uid, gid, **_: given.append((uid, gid)))
    sources = find_sources(Origin(Tree((bench.context,)), "x"), ["a"])
    copy(sources, (), bench.upper, CopyRules("/new/1"))
    copy(sources, (), bench.upper, CopyRules("/new/2", Owner(3, 4)))
    copy(sources, (), bench.upper, CopyRules("/new/3", root_owned=False))
    assert given == [(0, 0), (0, 0), (3, 4), (ME.uid, ME.gid)]


def _mode_and_time(path: Path) -> tuple[int, float]:
    status = path.stat()
    return stat.S_IMODE(status.st_mode), status.st_mtime
