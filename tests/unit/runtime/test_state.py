from __future__ import annotations

import pytest

from dockmagic.errors import ContainerError, InvalidState
from dockmagic.runtime.request import Record
from dockmagic.runtime.state import POSSIBLE, ContainerState, Status, check, check_attachable, derive


@pytest.mark.parametrize("operation", POSSIBLE)
@pytest.mark.parametrize("status", Status)
def test_every_operation_in_every_status(operation: str, status: Status) -> None:
    if status in POSSIBLE[operation]:
        check("0" * 64, operation, status)
    else:
        usual = f"cannot {operation} container 000000000000: it is {status.value}"
        message = "is restarting, wait until the container is running" if status == "restarting" else usual
        with pytest.raises(InvalidState, match=message):
            check("0" * 64, operation, status)


def test_a_container_without_a_record_was_created_or_is_about_to_run() -> None:
    assert derive(None, alive=False) == ContainerState(Status.CREATED)
    assert derive(None, alive=True).running


def test_a_record_of_an_end_is_an_exited_container() -> None:
    record = Record(pid=0, started_ns=1, finished_ns=2, exit_status=3, oom_killed=True)
    state = derive(record, alive=False)
    assert (state.status, state.exit_status, state.oom_killed) == (Status.EXITED, 3, True)


def test_what_has_ended_to_start_again_is_restarting() -> None:
    record = Record(started_ns=1, finished_ns=2, exit_status=3, restarting=True, restart_count=4)
    state = derive(record, alive=True)
    assert (state.status, state.running, state.exit_status, state.restart_count) == ("restarting", False, 3, 4)
    assert derive(record, alive=False).status == "exited"


def test_a_start_without_an_end_and_without_a_monitor_is_a_loss() -> None:
    state = derive(Record(pid=9, started_ns=1), alive=False)
    assert (state.status, state.exit_status, state.pid) == (Status.EXITED, 137, 0)
    assert "monitor was killed" in state.error


def test_a_start_that_failed_leaves_a_created_container_with_its_error() -> None:
    state = derive(Record(exit_status=127, error="not found"), alive=False)
    assert (state.status, state.exit_status, state.error) == (Status.CREATED, 127, "not found")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (Status.EXITED, "You cannot attach to a stopped container, start it first"),
        (Status.PAUSED, "You cannot attach to a paused container, unpause it first"),
        (Status.RESTARTING, "You cannot attach to a restarting container, wait until it is running"),
    ],
)
def test_what_cannot_be_attached_to(status: Status, message: str) -> None:
    with pytest.raises(ContainerError, match=message):
        check_attachable(ContainerState(status))
