from __future__ import annotations

import pytest

from dockmagic.errors import DockmagicError, InvalidOption, Unauthorized
from dockmagic.image.auth import Credentials
from tests.unit.commands.calling import call, reading
from tests.unit.commands.fakes import FakeConsole, FakeEngine

UNENCRYPTED = """
WARNING! Your credentials are stored unencrypted in '/home/ann/config.json'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/
"""


def test_what_is_not_given_is_asked_for() -> None:
    engine, console = FakeEngine(), FakeConsole()
    console.answers = [" ann ", "pass"]
    assert str(call(engine, "login", "r.example", console=console)) == "Login Succeeded"
    assert console.asked == [("Username: ", False), ("Password: ", True)]
    assert engine.accounts.calls == [("login", "r.example", "ann", "pass")]
    assert console.streams == {"stdout": b"", "stderr": UNENCRYPTED.encode()}


def test_docker_hub_is_the_default_and_says_what_it_wants() -> None:
    engine, console = FakeEngine(), FakeConsole()
    console.answers = ["ann", "pass"]
    call(engine, "registry", "login", console=console)
    assert console.streams["stdout"].startswith(b"Log in with your Docker ID or email address")
    assert engine.accounts.calls == [("login", "docker.io", "ann", "pass")]


def test_a_password_on_the_line_is_warned_of() -> None:
    engine, console = FakeEngine(), FakeConsole()
    engine.accounts.helper = "docker-credential-pass"
    call(engine, "login", "-u", "ann", "-p", "pass", "https://r.example/v2/", console=console)
    warning = b"WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n"
    assert console.streams == {"stdout": b"", "stderr": warning}
    assert engine.accounts.calls == [("login", "r.example", "ann", "pass")]


def test_what_the_environment_hides_is_warned_of() -> None:
    engine, console = FakeEngine(), FakeConsole()
    console.answers = ["ann", "pass"]
    engine.accounts.hidden = True
    call(engine, "login", "r.example", console=console)
    assert b"WARNING: DOCKER_AUTH_CONFIG is set and takes precedence.\n" in console.streams["stderr"]


@pytest.mark.parametrize("data", [b"pass", b"pass\n", b"pass\r\n"])
def test_a_password_from_standard_input(data: bytes) -> None:
    engine = FakeEngine()
    with reading(data) as console:
        call(engine, "login", "-u", "ann", "--password-stdin", "r.example", console=console)
    assert engine.accounts.calls == [("login", "r.example", "ann", "pass")]


@pytest.mark.parametrize(
    ("line", "data", "words"),
    [
        ("--password-stdin", b"x", "Must provide --username with --password-stdin"),
        ("-u ann -p x --password-stdin", b"x", "--password and --password-stdin are mutually exclusive"),
        ("-u ann --password-stdin", b"\n", "standard input is empty"),
        ("-u ann --password-stdin", b"\xff", "is no UTF-8"),
        ("-u ann --password-stdin", b"x" * 32769, "more than 32768 bytes"),
        ("a/b c", b"", "unexpected argument"),
        ("https://", b"", "is no registry"),
    ],
)
def test_lines_that_can_t_be_used(line: str, data: bytes, words: str) -> None:
    engine = FakeEngine()
    with reading(data) as console, pytest.raises(InvalidOption, match=words):
        call(engine, "login", *line.split(), console=console)
    assert engine.accounts.calls == []


def test_a_magic_has_no_standard_input() -> None:
    with pytest.raises(InvalidOption, match="leave it out, and the password is asked for"):
        call(FakeEngine(), "login", "-u", "ann", "--password-stdin")


def test_nobody_to_be_asked() -> None:
    with reading(b"") as console, pytest.raises(DockmagicError, match=r"from a non TTY device.* --password-stdin$"):
        call(FakeEngine(), "login", "-u", "ann", "r.example", console=console)
    with pytest.raises(DockmagicError, match=r"Error: Cannot perform an interactive login.*-p \{variable\}$"):
        call(FakeEngine(), "login", "r.example")


@pytest.mark.parametrize(
    ("answers", "words"), [([" "], "Non-null Username Required"), (["ann", ""], "Password Required")]
)
def test_an_empty_answer_is_none(answers: list[str], words: str) -> None:
    console = FakeConsole()
    console.answers = answers
    with pytest.raises(DockmagicError, match=f"Error: {words}"):
        call(FakeEngine(), "login", "r.example", console=console)


def test_what_is_known_is_tried_first() -> None:
    engine, console = FakeEngine(), FakeConsole()
    engine.accounts.known = {"r.example": Credentials("ann", "pass")}
    assert str(call(engine, "login", "r.example", console=console)) == "Login Succeeded"
    assert console.streams == {
        "stdout": b"Authenticating with existing credentials... [Username: ann]\n",
        "stderr": b"",
    }
    assert engine.accounts.calls == [("login", "r.example", "", "")]


def test_another_is_asked_for_where_what_is_known_does_not_do() -> None:
    engine, console = FakeEngine(), FakeConsole()
    engine.accounts.known = {"r.example": Credentials("ann", "wrong")}
    console.answers = ["", "pass"]
    call(engine, "login", "r.example", console=console)
    assert console.asked[0] == ("Username (ann): ", False)
    assert console.streams["stderr"].startswith(b"Login did not succeed, error: the registry says no\n")
    assert engine.accounts.calls[-1] == ("login", "r.example", "ann", "pass")


def test_a_refusal_ends_the_command() -> None:
    engine = FakeEngine()
    with pytest.raises(Unauthorized, match="says no"):
        call(engine, "login", "-u", "ann", "-p", "wrong", "r.example")


def test_logging_out() -> None:
    engine, console = FakeEngine(), FakeConsole()
    engine.accounts.known = {"r.example": Credentials("ann", "pass")}
    assert str(call(engine, "logout", "r.example", console=console)) == "Removing login credentials for r.example"
    engine.accounts.elsewhere = ("/run/auth.json",)
    assert str(call(engine, "logout", "q.example", console=console)) == "Not logged in to q.example"
    note = b"WARNING: /run/auth.json still has credentials for q.example\n"
    assert console.streams["stderr"] == note
    assert engine.accounts.calls == [("logout", "r.example"), ("logout", "q.example")]
