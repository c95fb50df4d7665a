from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.runtime import etc


def test_the_files_of_a_network_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    directory = tmp_path / "run" / "container"
    with etc.written(str(directory), "box", "none", str(tmp_path)):
        assert (directory / "hostname").read_text() == "box\n"
        assert "127.0.0.1\tlocalhost" in (directory / "hosts").read_text()
        assert (directory / "resolv.conf").read_text() == "nameserver 192.0.2.1\n"
    assert sorted(etc.sources(str(directory))) == ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]


def test_the_hosts_network_has_the_hosts_names(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("192.0.2.7 known\n")
    with etc.written(str(tmp_path / "run"), "box", "host", str(tmp_path)):
        assert (tmp_path / "run" / "hosts").read_text() == "192.0.2.7 known\n"


def fail(directory: Path, host_etc: Path) -> None:
    with etc.written(str(directory), "box", "none", str(host_etc)):
        raise ValueError


def test_a_failed_start_takes_them_away_again(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        fail(tmp_path / "run", tmp_path)
    assert not (tmp_path / "run").exists()
