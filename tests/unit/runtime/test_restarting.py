"""When a container starts again, and after which pause."""

from __future__ import annotations

import pytest

from dockmagic.oci.options import RestartPolicy
from dockmagic.runtime.restarting import Restarts


def pauses(restarts: Restarts, times: int, exit_status: int = 1, lasted_s: float = 0.1) -> list[float | None]:
    return [restarts.after(exit_status, lasted_s) for _ in range(times)]


def test_without_a_policy_nothing_starts_again() -> None:
    assert Restarts(RestartPolicy()).after(1, 0.1) is None


def test_the_pause_doubles_up_to_a_minute() -> None:
    restarts = Restarts(RestartPolicy("always"))
    assert pauses(restarts, 12) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]
    assert restarts.count == 12


def test_the_pause_is_short_again_after_a_run_of_ten_seconds() -> None:
    restarts = Restarts(RestartPolicy("always"))
    pauses(restarts, 4)
    assert restarts.after(0, 10.0) == 0.1
    assert restarts.after(0, 9.9) == 0.2


@pytest.mark.parametrize(
    ("policy", "status", "wanted"),
    [("always", 0, True), ("unless-stopped", 0, True), ("on-failure", 0, False), ("on-failure", 1, True)],
)
def test_policies_look_at_the_exit_status(policy: str, status: int, wanted: bool) -> None:
    assert (Restarts(RestartPolicy(policy)).after(status, 1) is not None) is wanted


def test_on_failure_gives_up_after_so_many_retries() -> None:
    restarts = Restarts(RestartPolicy("on-failure", 2))
    assert pauses(restarts, 3) == [0.1, 0.2, None]
    assert restarts.count == 2


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
def test_a_stop_is_the_end(policy: str) -> None:
    restarts = Restarts(RestartPolicy(policy))
    restarts.stop(final=True)
    assert (restarts.after(137, 1), restarts.over) == (None, True)


def test_another_signal_ends_only_what_goes_on_unless_stopped() -> None:
    found = {}
    for policy in ("always", "unless-stopped", "on-failure"):
        restarts = Restarts(RestartPolicy(policy))
        restarts.stop(final=False)
        found[policy] = restarts.after(1, 1)
    assert found == {"always": 0.1, "unless-stopped": None, "on-failure": 0.1}


def test_a_policy_can_be_changed() -> None:
    restarts = Restarts(RestartPolicy("always"))
    restarts.after(0, 1)
    restarts.policy = RestartPolicy()
    assert restarts.after(0, 1) is None
