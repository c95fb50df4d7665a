from __future__ import annotations

import time
from pathlib import Path

import pytest

from dockmagic.builder.caches import Wanted
from dockmagic.builder.records import LAYER, MOUNT, CacheRecord
from dockmagic.builder.seam import OnOutput, RunStep
from dockmagic.builder.upkeep import CacheUpkeep, Space, victims
from tests.unit.builder.lab import Lab

TWO_STAGES = "FROM base AS one\nRUN make\nFROM base\nRUN other\n"


def record(
    name: str, used: int, *, parent: str = "", depth: int = 0, shared: bool = False, in_use: bool = False
) -> CacheRecord:
    return CacheRecord(name, LAYER, "", 10, 0, used, shared, in_use, parent, depth)


def names(chosen: list[CacheRecord]) -> list[str]:
    return [one.id for one in chosen]


def test_least_recently_used_first_until_it_fits() -> None:
    records = [record("new", 3), record("old", 1), record("middle", 2)]
    assert names(victims(records, lambda one: True, 15)) == ["old", "middle"]
    assert names(victims(records, lambda one: True, 30)) == []
    assert names(victims(records, lambda one: True)) == ["old", "middle", "new"]


def test_nothing_goes_from_under_what_stays() -> None:
    records = [record("below", 5), record("above", 5, parent="below", depth=1)]
    assert names(victims(records, lambda one: True, 10)) == ["above"]
    assert names(victims(records, lambda one: one.id == "below")) == []


def test_what_is_in_use_stays_and_what_is_shared_frees_nothing() -> None:
    records = [record("used", 1, in_use=True), record("shared", 2, shared=True), record("free", 3)]
    assert names(victims(records, lambda one: True, 15)) == ["shared", "free"]
    assert names(victims(records, lambda one: not one.shared, 15)) == ["free"]


@pytest.mark.parametrize(
    ("space", "kept"),
    [
        (Space(), None),
        (Space(reserved=40), 40),
        (Space(max_used=70), 70),
        (Space(min_free=30), 80),
        (Space(max_used=70, min_free=50), 60),
        (Space(reserved=90, min_free=50), 90),
        (Space(min_free=5), 100),
    ],
)
def test_what_may_stay_of_100_bytes_on_a_disk_with_10_free(space: Space, kept: int | None) -> None:
    assert space.kept_bytes(100, 10) == kept


@pytest.fixture
def upkeep(lab: Lab) -> CacheUpkeep:
    def write(step: RunStep, output: OnOutput) -> int:
        (step.upper / "out").write_text("made" * 100)
        return 0

    lab.command = write
    return CacheUpkeep(lab.root, lab.database, lab.store)


def test_a_prune_keeps_what_images_share_unless_all(lab: Lab, upkeep: CacheUpkeep) -> None:
    lab.build("FROM base\nRUN make\n", tag="app")
    shared = [one for one in upkeep.records() if one.kind == LAYER]
    assert shared
    assert all(one.shared and not one.reclaimable for one in shared)
    assert upkeep.prune().reclaimed_bytes == 0
    lab.build("FROM base\nRUN make\n", tag="app")
    assert lab.runs == []
    upkeep.prune(all=True)
    lab.build("FROM base\nRUN make\n", tag="app")
    assert len(lab.runs) == 1


def test_a_limit_spares_what_this_build_used(lab: Lab, upkeep: CacheUpkeep) -> None:
    began_ns = time.time_ns()
    lab.build(TWO_STAGES + "COPY --from=one /out /two\n", tag="app")
    assert upkeep.limit(0, since_ns=began_ns).lines == ()
    lab.store.remove("app")
    gone = upkeep.limit(0, since_ns=time.time_ns() + 120 * 10**9)
    assert gone.lines
    assert gone.reclaimed_bytes > 0
    assert [one for one in upkeep.records() if not one.shared] == []


def test_nothing_goes_while_somebody_builds(lab: Lab, upkeep: CacheUpkeep) -> None:
    lab.build("FROM base\nRUN make\n", tag="app")
    lab.store.remove("app")
    with lab.workspaces.hold():
        assert all(one.in_use for one in upkeep.records() if one.kind == LAYER)
        held = upkeep.prune(all=True, takes=lambda one: one.kind == LAYER)
        assert (held.lines, held.reclaimed_bytes, held.held) == ((), 0, True)
    lab.build("FROM base\nRUN make\n", tag="app")
    assert lab.runs == []


def test_cache_mounts_are_measured_once_and_removed_unless_in_use(lab: Lab, upkeep: CacheUpkeep) -> None:
    wanted = Wanted("/pip", "shared", (None,), lambda tree: None)
    with lab.parts.caches.use([wanted], lambda name: None) as trees:
        (trees[wanted.key] / "wheel").write_bytes(bytes(5000))
        (mount,) = [one for one in upkeep.records() if one.kind == MOUNT]
        assert mount.in_use
        assert upkeep.prune(all=True, takes=lambda one: one.kind == MOUNT).lines == ()
    (mount,) = [one for one in upkeep.records() if one.kind == MOUNT]
    assert (mount.size_bytes, mount.in_use, mount.description) == (5000, False, "cached mount /pip")
    Path(trees[wanted.key] / "wheel").unlink()  # unseen: nobody used it since it was measured
    assert upkeep.prune(lambda one: one.kind == MOUNT).reclaimed_bytes == 5000
    assert list((lab.root / "cache").iterdir()) == []


def test_a_layer_that_a_loss_of_power_kept_from_the_disk_is_forgotten(lab: Lab, upkeep: CacheUpkeep) -> None:
    lab.build("FROM base AS one\nRUN make\nFROM base\nCOPY --from=one /out /two\n")
    with lab.database.transaction() as transaction:
        transaction.execute("UPDATE layers SET boot_id = 'before' WHERE boot_id != ''")
    lab.store.collect()
    image = lab.build("FROM base AS one\nRUN make\nFROM base\nCOPY --from=one /out /two\n")
    assert len(lab.runs) == 1
    assert lab.read(image, "two")
