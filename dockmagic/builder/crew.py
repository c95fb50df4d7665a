"""Work side by side, a thread a task: the first failure, or an interrupt, ends all of it.

Ctrl-C raises KeyboardInterrupt in the main thread only. A crew raises it in its threads too, so that work need not know
where it is done; a thread feels it at its next step in Python, and nothing of ours blocks outside of it for long.
Source: Python/C API, PyThreadState_SetAsyncExc.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

_LOOK_UP_S: Final = 0.1

T = TypeVar("T")


class Task(Generic[T]):
    """Work that was begun; `result` waits for its end."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._ended = threading.Event()
        self._result: list[T] = []
        self._lock = threading.Lock()
        self._thread = 0
        self.error: BaseException | None = None

    def result(self) -> T:
        """What the work came to; raises what it raised."""
        self._ended.wait()
        if self.error is not None:
            raise self.error
        return self._result[0]

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._ended.is_set()

    def run(self) -> None:
        """Do the work in this thread; never raises."""
        while not self._ended.is_set():
            try:
                self._do()
            except BaseException as error:  # an interrupt can also come when the work is done: then it's too late
                self.error = self.error or (None if self._result else error)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the work, if it is being done."""
        with self._lock:
            if self._thread:
                _interrupt(self._thread)

    def _do(self) -> None:
        """Do the work, unless it was begun already, and say that it is over."""
        work, self._work = self._work, None
        if work is not None:
            with self._lock:
                self._thread = threading.get_ident()
            self._result.append(work())
        with self._lock:  # an interrupt that was sent before is raised here or in the next line
            self._thread = 0
        self._ended.set()


class Crew:
    """Tasks of which none is any use without the others. Use it as a context manager: its end waits for all.

    Where it isn't `parallel`, each task is done at once by whoever starts it.
    """

    def __init__(self, *, parallel: bool = True) -> None:
        self._parallel = parallel
        self._changed = threading.Condition()
        self._tasks: list[Task[Any]] = []
        self._failure: BaseException | None = None
        self._stopping = False

    def start(self, work: Callable[[], T]) -> Task[T]:
        """Begin some work; any thread may. Raises what it raises where it is done at once."""
        task = Task(work)
        self.begin(task)
        return task

    def begin(self, task: Task[T]) -> None:
        """As `start`, for a task that is there already."""
        if not self._parallel:
            task.run()
            task.result()
            return
        with self._changed:
            if self._stopping:
                raise KeyboardInterrupt
            self._tasks.append(task)
        threading.Thread(target=self._run, args=(task,), daemon=True).start()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended_by = self._wait(stop=error is not None) or self._failure
        if error is None and ended_by is not None:
            raise ended_by

    def _wait(self, *, stop: bool) -> KeyboardInterrupt | None:
        """Wait for the end of all tasks, which an interrupt or a failure brings about; the interrupt, if one came."""
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                if stop:
                    self._stop()
                    stop = False
                with self._changed:
                    self._changed.wait_for(lambda: self._all_ended() or (self._failure is not None))
                if not self._all_ended() and not self._stopping:
                    self._stop()
                with self._changed:
                    self._changed.wait_for(self._all_ended)
                return interrupt
            except KeyboardInterrupt as another:
                interrupt, stop = another, True

    def _all_ended(self) -> bool:
        return all(task.ended for task in self._tasks)

    def _stop(self) -> None:
        """Interrupt what is being done; a second time, what takes its time to end."""
        with self._changed:
            self._stopping = True
        for task in self._tasks:
            task.interrupt()

    def _run(self, task: Task[T]) -> None:
        task.run()
        with self._changed:
            self._failure = self._failure or task.error
            self._changed.notify_all()


class KeyLocks:
    """A lock for each key, there as long as somebody holds or wants it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, list[int]]] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the key's lock until the end of the block."""
        with self._guard:
            lock, users = self._locks.setdefault(key, (threading.Lock(), []))
            users.append(threading.get_ident())
        try:
            while not lock.acquire(timeout=_LOOK_UP_S):  # no interrupt ends a thread's waiting
                pass
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._guard:
                users.pop()
                if not users:
                    self._locks.pop(key, None)


def _interrupt(thread: int) -> None:
    """Raise KeyboardInterrupt in the thread with this identifier at its next bytecode.

    It can't be called off: with NULL for an exception CPython 3.11 looks for one forever, and hangs where it is traced.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
