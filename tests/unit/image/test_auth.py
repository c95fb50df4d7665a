from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.image.auth import Challenge, Credentials, docker_config_path, parse_challenges, read_credentials


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


def test_the_config_is_where_docker_keeps_it(tmp_path: Path) -> None:
    assert docker_config_path({}, tmp_path) == tmp_path / ".docker/config.json"
    assert docker_config_path({"DOCKER_CONFIG": "/elsewhere"}, tmp_path) == Path("/elsewhere/config.json")


def config(tmp_path: Path, auths: Any) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": auths}))
    return path


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("registry.example:5000", "registry.example:5000"),
        ("https://registry.example:5000/v2/", "registry.example:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_an_entry_is_found_by_host(tmp_path: Path, key: str, registry: str) -> None:
    path = config(tmp_path, {"other.example": encoded("eve:x"), key: encoded("ann:pass:word")})
    assert read_credentials(path, registry) == Credentials("ann", "pass:word")


def test_plain_fields_and_identity_tokens_count(tmp_path: Path) -> None:
    path = config(tmp_path, {"a": {"username": "u", "password": "p"}, "b": {"identitytoken": "t"}, "c": {}})
    assert read_credentials(path, "a") == Credentials("u", "p")
    assert read_credentials(path, "b") == Credentials(identity_token="t")
    assert read_credentials(path, "c") is None


def test_no_file_or_no_entry_means_no_credentials(tmp_path: Path) -> None:
    assert read_credentials(tmp_path / "absent/config.json", "a") is None
    assert read_credentials(config(tmp_path, []), "a") is None
    assert read_credentials(config(tmp_path, {"b": encoded("x:y")}), "a") is None


def test_secrets_stay_out_of_representations() -> None:
    assert "secret" not in repr(Credentials("ann", "secret", "secret"))


@pytest.mark.parametrize(
    "text", ["{", "\ufffe", '{"auths": {"a": {"auth": "%%"}}}', '{"auths": {"a": {"auth": "/w=="}}}']
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-16" if text == "\ufffe" else "utf-8"))
    with pytest.raises(InvalidOption, match=r"config\.json"):
        read_credentials(path, "a")
