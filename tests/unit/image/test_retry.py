from __future__ import annotations

from dockmagic.errors import RegistryError
from dockmagic.image.retry import Retry

PASSING = RegistryError("busy", passing=True)


def asks(wait_s: float) -> RegistryError:
    return RegistryError("busy", passing=True, wait_s=wait_s)


def test_pauses_double_and_differ_by_chance() -> None:
    retry = Retry(attempts=6, base_s=1.0, longest_s=60.0)
    for failures, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (5, 16.0)):
        pauses = {retry.pause_s(failures, PASSING) for _ in range(200)}
        assert len(pauses) > 100
        assert all(pause is not None and longest / 2 <= pause <= longest for pause in pauses)


def test_no_pause_is_longer_than_the_longest() -> None:
    pause = Retry(attempts=2000, base_s=1.0, longest_s=3.0).pause_s(1000, PASSING)
    assert pause is not None
    assert 1.5 <= pause <= 3.0


def test_tries_have_an_end() -> None:
    retry = Retry(attempts=3)
    assert retry.pause_s(2, PASSING) is not None
    assert retry.pause_s(3, PASSING) is None
    assert Retry(attempts=1).pause_s(1, PASSING) is None


def test_what_doesn_t_pass_isn_t_tried_again() -> None:
    assert Retry().pause_s(1, RegistryError("no")) is None


def test_the_registry_s_word_counts_as_long_as_it_is_bearable() -> None:
    retry = Retry(attempts=3, longest_s=10.0)
    assert retry.pause_s(1, asks(0.0)) == 0.0
    assert retry.pause_s(2, asks(10.0)) == 10.0
    assert retry.pause_s(1, asks(10.5)) is None
    assert retry.pause_s(3, asks(0.0)) is None
