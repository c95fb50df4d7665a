from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.commands.mounts import bind, make_sources, tmpfs
from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import Mount


def test_a_directory_of_the_host() -> None:
    assert bind("/srv:/data") == Mount("/data", "bind", "/srv", ("rbind", "rw", "rprivate"))
    assert bind("/srv:/data:ro,rslave") == Mount("/data", "bind", "/srv", ("rbind", "ro", "rslave"))


def test_a_relative_directory_is_the_callers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert bind("./sub:/data").source == str(tmp_path / "sub")
    assert bind("~/x:/data").source == str(Path.home() / "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/data", "volumes aren't available"),
        ("name:/data", "./name"),
        ("/a:/b:ro:x", "too many colons"),
        (":/b", "empty part"),
        ("/a:", "empty part"),
        ("/a:b", "absolute"),
        ("/a:/", "root"),
        ("/a:/b:x", "'x'"),
        ("/a:/b:ro,rw", "both ro and rw"),
    ],
)
def test_mounts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        bind(text)


def test_labels_of_selinux_change_nothing() -> None:
    assert bind("/a:/b:ro,Z").options == bind("/a:/b:ro").options


def test_a_missing_source_is_made(tmp_path: Path) -> None:
    source = tmp_path / "a" / "b"
    make_sources([bind(f"{source}:/data"), bind(f"{tmp_path}:/other")])
    assert source.is_dir()


def test_a_source_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidOption, match="Not a directory"):
        make_sources([bind(f"{tmp_path}/file/sub:/data")])


def test_tmpfs_has_dockers_defaults() -> None:
    assert tmpfs("/run") == Mount("/run", "tmpfs", "tmpfs", ("noexec", "nosuid", "nodev"))
    assert tmpfs("/run:exec,size=1m,mode=1777").options == ("nosuid", "nodev", "exec", "size=1048576", "mode=1777")
    assert "size=10%" in tmpfs("/run:size=10%").options


@pytest.mark.parametrize(
    ("text", "message"), [("run", "absolute"), ("/run:size=big", "size"), ("/run:huge=1", "huge"), ("/run:x", "'x'")]
)
def test_tmpfs_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        tmpfs(text)
