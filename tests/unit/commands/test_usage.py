from __future__ import annotations

import time
from typing import cast

import pytest

from dockmagic.builder.records import LAYER, MOUNT, CacheRecord
from dockmagic.image.store import Image
from dockmagic.upkeep import DiskUsage, ImageUse
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import IMAGE_ID, FakeEngine, FakeImage, FakeUpkeep

NOW = time.time_ns()
HOUR = 3600 * 10**9
RECORDS = (
    CacheRecord("a" * 64, LAYER, "RUN", 3_000_000, NOW - 5 * HOUR, NOW - 2 * HOUR, keys=("k",)),
    CacheRecord("b" * 64, LAYER, "COPY or ADD", 2_000_000, NOW - 5 * HOUR, NOW - HOUR, shared=True, parent="a" * 64),
    CacheRecord("c" * 64, MOUNT, "cached mount x", 1_000_000, NOW - 5 * HOUR, NOW - HOUR, in_use=True),
)
IMAGE = ImageUse(cast("Image", FakeImage()), 4_000_000, 1_000_000, 2)
ENGINE = FakeEngine(upkeep=FakeUpkeep(DiskUsage((IMAGE,), 4_000_000, 1_000_000, (), RECORDS)))


def test_df_has_a_row_for_each_kind() -> None:
    table = call(ENGINE, "system", "df")
    assert table.columns == ("TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE")
    assert table.rows == (
        ("Images", "1", "1", "4MB", "1MB (25%)"),
        ("Containers", "0", "0", "0B", "0B"),
        ("Local Volumes", "0", "0", "0B", "0B"),
        ("Build Cache", "3", "1", "4MB", "3MB"),
    )


def test_df_in_detail() -> None:
    tables = call(ENGINE, "system", "df", "-v")
    assert tables[0].rows[0][:3] == ("hello", "latest", IMAGE_ID.short)
    assert tables[0].rows[0][4:] == ("4MB", "1MB", "3MB", "2")
    assert [row[0] for row in tables[3].rows] == ["a" * 12, "b" * 12, "c" * 12 + "*"]
    assert tables[3].rows[1][1:] == ("regular", "2MB", "5 hours ago", "About an hour ago", "true")
    assert "Build cache usage: 4MB\n\nCACHE ID" in str(tables)
    assert "<b>Images space usage:</b>" in tables._repr_html_()


def test_du_is_sorted_by_size_and_has_sums() -> None:
    usage = call(ENGINE, "builder", "du")
    assert [record.id[0] for record in usage] == ["a", "b", "c"]
    lines = str(usage).splitlines()
    assert lines[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert lines[3].split()[:3] == ["c" * 25 + "*", "false", "1MB"]
    assert lines[4:] == ["Shared:\t\t2MB", "Private:\t4MB", "Reclaimable:\t3MB", "Total:\t\t6MB"]
    assert "Total:\t\t6MB" in usage._repr_html_()


@pytest.mark.parametrize(
    ("flags", "found"), [("until=90m", "a"), ("type=exec.cachemount", "c"), ("shared", "b"), ("inuse=false", "ab")]
)
def test_du_of_some(flags: str, found: str) -> None:
    assert "".join(record.id[0] for record in call(ENGINE, "builder", "du", "--filter", flags)) == found


def test_du_verbose_says_all() -> None:
    text = str(call(ENGINE, "buildx", "du", "--verbose", "--filter", "shared"))
    assert f"ID:\t{'b' * 64}\nParent:\t{'a' * 64}\nCreated at:\t" in text
    assert "Type:\tregular" in text
