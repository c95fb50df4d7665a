from __future__ import annotations

import json
from pathlib import Path

import pytest

from dockmagic.errors import DockmagicError, InvalidOption
from dockmagic.image.auth import Credentials
from dockmagic.image.credential_helper import Helper
from tests.unit.image.helpers import make_helper

PLACE = "credsStore in config.json"


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of programs that is in PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return directory


def test_credentials_are_kept_and_given_and_forgotten(programs: Path) -> None:
    kept = make_helper(programs)
    helper = Helper("test", PLACE)
    assert helper.get("r.example") is None
    helper.store("r.example", Credentials("ann", "pass"))
    assert json.loads(kept.read_text()) == {"r.example": {"Username": "ann", "Secret": "pass"}}
    assert helper.get("r.example") == Credentials("ann", "pass")
    assert helper.list() == {"r.example": "ann"}
    helper.erase("r.example")
    helper.erase("r.example")
    assert helper.list() == {}


def test_an_empty_answer_is_none(programs: Path) -> None:
    make_helper(programs, "old", """#!/bin/sh\necho '{"ServerURL":"r.example","Username":"","Secret":""}'\n""")
    assert Helper("old", PLACE).get("r.example") is None


def test_an_identity_token_has_a_name_of_its_own(programs: Path) -> None:
    kept = make_helper(programs)
    Helper("test", PLACE).store("r.example", Credentials("ann", "", "a token"))
    assert json.loads(kept.read_text())["r.example"] == {"Username": "<token>", "Secret": "a token"}
    assert Helper("test", PLACE).get("r.example") == Credentials(identity_token="a token")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "ecr-login",
            r"docker-credential-ecr-login isn't in PATH; install it \(amazon-ecr-credential-helper\), or take",
        ),
        ("own", r"docker-credential-own isn't in PATH; install it, or take 'own' out of credsStore in config\.json"),
    ],
)
def test_a_missing_helper_says_what_to_do(name: str, words: str) -> None:
    with pytest.raises(DockmagicError, match=words):
        Helper(name, PLACE).get("r.example")


@pytest.mark.parametrize("name", ["", "../x", "a/b"])
def test_a_helper_is_no_path(name: str) -> None:
    with pytest.raises(InvalidOption, match=r"credsStore in config\.json: .* is no name of a credential helper"):
        Helper(name, PLACE)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo the keyring is locked; exit 1", "docker-credential-bad get: the keyring is locked"),
        ("echo oops >&2; exit 3", "docker-credential-bad get: oops"),
        ("exit 3", "docker-credential-bad get: exit status 3"),
        ("echo '{}'", "isn't what the protocol says"),
        ("echo no", "isn't what the protocol says"),
        ("printf '\\377'", "can't be used"),
        ("exec sleep 60", "no answer in 0.2 s; does it wait to be unlocked"),
    ],
)
def test_a_helper_that_fails_is_named(programs: Path, script: str, words: str) -> None:
    make_helper(programs, "bad", f"#!/bin/sh\n{script}\n")
    with pytest.raises(DockmagicError, match=words):
        Helper("bad", PLACE, timeout_s=0.2 if "sleep" in script else 10).get("r.example")


def test_a_program_that_is_none_is_named(programs: Path) -> None:
    make_helper(programs, "bad", "#!/nowhere\n")
    with pytest.raises(DockmagicError, match=r"docker-credential-bad list: can't be used \(.*No such file"):
        Helper("bad", PLACE).list()
