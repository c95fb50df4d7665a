from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from dockmagic.builder.crew import Crew, KeyLocks, Task

PATIENCE_S = 10.0


def busy() -> None:
    """Work that ends with an interrupt only."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        time.sleep(0.001)
    raise AssertionError("nobody interrupted it")


def carry_out(crew: Crew, *tasks: Task[None], then: Callable[[], None] = lambda: None) -> None:
    """Have a crew do these tasks, and something else meanwhile."""
    with crew:
        for task in tasks:
            crew.begin(task)
        then()


def interrupt_when(begun: threading.Barrier) -> None:
    """What Ctrl-C does, once all are at work."""
    begun.wait()
    raise KeyboardInterrupt


def test_tasks_go_on_side_by_side() -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)
    with Crew() as crew:
        tasks = [crew.start(both.wait) for _ in range(2)]
    assert sorted(task.result() for task in tasks) == [0, 1]


def test_a_task_can_wait_for_another_and_start_one() -> None:
    with Crew() as crew:
        first = crew.start(lambda: 20)
        second = crew.start(lambda: first.result() + crew.start(lambda: 2).result())
    assert second.result() == 22


def test_without_threads_each_is_done_at_once() -> None:
    done: list[str] = []
    with Crew(parallel=False) as crew:
        crew.start(lambda: done.append(threading.current_thread().name))
        assert done == [threading.current_thread().name]
        with pytest.raises(KeyError):
            crew.start(failing(KeyError("x")))


def failing(error: BaseException, after: threading.Event | None = None) -> Callable[[], None]:
    """Work that fails, once something has happened."""

    def work() -> None:
        if after is not None:
            assert after.wait(PATIENCE_S)
        raise error

    return work


def test_the_first_failure_ends_the_others() -> None:
    error, begun = ValueError("first"), threading.Event()

    def other() -> None:
        begun.set()
        busy()

    tasks = [Task(other), Task(failing(error, begun))]
    with pytest.raises(ValueError, match="first") as caught:
        carry_out(Crew(), *tasks)
    assert caught.value is error
    assert isinstance(tasks[0].error, KeyboardInterrupt)


def test_who_waits_for_what_failed_hears_the_reason() -> None:
    error = ValueError("first")
    first = Task(failing(error))
    second = Task(first.result)
    with pytest.raises(ValueError, match="first"):
        carry_out(Crew(), first, second)
    assert second.error is error


def test_nothing_is_started_any_more_when_all_is_ending() -> None:
    crew = Crew()
    begun = threading.Event()

    def late() -> None:
        begun.set()
        try:
            busy()
        except KeyboardInterrupt:
            crew.start(lambda: None)

    tasks = [Task(late), Task(failing(ValueError("first"), begun))]
    with pytest.raises(ValueError, match="first"):
        carry_out(crew, *tasks)
    assert isinstance(tasks[0].error, KeyboardInterrupt)


def test_an_interrupt_reaches_all() -> None:
    begun = threading.Barrier(3, timeout=PATIENCE_S)

    def work() -> None:
        begun.wait()
        busy()

    tasks = [Task(work), Task(work)]
    with pytest.raises(KeyboardInterrupt):
        carry_out(Crew(), *tasks, then=lambda: interrupt_when(begun))
    assert [type(task.error) for task in tasks] == [KeyboardInterrupt, KeyboardInterrupt]


def test_an_interrupt_that_comes_too_late_does_no_harm() -> None:
    for _ in range(300):
        task = Task(lambda: 1)
        thread = threading.Thread(target=task.run)
        thread.start()
        while not task.ended:
            task.interrupt()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert task.error is None or isinstance(task.error, KeyboardInterrupt)


def test_one_at_a_time_has_a_key() -> None:
    locks, inside, most = KeyLocks(), [0], [0]

    def work() -> None:
        for _ in range(50):
            with locks.hold("a"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1

    with Crew() as crew:
        for _ in range(4):
            crew.start(work)
    assert most == [1]


def test_other_keys_are_free() -> None:
    locks = KeyLocks()
    with locks.hold("a"), locks.hold("b"):
        pass
