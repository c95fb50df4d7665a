"""A few threads that end with their block: by themselves after a success, by being called off after anything else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

_PATIENCE_S: Final = 0.05

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Does at most `count` things at the same time; `cancel` must make those that are under way fail, and is repeated
    until they have.
    """

    def __init__(self, count: int, name: str, cancel: Callable[[], None]) -> None:
        self._executor = ThreadPoolExecutor(count, name)
        self._cancel = cancel
        self._futures: set[Future[object]] = set()

    def submit(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Future[object]:
        """Do it when there is a thread for it, in order."""
        future = self._executor.submit(work, *args, **kwargs)
        self._futures.add(future)
        return future

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self._executor.shutdown(wait=False, cancel_futures=True)
                while self._cancel_those_left():
                    pass
        finally:
            self._executor.shutdown()

    def _cancel_those_left(self) -> bool:
        """Whether some went on for a while after they were told to stop."""
        self._cancel()
        begun = [future for future in self._futures if not future.cancelled()]  # `wait` takes dropped ones for running
        return bool(wait(begun, _PATIENCE_S).not_done)
