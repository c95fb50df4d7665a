"""Hooks: their input, their failure, their time."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.bundle import hooks
from dockmagic.errors import ContainerError
from dockmagic.oci.config import Hook


def shell(script: str, timeout: int | None = None) -> Hook:
    """A hook that is a shell script."""
    return Hook("/bin/sh", ("sh", "-c", script), ("A=b",), timeout)


def test_hooks_get_the_state_and_their_own_environment_only(tmp_path: Path) -> None:
    out = tmp_path / "out"
    hooks.run("prestart", [shell(f"cat > {out}; env | grep -v ^PWD >> {out}")], {"id": "x"})
    text = out.read_text()
    assert text.startswith('{"id": "x"}A=b')
    assert "HOME" not in text


def test_the_first_failure_ends_the_row(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="prestart hook /bin/sh ended with status 4: because"):
        hooks.run("prestart", [shell("echo because; exit 4"), shell(f"touch {tmp_path}/x")], {})
    assert not (tmp_path / "x").exists()
    with pytest.raises(ContainerError, match="No such file"):
        hooks.run("prestart", [Hook("/nonesuch")], {})


def test_failures_that_only_count_as_warnings(tmp_path: Path) -> None:
    told: list[str] = []
    hooks.run_all("poststop", [shell("exit 1"), shell(f"touch {tmp_path}/x")], {}, told.append)
    assert len(told) == 1
    assert (tmp_path / "x").exists()


def test_one_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ContainerError, match="longer than 1 seconds"):
        hooks.run("prestart", [shell("exec sleep 60", timeout=1)], {})


def test_one_that_does_not_read_is_fine() -> None:
    hooks.run("prestart", [Hook("/bin/true")], {"annotations": {"x": "y" * 200_000}})
