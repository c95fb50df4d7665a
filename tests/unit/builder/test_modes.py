from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dockmagic.builder.modes import parse_mode
from dockmagic.errors import BuildError


@pytest.mark.parametrize(
    ("text", "mode"), [("755", 0o755), ("0644", 0o644), ("0o640", 0o640), ("7777", 0o7777), ("0", 0)]
)
def test_a_number_is_the_whole_mode(text: str, mode: int) -> None:
    assert parse_mode(text).of(0o4711, is_dir=False) == parse_mode(text).of(0, is_dir=True) == mode


@pytest.mark.parametrize(
    ("text", "before", "file", "directory"),
    [
        ("u=rwX,go=rX", 0o600, 0o644, 0o755),
        ("u=rwX,go=rX", 0o700, 0o755, 0o755),
        ("+x", 0o644, 0o755, 0o755),
        ("+w", 0o444, 0o644, 0o644),
        ("a+w", 0o444, 0o666, 0o666),
        ("g=u", 0o640, 0o660, 0o660),
        ("go-w", 0o666, 0o644, 0o644),
        ("u+rw,g+r,o-x,o+w", 0o124, 0o766, 0o766),
        ("a+X", 0o666, 0o666, 0o777),
        ("u+s,g+s,+t", 0o755, 0o7755, 0o7755),
        ("u=rwx", 0o4000, 0o700, 0o4700),
        ("ug=", 0o6770, 0, 0o6000),
        ("a-st", 0o7755, 0o755, 0o755),
        ("u+r-w=x", 0o640, 0o140, 0o140),
        ("o=", 0o1777, 0o770, 0o770),
        ("=", 0o777, 0, 0),
    ],
)
def test_changes(text: str, before: int, file: int, directory: int) -> None:
    mode = parse_mode(text)
    assert (oct(mode.of(before, is_dir=False)), oct(mode.of(before, is_dir=True))) == (oct(file), oct(directory))


@pytest.mark.parametrize(
    "text",
    ["u=rwX,go=rX", "+x", "g=u", "a+X", "u+s,o-t", "go=", "ug+rw-x,o=g", "=t", "a=rws", "g-s", "-X", "u=g,g=o", "o+st"],
)
@pytest.mark.parametrize("before", [0, 0o600, 0o1751, 0o2644, 0o4070, 0o7777])
def test_it_is_what_chmod_does(tmp_path: Path, text: str, before: int) -> None:
    file, directory = tmp_path / "file", tmp_path / "directory"
    file.touch()
    directory.mkdir()
    for place in (file, directory):
        place.chmod(before)
        script = 'umask 022 && chmod -- "$1" "$2" || true'  # where the umask kept something back it says so and fails
        subprocess.run(["/bin/sh", "-c", script, "sh", text, place], check=True, capture_output=True)
        expected = place.stat().st_mode & 0o7777
        assert oct(parse_mode(text).of(before, is_dir=place is directory)) == oct(expected)


@pytest.mark.parametrize(
    "text", ["10000", "abc", "", "8", "-1", "u", "x", "u+q", "u+rg", "u+x,", "+x;", "u+x g+x", "0o"]
)
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(BuildError, match=r"octal number between 0 and 7777.*u=rwX,go=rX"):
        parse_mode(text)
