from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from dockmagic.errors import DockmagicError, InvalidOption
from dockmagic.image.auth import Credentials
from dockmagic.image.auth_file import AuthFile
from tests.unit.image.helpers import make_helper

ANN = Credentials("ann", "pass")


def auth_file(tmp_path: Path, auths: Any, *, namespaced: bool = False, **others: Any) -> AuthFile:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": auths, **others}))
    return AuthFile(path, namespaced=namespaced)


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("namespaced", [False, True])
@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("registry.example:5000", "registry.example:5000"),
        ("https://registry.example:5000/v2/", "registry.example:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_an_entry_is_found_by_host(tmp_path: Path, key: str, registry: str, namespaced: bool) -> None:
    file = auth_file(
        tmp_path, {"other.example": encoded("eve:x"), key: encoded("ann:pass:word")}, namespaced=namespaced
    )
    assert file.find(registry) == Credentials("ann", "pass:word")


def test_plain_fields_and_tokens_count(tmp_path: Path) -> None:
    auths = {
        "a": {"username": "u", "password": "p"},
        "b": {"identitytoken": "t"},
        "c": {},
        "d": {**encoded("ann:"), "identitytoken": "t"},
        "e": {"registrytoken": "t"},
    }
    file = auth_file(tmp_path, auths)
    assert file.find("a") == Credentials("u", "p")
    assert file.find("b") == Credentials(identity_token="t")
    assert file.find("c") is None
    assert file.find("d") == Credentials("ann", "", "t")
    assert file.find("e") == Credentials(registry_token="t")


def test_a_path_in_a_key_counts_for_podman_only(tmp_path: Path) -> None:
    auths = {"r.example/team": encoded("team:x"), "r.example/team/app": encoded("ann:pass")}
    podman = auth_file(tmp_path, auths, namespaced=True)
    assert podman.find("r.example/team/app") == ANN
    assert podman.find("r.example/team") == Credentials("team", "x")
    assert podman.find("r.example/other") is None
    assert podman.find("r.example") is None
    assert auth_file(tmp_path, {"r.example/v2/": encoded("ann:pass")}).find("r.example") == ANN


def test_no_file_or_no_entry_means_no_credentials(tmp_path: Path) -> None:
    assert AuthFile(tmp_path / "absent/config.json").find("a") is None
    assert auth_file(tmp_path, []).find("a") is None
    assert auth_file(tmp_path, {"b": encoded("x:y")}).find("a") is None


@pytest.mark.parametrize(
    "text", ["{", "\ufffe", '{"auths": {"a": {"auth": "%%"}}}', '{"auths": {"a": {"auth": "/w=="}}}']
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-16" if text == "\ufffe" else "utf-8"))
    with pytest.raises(InvalidOption, match=r"config\.json"):
        AuthFile(path).find("a")


def test_an_entry_is_written_as_docker_does(tmp_path: Path) -> None:
    file = auth_file(tmp_path, {"https://r.example": encoded("old:x"), "r.example/team": encoded("team:x")}, other=[1])
    file.store("r.example", ANN)
    file.store("docker.io", Credentials("ann", "not kept", "identity"))
    assert json.loads(file.path.read_text()) == {
        "auths": {
            "r.example/team": encoded("team:x"),
            "r.example": encoded("ann:pass"),
            "https://index.docker.io/v1/": {**encoded("ann:"), "identitytoken": "identity"},
        },
        "other": [1],
    }
    assert file.find("docker.io") == Credentials("ann", "", "identity")


def test_erasing_says_whether_there_was_something(tmp_path: Path) -> None:
    file = auth_file(tmp_path, {"https://r.example/v2/": encoded("old:x"), "q.example": encoded("x:y")})
    assert file.erase("r.example")
    assert not file.erase("r.example")
    assert json.loads(file.path.read_text()) == {"auths": {"q.example": encoded("x:y")}}
    absent = AuthFile(tmp_path / "absent/config.json")
    assert not absent.erase("r.example")
    assert not absent.path.parent.exists()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the helper "test", which is in PATH, keeps."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return make_helper(tmp_path / "bin")


def test_a_store_keeps_what_the_file_then_only_names(tmp_path: Path, kept: Path) -> None:
    file = auth_file(tmp_path, {"r.example": encoded("in:file")}, credsStore="test")
    assert file.find("r.example") is None
    assert file.find("r.example/team") is None
    file.store("r.example", ANN)
    file.store("docker.io", ANN)
    assert json.loads(kept.read_text()).keys() == {"r.example", "https://index.docker.io/v1/"}
    assert json.loads(file.path.read_text())["auths"] == {"r.example": {}, "https://index.docker.io/v1/": {}}
    assert file.find("docker.io") == ANN
    assert file.erase("docker.io")
    assert not file.erase("docker.io")
    assert json.loads(kept.read_text()).keys() == {"r.example"}


def test_a_registry_is_forgotten_by_all_its_names(tmp_path: Path, kept: Path) -> None:
    entry = {"Username": "ann", "Secret": "pass"}
    kept.write_text(json.dumps({"https://r.example": entry, "r.example": entry, "q.example": entry}))
    file = AuthFile(tmp_path / "config.json")
    file.path.write_text('{"credsStore": "test"}')
    assert file.erase("r.example")
    assert json.loads(kept.read_text()).keys() == {"q.example"}


def test_a_helper_that_can_t_list_is_asked_by_name(tmp_path: Path, kept: Path) -> None:
    program = kept.parent / "docker-credential-test"
    program.write_text(
        program.read_text()
        .replace('== "list"', '== "no list"')
        .replace("kept.write", "action == 'list' and fail('no'); kept.write")
    )
    file = AuthFile(tmp_path / "config.json")
    file.path.write_text('{"credsStore": "test"}')
    file.store("r.example", ANN)
    assert file.erase("r.example")
    assert not file.erase("r.example")


def test_a_helper_of_one_registry_goes_first(tmp_path: Path, kept: Path) -> None:
    helpers = {"r.example": "test", "plain.example": ""}
    file = auth_file(tmp_path, {"plain.example": encoded("in:file")}, credHelpers=helpers, credsStore="missing")
    file.store("r.example", ANN)
    assert file.find("r.example") == ANN
    assert file.find("plain.example") == Credentials("in", "file")
    with pytest.raises(DockmagicError, match=r"docker-credential-missing isn't in PATH.*credsStore in .*config\.json"):
        file.find("other.example")
