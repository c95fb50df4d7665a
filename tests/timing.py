"""How long work takes, told so that others on the machine don't change the answer: the processor's time counts.

They can still make work slower, by the caches that they share with it, but never quicker: the best of some goes counts.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

_GOES: Final = 3


def least_s(work: Callable[[], object]) -> float:
    """The least of the processor's time that the work takes in this thread, in a few goes."""
    return min(_taken_s(work) for _ in range(_GOES))


def takes_less(work: Callable[[], object], bound_s: float) -> bool:
    """Whether the work takes less of the processor's time in this thread than that; a few goes, until one does."""
    return any(_taken_s(work) < bound_s for _ in range(_GOES))


def _taken_s(work: Callable[[], object]) -> float:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        begun = time.thread_time()
        work()
        return time.thread_time() - begun
    finally:
        if was_enabled:
            gc.enable()
