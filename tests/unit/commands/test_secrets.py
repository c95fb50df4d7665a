from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.commands.secrets import secrets
from dockmagic.errors import InvalidOption


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a file, `token`."""
    monkeypatch.chdir(tmp_path)
    Path("token").write_bytes(b"\0t\n")
    Path("large").write_bytes(bytes(500_001))


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("id=a,src=token", {"a": b"\0t\n"}),
        ("id=a,source=token,type=file", {"a": b"\0t\n"}),
        ("ID=a,env=TOKEN", {"a": b"from here"}),
        ("id=a,type=env,src=TOKEN", {"a": b"from here"}),
        ("id=TOKEN,type=env", {"TOKEN": b"from here"}),
        ("id=TOKEN", {"TOKEN": b"from here"}),
        ("id=token", {"token": b"\0t\n"}),
        ("id=a,env=NOT_THERE", {}),
    ],
)
def test_secrets(flag: str, expected: dict[str, bytes]) -> None:
    assert secrets([flag], {"TOKEN": "from here"}) == expected


def test_a_later_one_wins() -> None:
    assert secrets(["id=a,env=A", "id=b,env=A", "id=a,env=B"], {"A": "1", "B": "2"}) == {"a": b"2", "b": b"1"}


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("", "has no id"),
        ("src=token", "has no id; write id=NAME,src=FILE or id=NAME,env=NAME"),
        ("token", "'token' isn't id=, src= or env="),
        ("id=a,scr=token", "did you mean src="),
        ("id=a,type=fifo", "type can be file or env, not 'fifo'"),
        ("id=a,src=nowhere", "can't read nowhere: No such file"),
        ("id=a,src=large", "more than 500 kB"),
        ('"id=a', "unexpected end of data"),
    ],
)
def test_what_is_none(flag: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        secrets([flag], {})
