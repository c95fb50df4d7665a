from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.builder import root_archive
from dockmagic.builder.root_archive import is_url, opened_archive
from dockmagic.errors import BuildError, InvalidOption
from dockmagic.image.workspace import Workspaces


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "root")


def test_streams_and_files(workspaces: Workspaces, tmp_path: Path) -> None:
    stream = io.BytesIO(b"x")
    with opened_archive(stream, workspaces) as source:
        assert source is stream
    (tmp_path / "file").write_bytes(b"file")
    for path in (tmp_path / "file", str(tmp_path / "file")):
        with opened_archive(path, workspaces) as source:
            assert source.read(10) == b"file"
    with pytest.raises(InvalidOption, match=r"can't read .*missing: No such file"):
        with opened_archive(tmp_path / "missing", workspaces):
            pass


def test_what_is_a_url() -> None:
    assert is_url("https://example.org/root.tar")
    assert is_url("HTTP://example.org/root.tar")
    assert not is_url("http")
    assert not is_url(Path("http://x"))


@pytest.mark.parametrize("fails", [False, True])
def test_a_url_is_fetched(fails: bool, workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, target: Path) -> None:
        if fails:
            raise BuildError(f"{url}: there is nothing")
        target.write_bytes(url.encode())

    fetch: Callable[[str, Path], None] = download
    monkeypatch.setattr(root_archive, "download", fetch)
    if fails:
        with pytest.raises(InvalidOption, match="there is nothing"), opened_archive("http://x/y", workspaces):
            pass
    else:
        with opened_archive("http://x/y", workspaces) as source:
            assert source.read(100) == b"http://x/y"
    assert list(workspaces.directory.iterdir()) == []
