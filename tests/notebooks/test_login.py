"""Logging in from a notebook, whose front-end asks for the password."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks.kernel import Kernel, kernel
from tests.unit.image.fake_server import FakeServer, Reply, Request, serving

pytestmark = [pytest.mark.root, pytest.mark.notebook]

ANN = "Basic " + base64.b64encode(b"ann:s3cret").decode()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A registry that only Ann may use."""

    def answer(request: Request) -> Reply:
        known = request.headers.get("Authorization") == ANN
        return Reply(200) if known else Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    with serving() as server:
        server.routes["/v2/"] = answer
        yield server


@pytest.fixture
def notebook(state_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    with kernel(tmp_path) as started:
        yield started


def test_the_front_end_asks_and_nothing_keeps_the_password(
    notebook: Kernel, server: FakeServer, tmp_path: Path
) -> None:
    asked = []

    def answer(prompt: str, secret: bool) -> str:
        asked.append((prompt, secret))
        return "s3cret" if secret else "ann"

    nobody = notebook.run(f"%docker login {server.host}")
    assert "Error: Cannot perform an interactive login from a non TTY device" in nobody.error[0]
    output = notebook.run(f"%docker login {server.host}", answer=answer)
    assert (output.status, output.text) == ("ok", "Login Succeeded")
    assert asked == [("Username: ", False), ("Password: ", True)]
    assert "stored unencrypted" in output.stream("stderr")
    assert "s3cret" not in str(output.messages)
    assert "s3cret" not in notebook.run("%history\nprint(In, Out)").stream("stdout")
    assert server.host in json.loads((tmp_path / "docker/config.json").read_text())["auths"]
    again = notebook.run(f"%registry_login {server.host}")
    assert again.stream("stdout").startswith("Authenticating with existing credentials... [Username: ann]")
    gone = notebook.run(f"x = %registry_logout {server.host}\nprint(x)")
    assert gone.stream("stdout") == f"Removing login credentials for {server.host}\n"
    warned = notebook.run(f"word = 's3cret'\n%docker login -u ann -p {{word}} {server.host}")
    assert "WARNING! Using --password via the CLI is insecure" in warned.stream("stderr")
    assert warned.text == "Login Succeeded"
