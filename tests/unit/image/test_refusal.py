from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from requests.structures import CaseInsensitiveDict

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.refusal import Refusal

DENIED = "pull access denied for app, repository does not exist or may require 'docker login'"


def error(
    status: int, code: str = "", headers: dict[str, str] | None = None, body: bytes | None = None
) -> RegistryError:
    errors = {"errors": [{"code": code, "message": "in the registry's words"}]}
    text = json.dumps(errors).encode() if body is None else body
    return Refusal("GET", "https://r.example/v2/x", status, headers or {}, text).error("app", "manifest for app:1")


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (401, "UNAUTHORIZED", Unauthorized, DENIED),
        (403, "DENIED", Unauthorized, DENIED),
        (404, "NAME_UNKNOWN", RegistryError, DENIED),
        (404, "MANIFEST_UNKNOWN", RegistryError, "manifest for app:1 not found; check the name and the tag"),
        (404, "BLOB_UNKNOWN", RegistryError, "lost a part of the image; push it again"),
        (500, "", RegistryError, "trouble of its own with the manifest for app:1; try again later"),
        (400, "TAG_INVALID", RegistryError, "the registry refused the manifest for app:1"),
    ],
)
def test_a_refusal_becomes_docker_s_words(status: int, code: str, kind: type[RegistryError], words: str) -> None:
    found = error(status, code)
    assert type(found) is kind
    assert words in str(found)
    assert str(found).endswith(f"(GET https://r.example/v2/x: {status}, in the registry's words)")
    assert (found.method, found.url, found.status, found.code) == ("GET", "https://r.example/v2/x", status, code)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"errors": []}', b'{"errors": ["x"]}', b"\xff"])
def test_a_body_that_is_not_the_specification_s_is_left_out(body: bytes) -> None:
    found = error(404, body=body)
    assert found.code == ""
    assert str(found).endswith("(GET https://r.example/v2/x: 404)")


def test_the_wait_is_named() -> None:
    assert "asks to wait 17 s" in str(error(429, headers={"Retry-After": "17"}))
    assert "asks to wait a while" in str(error(429))
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100))
    assert any(
        f"asks to wait {seconds} s" in str(error(429, headers={"Retry-After": later})) for seconds in (98, 99, 100)
    )
    assert "asks to wait 0 s" in str(error(429, headers={"X-Retry-After": "1700000000"}))
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1))
    assert "asks to wait 0 s" in str(error(429, headers={"Retry-After": past}))


def test_docker_hub_s_limits_are_named() -> None:
    headers = {
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": "0;w=21600",
        "docker-ratelimit-source": "192.0.2.7",
        "retry-after": "90",
    }
    refused = Refusal("GET", "https://r.example/v2/x", 429, CaseInsensitiveDict(headers), b"").error("app", "manifest")
    assert str(refused) == (
        "too many requests for app: it allows 192.0.2.7 100 in 6 h, of which none are left, and asks to wait 90 s; "
        "'docker login' or a mirror may help (GET https://r.example/v2/x: 429)"
    )
    assert (refused.passing, refused.wait_s) == (False, 90.0)
    del headers["docker-ratelimit-source"], headers["retry-after"]
    headers |= {"ratelimit-remaining": "7;w=21600"}
    refused = Refusal("GET", "https://r.example/v2/x", 429, CaseInsensitiveDict(headers), b"").error("app", "manifest")
    assert "it allows us 100 in 6 h, of which 7 are left, and asks to wait a while" in str(refused)
    assert refused.passing
