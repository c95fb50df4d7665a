from __future__ import annotations

import os
from pathlib import Path

from dockmagic.runtime.stubs import Stubs, make_layer, make_lowest_layer, make_stub, remove_standard, remove_stubs


def test_stubs_and_copied_directories_go_again(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    (lower / "etc").mkdir(parents=True)
    (upper / "etc").mkdir(parents=True)  # as if copied up for the stub's sake
    os.utime(upper / "etc", ns=(5, 5))
    stubs: Stubs = []
    make_stub(str(upper), "/etc/hosts", directory=False, stubs=stubs)
    make_stub(str(upper), "/proc", directory=True, stubs=stubs)
    make_stub(str(upper), "/deep/er/data", directory=True, stubs=stubs)
    remove_stubs(str(upper), [str(lower)], stubs)
    assert list(upper.iterdir()) == []


def test_what_the_container_filled_stays(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    stubs: Stubs = []
    make_stub(str(upper), "/data", directory=True, stubs=stubs)
    make_stub(str(upper), "/file", directory=False, stubs=stubs)
    (upper / "data" / "result").write_text("x")
    (upper / "file").write_text("x")
    remove_stubs(str(upper), [], stubs)
    assert sorted(path.name for path in upper.iterdir()) == ["data", "file"]


def test_a_directory_of_the_containers_own_keeps_its_time_and_stays(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    (upper / "own").mkdir(parents=True)
    os.utime(upper / "own", ns=(7, 7))
    stubs: Stubs = []
    make_stub(str(upper), "/own/data", directory=True, stubs=stubs)
    remove_stubs(str(upper), [str(tmp_path / "lower")], stubs)
    assert (upper / "own").stat().st_mtime_ns == 7


def test_what_every_container_needs_becomes_a_layer_that_changes_nothing_else(tmp_path: Path) -> None:
    merged, layer = tmp_path / "merged", tmp_path / "layer"
    (merged / "etc").mkdir(parents=True)
    (merged / "etc").chmod(0o711)
    os.utime(merged / "etc", ns=(5, 5))
    layer.mkdir()
    stubs: Stubs = []
    for path, directory in (("/proc", True), ("/etc/hosts", False), ("/etc/hostname", False), ("/my/own", True)):
        make_stub(str(merged), path, directory=directory, stubs=stubs)
    make_layer(str(layer), stubs)
    assert sorted(str(path.relative_to(layer)) for path in layer.rglob("*")) == [
        "etc",
        "etc/hostname",
        "etc/hosts",
        "proc",
    ]
    status = (layer / "etc").stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o711, 5)


def test_a_link_in_the_way_of_a_stub_is_not_followed(tmp_path: Path) -> None:
    upper, victim = tmp_path / "upper", tmp_path / "victim"
    upper.mkdir()
    stubs: Stubs = []
    make_stub(str(upper), "/data/at/sub", directory=True, stubs=stubs)
    (upper / "data" / "at").rename(upper / "old")
    (upper / "data" / "at").symlink_to(victim)
    (victim / "sub").mkdir(parents=True)
    os.utime(victim, ns=(5, 5))
    remove_stubs(str(upper), [], stubs)
    assert [path.name for path in victim.iterdir()] == ["sub"]
    assert victim.stat().st_mtime_ns == 5


def test_the_lowest_layer_has_what_every_container_needs(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    make_lowest_layer(str(layer))
    assert {str(path.relative_to(layer)) for path in layer.rglob("*") if not path.is_dir()} == {
        ".dockerenv",
        "etc/hosts",
        "etc/hostname",
        "etc/resolv.conf",
    }
    assert {path.name for path in layer.iterdir() if path.is_dir()} == {"dev", "etc", "proc", "sys"}
    assert layer.stat().st_mode & 0o777 == 0o755


def test_what_a_process_left_of_the_lowest_layers_names_goes(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    (upper / "etc").mkdir(parents=True)
    (upper / ".dockerenv").touch()
    (upper / "etc" / "hosts").touch()
    (upper / "other").touch()
    (lower / "sys").mkdir(parents=True)
    (upper / "sys").mkdir()
    remove_standard(str(upper), [str(lower)])
    assert sorted(path.name for path in upper.iterdir()) == ["other", "sys"], "the image has /sys"


def test_what_a_process_put_into_the_lowest_layers_names_stays(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").touch()
    (tmp_path / ".dockerenv").write_text("x")
    before = (tmp_path / "etc").stat().st_mtime_ns
    remove_standard(str(tmp_path), [])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".dockerenv", "etc"]
    assert (tmp_path / "etc").stat().st_mtime_ns == before
