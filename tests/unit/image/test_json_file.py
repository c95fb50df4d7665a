from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from dockmagic.errors import DockmagicError, InvalidOption
from dockmagic.image.json_file import edited, read_object


def test_a_file_that_is_not_there_is_empty_and_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new/config.json"
    assert read_object(path) == {}
    with edited(path) as document:
        document["a"] = {"b": 1}
    assert path.read_text() == '{\n\t"a": {\n\t\t"b": 1\n\t}\n}'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{\n  "z": "ä",\n  "a": 1\n}\n', '{\n  "z": "ä",\n  "a": 1,\n  "new": 2\n}\n'),
        ('{\n\t"z": []\n}', '{\n\t"z": [],\n\t"new": 2\n}'),
        ('{"z": 1}\n', '{"z": 1, "new": 2}\n'),
        ("{}", '{\n\t"new": 2\n}'),
        ("", '{\n\t"new": 2\n}'),
    ],
)
def test_what_is_not_ours_keeps_its_order_and_form(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(before)
    path.chmod(0o644)
    with edited(path) as document:
        document["new"] = 2
    assert path.read_text() == after
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    target, link = tmp_path / "dotfiles/docker.json", tmp_path / "config.json"
    target.write_text("{}")
    link.symlink_to(target)
    with edited(link) as document:
        document["a"] = 1
    assert link.is_symlink()
    assert read_object(target) == {"a": 1}


def change_and_fail(path: Path) -> None:
    with edited(path) as document:
        document["b"] = 2
        raise KeyboardInterrupt


def test_nothing_is_written_without_a_change_or_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{ "a":1 }')
    with edited(path):
        pass
    with pytest.raises(KeyboardInterrupt):
        change_and_fail(path)
    assert path.read_text() == '{ "a":1 }'
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "config.json"

    def add(name: str) -> None:
        with edited(path) as document:
            document[name] = True

    threads = [threading.Thread(target=add, args=(f"n{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(path.read_text())) == 20


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff"])
def test_another_content_is_named_and_kept(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text)
    with pytest.raises(InvalidOption, match=r"config\.json: .*; correct it or remove it"):
        read_object(path)
    with pytest.raises(InvalidOption, match=r"config\.json"), edited(path):
        pass
    assert path.read_bytes() == text


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DockmagicError, match=r"config\.json: can't be written \(.*\); DOCKER_CONFIG"):
        with edited(tmp_path / "file/config.json"):
            pass
