from __future__ import annotations

import pytest

from dockmagic.image.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ("=;;", ()),
        ("Basic", (Challenge("basic", {}),)),
        ('Basic realm="a b"', (Challenge("basic", {"realm": "a b"}),)),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
            (Challenge("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"}),),
        ),
        ('BEARER  Realm = "x" , Scope=y', (Challenge("bearer", {"realm": "x", "scope": "y"}),)),
        ('Negotiate, Basic realm="r"', (Challenge("negotiate", {}), Challenge("basic", {"realm": "r"}))),
        ('Negotiate ab+/c==, Basic realm="r"', (Challenge("negotiate", {}), Challenge("basic", {"realm": "r"}))),
        ('Basic realm="q\\"q"', (Challenge("basic", {"realm": 'q"q'}),)),
    ],
)
def test_challenges_are_read_in_order(header: str, expected: tuple[Challenge, ...]) -> None:
    assert parse_challenges(header) == expected
