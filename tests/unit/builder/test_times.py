from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.builder.times import limit_times, source_date_epoch
from dockmagic.errors import InvalidOption


@pytest.mark.parametrize(("text", "expected"), [("", None), ("0", 0), ("1700000000", 1_700_000_000)])
def test_the_time_that_is_given(text: str, expected: int | None) -> None:
    assert source_date_epoch({"SOURCE_DATE_EPOCH": text}) == expected
    assert source_date_epoch({}) is None


@pytest.mark.parametrize("text", ["now", "-1", "1.5", "²", "9" * 30])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidOption, match="expected whole seconds since 1970"):
        source_date_epoch({"SOURCE_DATE_EPOCH": text})


def test_only_what_is_younger_changes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name, time_s in (("d/old", 5), ("d/new", 2000), ("d", 3000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time_s, time_s))
    (tmp_path / "link").symlink_to("nowhere")
    limit_times(tmp_path, 1000)
    times = {name: (tmp_path / name).lstat().st_mtime for name in (".", "d", "d/old", "d/new", "link")}
    assert times == {".": 1000, "d": 1000, "d/old": 5, "d/new": 1000, "link": 1000}
