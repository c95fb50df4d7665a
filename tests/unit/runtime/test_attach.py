from __future__ import annotations

import os
import select
import signal

from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime.attach import Attachment, Controls, polite_signal


def test_requests_come_in_order_and_ring() -> None:
    with Controls() as controls:
        assert controls.take() == []
        controls.resize(ConsoleSize(3, 4))
        controls.signal(10)
        controls.detach()
        assert select.select([controls.bell], [], [], 0)[0]
        assert [message["op"] for message in controls.take()] == ["resize", "signal", "detach"]
        assert controls.take() == []
        assert not select.select([controls.bell], [], [], 0)[0]


def test_a_request_from_before_is_not_lost() -> None:
    controls = Controls()
    controls.signal(12)
    with controls:
        controls.signal(10)
        assert [message["signal"] for message in controls.take()] == [12, 10]


def test_a_terminal_has_one_output() -> None:
    assert Attachment().streams == ("stdout", "stderr")
    assert Attachment(tty=True).streams == ("stdout",)
    assert Attachment(outputs=("stderr",), tty=True).streams == ()
    assert Attachment().reading(None) == Attachment()
    assert Attachment().reading(5).stdin == 5


def test_the_polite_signal_is_one_that_is_caught() -> None:
    assert polite_signal(os.getpid()) == signal.SIGINT  # Python's own handler
    assert polite_signal(os.getpid(), signal.SIGTERM) == signal.SIGINT
    assert polite_signal(1 << 30) == signal.SIGKILL
