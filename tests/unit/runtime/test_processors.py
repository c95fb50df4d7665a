"""Lists of processors, and which of them there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import CPU
from dockmagic.runtime.processors import check_available, parse_list


@pytest.mark.parametrize(("text", "numbers"), [("", set()), ("3", {3}), ("0-2,4", {0, 1, 2, 4}), ("1,1-1", {1})])
def test_lists(text: str, numbers: set[int]) -> None:
    assert parse_list(text) == numbers


def test_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "online").write_text("0-1,3\n")
    check_available(CPU(), tmp_path)
    check_available(CPU(cpus="0,3", mems="0"), tmp_path)
    with pytest.raises(InvalidOption, match="--cpuset-cpus 0-3: 2 isn't available here; there are 0-1,3"):
        check_available(CPU(cpus="0-3"), tmp_path)
    with pytest.raises(InvalidOption, match="--cpuset-mems 1: 1 isn't available here; there are 0"):
        check_available(CPU(mems="1"), tmp_path)
