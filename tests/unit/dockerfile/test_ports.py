from __future__ import annotations

import pytest

from dockmagic.dockerfile.ports import exposed_ports


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ()),
        (["80"], ("80/tcp",)),
        (["80/"], ("80/tcp",)),
        (["53/udp", "53/UDP", "53/tcp"], ("53/tcp", "53/udp")),
        (["9/sctp"], ("9/sctp",)),
        (["8000-8002"], ("8000/tcp", "8001/tcp", "8002/tcp")),
        (["80-80/udp"], ("80/udp",)),
        (["8080:80"], ("80/tcp",)),
        (["127.0.0.1:8080:80/udp"], ("80/udp",)),
        (["[::1]:80:81"], ("81/tcp",)),
        (["100", "99"], ("100/tcp", "99/tcp")),
        (["1", "65535"], ("1/tcp", "65535/tcp")),
    ],
)
def test_ports_that_are_exposed(words: list[str], expected: tuple[str, ...]) -> None:
    assert exposed_ports(words) == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", "invalid containerPort: ;"),
        ("http", "invalid containerPort: http"),
        ("0", "invalid containerPort: 0"),
        ("65536", "invalid containerPort: 65536"),
        ("-1", "invalid containerPort: -1"),
        ("1-", "invalid containerPort: 1-"),
        ("1-2-3", "invalid containerPort: 1-2-3"),
        ("٣", "invalid containerPort: ٣"),
        ("80/http", "invalid proto: http; use tcp, udp or sctp"),
        ("90-80", "invalid range: 90-80"),
        ("8080:", "invalid containerPort: 8080:"),
        ("9" * 5000, "invalid containerPort: 9999"),
    ],
)
def test_words_that_are_no_ports(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exposed_ports(["80", word])
