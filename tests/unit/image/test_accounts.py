from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption, RegistryError, Unauthorized
from dockmagic.image.accounts import Accounts, docker_config_path, podman_paths
from dockmagic.image.auth import Credentials
from dockmagic.image.registries import Registries
from tests.unit.image.fake_server import FakeServer, Reply, Request, serving
from tests.unit.image.helpers import make_helper

ANN = Credentials("ann", "pass")


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"DOCKER_CONFIG": str(tmp_path / "docker"), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}


@pytest.fixture
def accounts(environ: dict[str, str], tmp_path: Path) -> Accounts:
    return Accounts(Registries, environ, tmp_path)


def asks_basic(server: FakeServer, pair: str = "ann:pass") -> None:
    """Let the server ask for this name and password."""

    def answer(request: Request) -> Reply:
        known = request.headers.get("Authorization") == basic(pair)
        return Reply(200) if known else Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    server.routes["/v2/"] = answer


def asks_token(server: FakeServer, reply: Reply) -> None:
    """Let the server ask for the token "t", which another path gives with this reply."""

    def answer(request: Request) -> Reply:
        challenge = f'Bearer realm="{server.url}/token",service="s"'
        known = request.headers.get("Authorization") == "Bearer t"
        return Reply(200) if known else Reply(401, headers={"WWW-Authenticate": challenge})

    server.routes |= {"/v2/": answer, "/token": reply}


def test_where_the_files_are() -> None:
    home = Path("/home/a")
    assert docker_config_path({}, home) == home / ".docker/config.json"
    assert docker_config_path({"DOCKER_CONFIG": "/elsewhere"}, home) == Path("/elsewhere/config.json")
    assert podman_paths({"REGISTRY_AUTH_FILE": "/f"}, home, 7) == (Path("/f"),)
    own = home / ".config/containers/auth.json"
    assert podman_paths({}, home, 7) == (Path("/run/containers/7/auth.json"), own)
    assert podman_paths({"XDG_RUNTIME_DIR": "/r"}, home, 7) == (Path("/r/containers/auth.json"), own)


def test_docker_s_file_goes_before_podman_s(accounts: Accounts, tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text('{"auths": {"a.example": {"username": "d", "password": "p"}}}')
    others = {"a.example": {"username": "x", "password": "p"}, "b.example/team": {"username": "y", "password": "p"}}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": others}))
    assert accounts.find("a.example") == Credentials("d", "p")
    assert accounts.find("b.example/team") == Credentials("y", "p")
    assert accounts.find("b.example") is None


def test_the_environment_s_own_text_goes_before_files(
    environ: dict[str, str], tmp_path: Path, server: FakeServer
) -> None:
    asks_basic(server)
    auth = base64.b64encode(b"env:x").decode()
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {server.host: {"auth": auth}}})
    accounts = Accounts(Registries, environ, tmp_path)
    assert accounts.login(server.host, "ann", "pass").hidden
    assert accounts.find(server.host) == Credentials("env", "x")
    assert accounts.find("other.example") is None
    assert accounts.logout(server.host).elsewhere == ("DOCKER_AUTH_CONFIG",)
    environ["DOCKER_AUTH_CONFIG"] = "{"
    with pytest.raises(InvalidOption, match="DOCKER_AUTH_CONFIG: not JSON"):
        Accounts(Registries, environ, tmp_path).find(server.host)


def test_a_login_is_tried_and_kept(accounts: Accounts, server: FakeServer, tmp_path: Path) -> None:
    asks_basic(server)
    login = accounts.login(server.url, "ann", "pass")
    assert (login.server, login.username, login.helper) == (server.host, "ann", "")
    assert login.path == tmp_path / "docker/config.json"
    assert accounts.find(server.host) == ANN
    assert accounts.login(server.host).username == "ann"


def test_wrong_credentials_are_not_kept(accounts: Accounts, server: FakeServer, tmp_path: Path) -> None:
    asks_basic(server)
    with pytest.raises(
        Unauthorized, match=f"login to {server.host} failed: unauthorized: incorrect username or password"
    ):
        accounts.login(server.host, "ann", "wrong")
    asks_token(server, Reply(401, b'{"details": "incorrect username or password"}'))
    with pytest.raises(
        Unauthorized,
        match=rf"login to {server.host} failed: unauthorized: the token.*: 401, incorrect username or password\)",
    ):
        accounts.login(server.host, "ann", "wrong")
    assert not (tmp_path / "docker").exists()


def test_an_identity_token_is_kept_in_place_of_the_password(accounts: Accounts, server: FakeServer) -> None:
    asks_token(server, Reply(200, b'{"token": "t", "refresh_token": "identity"}'))
    accounts.login(server.host, "ann", "pass")
    asked = next(request for request in server.requests if request.path == "/token")
    assert asked.query == {
        "service": ["s"], "account": ["ann"], "client_id": ["dockmagic"], "offline_token": ["true"]
    }  # fmt: skip
    assert asked.headers["Authorization"] == basic("ann:pass")
    assert accounts.find(server.host) == Credentials("ann", "", "identity")
    assert accounts.login(server.host).username == "ann"
    assert next(request for request in reversed(server.requests) if request.path == "/token").method == "POST"
    assert accounts.find(server.host) == Credentials("ann", "", "identity")


def test_a_helper_keeps_a_login(
    accounts: Accounts, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    kept = make_helper(tmp_path / "bin")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text('{"credsStore": "test"}')
    asks_basic(server)
    assert accounts.login(server.host, "ann", "pass").helper == "docker-credential-test"
    assert json.loads(kept.read_text()) == {server.host: {"Username": "ann", "Secret": "pass"}}
    assert accounts.logout(server.host).removed
    assert json.loads(kept.read_text()) == {}


def test_what_is_no_registry_says_so(accounts: Accounts, server: FakeServer) -> None:
    with pytest.raises(RegistryError, match=f"{server.host} is no registry: there is nothing at {server.url}/v2/"):
        accounts.login(server.host, "ann", "pass")
    server.routes["/v2/"] = Reply(401, headers={"WWW-Authenticate": "Negotiate"})
    with pytest.raises(RegistryError, match=r"offers no way to log in that is known here \(Negotiate\)"):
        accounts.login(server.host, "ann", "pass")
    server.routes["/v2/"] = Reply(401, headers={"WWW-Authenticate": "Bearer"})
    with pytest.raises(RegistryError, match="asks for a token and doesn't say where"):
        accounts.login(server.host, "ann", "pass")


def test_a_password_goes_to_no_other_host(accounts: Accounts, server: FakeServer) -> None:
    with serving() as other:
        server.routes["/v2/"] = Reply(307, headers={"Location": f"{other.url}/v2/"})
        asks_basic(other)
        with pytest.raises(RegistryError, match=f"leads to {other.url}/v2/, another host, which gets no secrets"):
            accounts.login(server.host, "ann", "pass")
        assert all("Authorization" not in request.headers for request in other.requests)


def test_logging_out(accounts: Accounts, server: FakeServer, tmp_path: Path) -> None:
    asks_basic(server)
    accounts.login(server.host, "ann", "pass")
    assert accounts.logout(server.host).removed
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {server.host: {"username": "x", "password": "p"}}}))
    again = accounts.logout(server.host)
    assert (again.server, again.removed, again.elsewhere) == (server.host, False, (str(tmp_path / "auth.json"),))
