from __future__ import annotations

import base64
from pathlib import Path

import bcrypt
import pytest

from dockmagic.errors import InvalidOption
from dockmagic.registry.access import credentials, read_users


def entry(name: str, password: str) -> str:
    """A line as `htpasswd -B` writes it."""
    return f"{name}:{bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode().replace('$2b$', '$2y$')}"


def test_one_user() -> None:
    users = read_users("ada:love:lace")
    assert users.knows("ada", "love:lace")
    assert not users.knows("ada", "love")
    assert not users.knows("", "")


def test_a_file_of_users(tmp_path: Path) -> None:
    file = tmp_path / "htpasswd"
    file.write_text(f"# users\n\n{entry('ada', 'lovelace')}\n{entry('alan', 'pässword' * 20)}\n")
    users = read_users(str(file))
    for _ in range(2):
        assert users.knows("ada", "lovelace")
        assert users.knows("alan", "pässword" * 20)
    assert not users.knows("ada", "wrong")
    assert not users.knows("nobody", "lovelace")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no users"),
        ("ada:{SHA}x\n", ":1: expected USER:HASH"),
        ("ada\n", "htpasswd -B"),
        (":$2y$\n", ":1:"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "htpasswd"
    file.write_text(text)
    with pytest.raises(InvalidOption, match=words):
        read_users(str(file))


@pytest.mark.parametrize("text", ["ada", "ada:", ":x", "/nowhere"])
def test_texts_that_are_neither(text: str) -> None:
    with pytest.raises(InvalidOption):
        read_users(text)


@pytest.mark.parametrize("header", ["", "Bearer x", "Basic", "Basic ???", "Basic YQ==", "Basic /w=="])
def test_headers_without_credentials(header: str) -> None:
    assert credentials(header) is None


def test_credentials() -> None:
    assert credentials(f"basic  {base64.b64encode('ada:ä:b'.encode()).decode()}") == ("ada", "ä:b")
