from __future__ import annotations

import pytest

from dockmagic.builder.credentials import git_authorization, git_scope, url_authorization
from dockmagic.errors import BuildError

BASIC = "Basic eC1hY2Nlc3MtdG9rZW46dA=="  # x-access-token:t


@pytest.mark.parametrize(
    ("secrets", "shown"),
    [
        ({}, ""),
        ({"HTTP_AUTH_TOKEN_example.com": b"t\n"}, "Bearer t"),
        ({"HTTP_AUTH_HEADER_example.com": b"Digest x"}, "Digest x"),
        ({"HTTP_AUTH_HEADER_example.com": b"Digest x", "HTTP_AUTH_TOKEN_example.com": b"t"}, "Bearer t"),
        ({"HTTP_AUTH_TOKEN_other.com": b"t", "HTTP_AUTH_TOKEN_": b"t", "GIT_AUTH_TOKEN": b"t"}, ""),
        ({"HTTP_AUTH_TOKEN_example.com": b""}, ""),
    ],
)
def test_what_a_url_is_shown(secrets: dict[str, bytes], shown: str) -> None:
    assert url_authorization("https://me:pw@Example.com:8443/a", secrets) == shown


@pytest.mark.parametrize(
    ("secrets", "shown"),
    [
        ({}, ""),
        ({"GIT_AUTH_TOKEN": b"t\n"}, BASIC),
        ({"GIT_AUTH_HEADER": b"Bearer h", "GIT_AUTH_TOKEN": b"t"}, "Bearer h"),
        ({"GIT_AUTH_HEADER": b"Bearer h", "GIT_AUTH_TOKEN.example.com:8443": b"t"}, BASIC),
        ({"GIT_AUTH_TOKEN": b"u", "GIT_AUTH_HEADER.example.com:8443": b"Bearer h"}, "Bearer h"),
        ({"GIT_AUTH_TOKEN.other.com": b"t", "HTTP_AUTH_TOKEN_example.com": b"t"}, ""),
    ],
)
def test_what_a_repository_is_shown(secrets: dict[str, bytes], shown: str) -> None:
    assert git_authorization("https://me@example.com:8443/a.git", secrets) == shown


def test_where_nothing_is_shown() -> None:
    assert git_authorization("git://example.com/a.git", {"GIT_AUTH_TOKEN": b"t"}) == ""


@pytest.mark.parametrize(
    ("remote", "scope"),
    [
        ("https://github.com/a/b.git", "https://github.com/"),
        ("https://example.com/a.git", "https://example.com/a.git"),
        ("https://github.com.example.com/a.git", "https://github.com.example.com/a.git"),
    ],
)
def test_how_far_it_goes(remote: str, scope: str) -> None:
    assert git_scope(remote) == scope


@pytest.mark.parametrize("content", [b"a\nX: b", b"a\0", b"\xff", "ä".encode()])
def test_secrets_that_no_header_can_have(content: bytes) -> None:
    with pytest.raises(BuildError, match=r"the secret HTTP_AUTH_TOKEN_a\.b has characters") as caught:
        url_authorization("https://a.b/", {"HTTP_AUTH_TOKEN_a.b": content})
    assert "X: b" not in str(caught.value)
