"""What becomes of a container's health, by a clock of the test's."""

from __future__ import annotations

from dockmagic.oci.health import SECOND_NS
from dockmagic.oci.image import Healthcheck
from dockmagic.runtime.health import Health, Result, limited

CHECK = Healthcheck(
    ("CMD", "check"), interval=30 * SECOND_NS, start_interval=SECOND_NS, start_period=10 * SECOND_NS, retries=2
)


def result(start_s: int, status: int) -> Result:
    return Result(start_s * SECOND_NS, (start_s + 1) * SECOND_NS, status, "")


def fed(*results: tuple[int, int]) -> tuple[Health, list[str]]:
    """A health that began at 0, and its status after each result."""
    health = Health(CHECK, 0)
    found = []
    for start_s, status in results:
        health.take(result(start_s, status))
        found.append(health.status)
    return health, found


def test_a_success_is_health() -> None:
    health, statuses = fed((1, 0))
    assert (statuses, health.failing_streak) == (["healthy"], 0)


def test_failures_in_the_start_period_do_not_count() -> None:
    health, statuses = fed((1, 1), (5, 1), (9, 1), (10, 1), (40, 1))
    assert statuses == ["starting", "starting", "starting", "starting", "unhealthy"]
    assert health.failing_streak == 2


def test_after_a_success_failures_count_in_the_start_period_too() -> None:
    assert fed((1, 0), (2, 1), (3, 1))[1] == ["healthy", "healthy", "unhealthy"]


def test_a_success_makes_healthy_again() -> None:
    health, statuses = fed((20, 1), (21, 1), (22, -1), (23, 0))
    assert (statuses, health.failing_streak) == (["starting", "unhealthy", "unhealthy", "healthy"], 0)


def test_take_says_whether_the_status_has_changed() -> None:
    health = Health(CHECK, 0)
    assert [health.take(result(*each)) for each in ((20, 1), (21, 1), (22, 1), (23, 0), (24, 0))] == [
        *(False, True, False, True, False)
    ]


def test_checks_come_quickly_only_while_it_starts() -> None:
    health = Health(CHECK, 0)
    assert health.interval_ns(9 * SECOND_NS) == SECOND_NS
    assert health.interval_ns(10 * SECOND_NS) == 30 * SECOND_NS
    health.take(result(1, 0))
    assert health.interval_ns(2 * SECOND_NS) == 30 * SECOND_NS


def test_the_last_five_results_are_kept_over_a_start() -> None:
    health, _ = fed(*((20 + n, 1) for n in range(7)))
    health.begin(100 * SECOND_NS)
    assert [each.start_ns // SECOND_NS for each in health.results] == [22, 23, 24, 25, 26]
    assert (health.status, health.failing_streak) == ("starting", 0)
    health.take(result(105, 1))
    assert health.failing_streak == 0


def test_output_is_limited() -> None:
    assert limited(b"x" * 4096) == "x" * 4096
    assert limited(b"x" * 4097) == "x" * 4096 + "..."
    assert limited(b"\xff") == "\ufffd"
