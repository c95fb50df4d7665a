from __future__ import annotations

import pytest

from dockmagic.image.notices import MOST_NOTICES, Notices, warnings_of


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ("", ()),
        ('299 - "this is going away"', ("this is going away",)),
        (r'299 - "say \"hi\", \\ and bye", 299 - "two"', ('say "hi", \\ and bye', "two")),
        ('110 - "stale"', ()),
        ('299 proxy "not for users"', ()),
        ('299 - "no end', ()),
    ],
)
def test_only_what_is_meant_for_users_counts(header: str, texts: tuple[str, ...]) -> None:
    assert warnings_of(header) == texts


def test_each_is_passed_on_once_and_not_too_many() -> None:
    heard: list[tuple[str, str]] = []
    notices = Notices(lambda registry, message: heard.append((registry, message)))
    for _ in range(2):
        notices.take("r.example", '299 - "a"')
        notices.take("s.example", '299 - "a"')
    assert heard == [("r.example", "a"), ("s.example", "a")]
    for number in range(100):
        notices.take("r.example", f'299 - "{number}"')
    assert len(heard) == MOST_NOTICES
