from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.commands.ssh import agents
from dockmagic.errors import InvalidOption

ENVIRON = {"SSH_AUTH_SOCK": "/run/agent"}


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("default", {"default": (Path("/run/agent"),)}),
        ("", {"default": (Path("/run/agent"),)}),
        ("hub=/a", {"hub": (Path("/a"),)}),
        ("hub=/a,/b", {"hub": (Path("/a"), Path("/b"))}),
    ],
)
def test_paths_by_id(flag: str, expected: dict[str, tuple[Path, ...]]) -> None:
    assert agents([flag], ENVIRON) == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["default"], "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set"),
        (["a="], "write a=SOCKET or a=KEY"),
        (["a=/x", "a=/y"], "a was named before"),
    ],
)
def test_what_names_no_agent(flags: list[str], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        agents(flags, {})
