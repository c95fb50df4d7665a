"""What starts again after a boot, or after the death of its monitor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from dockmagic.oci.options import RestartPolicy, RunOptions
from dockmagic.runtime import boot
from dockmagic.runtime.container import Row
from dockmagic.runtime.request import Record
from dockmagic.runtime.reviving import wanted

ENDED = Record(started_ns=1, finished_ns=2, boot="before")
STOPPED = Record(started_ns=1, finished_ns=2, boot="before", stopped=True)
LOST = Record(started_ns=1, boot="before")
RESTING = Record(started_ns=1, finished_ns=2, boot="before", restarting=True)
NEVER_RUN = Record(exit_status=127, boot="before")


@pytest.mark.parametrize(
    ("record", "policy", "same_boot", "another_boot"),
    [
        (ENDED, "always", False, True),
        (STOPPED, "always", False, True),
        (LOST, "always", True, True),
        (RESTING, "always", True, True),
        (NEVER_RUN, "always", False, False),
        (None, "always", False, False),
        (ENDED, "unless-stopped", False, True),
        (STOPPED, "unless-stopped", False, False),
        (LOST, "unless-stopped", True, True),
    ],
)
def test_who_is_started_again(record: Record | None, policy: str, same_boot: bool, another_boot: bool) -> None:
    row = cast("Row", SimpleNamespace(options=RunOptions(restart=RestartPolicy(policy))))
    assert (wanted(row, record, "before"), wanted(row, record, "after")) == (same_boot, another_boot)


def test_a_boot_has_one_name() -> None:
    assert boot.current() == boot.current() != ""
