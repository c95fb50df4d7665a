"""Registries that ask who we are: passwords, tokens, certificates; and skopeo and podman, which share our files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.accounts import Accounts
from dockmagic.image.auth import Credentials
from dockmagic.image.bootstrap import bootstrap_busybox
from dockmagic.image.exchange import expect
from dockmagic.image.registries import Registries
from dockmagic.image.registry import RegistryClient
from dockmagic.image.token import scope
from dockmagic.oci.reference import Reference
from tests.integration.accounts import Authority, Proxy, TokenServer, authority, htpasswd, token_server
from tests.integration.registry_fixture import Registry, make_layout, running_registry, skopeo, state_root

pytestmark = [pytest.mark.root, pytest.mark.needs("docker-registry", "skopeo", "podman")]

PROGRAM = [sys.executable, "-m", "dockmagic"]
ANN = ("--dest-creds", "ann:pass:word")
DENIED = "access denied for {}/team/app, repository does not exist or may require 'docker login'"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with state_root(tmp_path_factory.mktemp("origin")) as root:
        image = bootstrap_busybox(root.store, root.snapshots)
        return make_layout(image, root.store, tmp_path_factory.mktemp("layout"))


@pytest.fixture(scope="module")
def guarded(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with passwords that has team/app:1."""
    directory = tmp_path_factory.mktemp("guarded")
    with running_registry(directory, auth=htpasswd(directory)) as registry:
        registry.push(layout, "team/app", "1", *ANN)
        yield registry


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    with token_server(tmp_path_factory.mktemp("tokens")) as server:
        yield server


@pytest.fixture(scope="module")
def tokened(tokens: TokenServer, layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with tokens that has team/app:1."""
    with running_registry(tmp_path_factory.mktemp("tokened"), auth=tokens.auth) as registry:
        registry.push(layout, "team/app", "1", *ANN)
        yield registry


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mutual(certificates: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that asks for a client's certificate, and is also called registry.example."""
    tls = certificates.tls("127.0.0.1", "registry.example", mutual=True)
    with running_registry(tmp_path_factory.mktemp("mutual"), tls=tls) as registry:
        yield registry


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for docker/config.json and podman's auth.json, which the environment names; no proxies."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.delenv("DOCKER_AUTH_CONFIG", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return tmp_path


@pytest.fixture
def accounts(files: Path) -> Accounts:
    return Accounts(Registries, os.environ, files)


@contextmanager
def client(accounts: Accounts, registries: Registries | None = None) -> Iterator[RegistryClient]:
    with closing(RegistryClient(credentials_of=accounts.find, registries=registries or Registries())) as opened:
        yield opened


def app(registry: Registry) -> Reference:
    return Reference.parse(f"{registry.host}/team/app:1")


def read(accounts: Accounts, registry: Registry, registries: Registries | None = None) -> None:
    """Read the manifest of the registry's image."""
    with client(accounts, registries) as opened:
        assert opened.manifest(app(registry)).data


def start_upload(accounts: Accounts, registry: Registry) -> None:
    """Begin an upload, which needs the right to push."""
    with client(accounts) as opened:
        endpoint = opened.exchange.endpoints.home(registry.host, opened.exchange.transport)
        url = f"{endpoint.base}/v2/team/app/blobs/uploads/"
        answer = opened.exchange.send(endpoint, (scope("team/app", "pull,push"),), "POST", url, {})
        expect(answer, (202,), app(registry), "upload", "push").close()


def run(*command: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


def test_from_login_to_pull_to_logout(guarded: Registry, files: Path, state_root: Path) -> None:
    """The terminal's door, in words that are Docker's."""
    name = f"{guarded.host}/team/app:1"
    denied = run(*PROGRAM, "pull", name)
    assert denied.returncode == 1
    assert f"pull {DENIED.format(guarded.host)}" in denied.stderr
    done = run(*PROGRAM, "login", "-u", "ann", "--password-stdin", guarded.host, text="pass:word\n")
    assert (done.returncode, done.stdout) == (0, "Login Succeeded\n")
    assert f"stored unencrypted in '{files}/docker/config.json'" in done.stderr
    assert run(*PROGRAM, "pull", "-q", name).returncode == 0
    assert run(*PROGRAM, "login", guarded.host).stdout == (
        "Authenticating with existing credentials... [Username: ann]\nLogin Succeeded\n"
    )
    gone = run(*PROGRAM, "logout", guarded.host)
    assert (gone.returncode, gone.stdout) == (0, f"Removing login credentials for {guarded.host}\n")
    assert json.loads((files / "docker/config.json").read_text()) == {"auths": {}}


def test_a_terminal_is_asked_and_shows_no_password(guarded: Registry, files: Path, state_root: Path) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "login", guarded.host], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = ""
    for prompt, answer in (("Username: ", "ann\n"), ("Password: ", "wrong\n")):
        while not shown.endswith(prompt):
            shown += os.read(ours, 1024).decode()
        os.write(ours, answer.encode())
    with suppress(OSError):  # the terminal's end
        while data := os.read(ours, 1024):
            shown += data.decode()
    os.close(ours)
    assert process.wait(10) == 1
    assert "ann" in shown
    assert "failed: unauthorized: incorrect username or password" in shown
    assert "wrong" not in shown


def test_without_a_terminal_nobody_is_asked(guarded: Registry, files: Path, state_root: Path) -> None:
    done = run(*PROGRAM, "login", guarded.host)
    assert done.returncode == 1
    assert "Error: Cannot perform an interactive login from a non TTY device" in done.stderr


def test_skopeo_and_podman_read_what_we_write(guarded: Registry, accounts: Accounts, files: Path) -> None:
    accounts.login(guarded.host, "ann", "pass:word")
    file = files / "docker/config.json"
    image = f"docker://{guarded.host}/team/app:1"
    assert json.loads(skopeo("inspect", "--tls-verify=false", "--authfile", str(file), image))["Name"]
    assert run("podman", "login", "--get-login", "--authfile", file, guarded.host).stdout == "ann\n"
    done = run("skopeo", "logout", "--authfile", file, guarded.host)
    assert done.returncode == 0, done.stderr
    assert accounts.find(guarded.host) is None


def test_we_read_what_skopeo_and_podman_write(guarded: Registry, accounts: Accounts, files: Path) -> None:
    with pytest.raises(Unauthorized, match="pull access denied"):
        read(accounts, guarded)
    words = ("--tls-verify=false", "-u", "ann", "--password-stdin", "--authfile", str(files / "auth.json"))
    for program, name in (("skopeo", guarded.host), ("podman", f"{guarded.host}/team")):
        done = run(program, "login", *words, name, text="pass:word")
        assert done.returncode == 0, done.stderr
        assert json.loads((files / "auth.json").read_text())["auths"].keys() == {name}
        read(accounts, guarded)
        assert (accounts.find(guarded.host) is None) is ("/" in name)
        assert accounts.logout(guarded.host).elsewhere == (() if "/" in name else (str(files / "auth.json"),))
        (files / "auth.json").unlink()


@pytest.fixture
def password_store(files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty store of pass, with a key that needs no passphrase."""
    (files / "gnupg").mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(files / "gnupg"))
    monkeypatch.setenv("PASSWORD_STORE_DIR", str(files / "passwords"))
    key = ("--quick-generate-key", "tests@tests.example", "future-default", "default", "never")
    try:
        for command in (
            ("gpg", "--batch", "--quiet", "--passphrase", "", *key),
            ("pass", "init", "tests@tests.example"),
        ):
            done = run(*command)
            assert done.returncode == 0, done.stderr
        yield
    finally:
        run("gpgconf", "--kill", "all")


@pytest.mark.needs("docker-credential-pass", "pass", "gpg")
def test_a_real_helper_keeps_credentials(
    guarded: Registry, accounts: Accounts, files: Path, password_store: None
) -> None:
    (files / "docker").mkdir()
    file = files / "docker/config.json"
    file.write_text('{\n  "credsStore": "pass"\n}\n')
    assert accounts.find(guarded.host) is None
    assert accounts.login(guarded.host, "ann", "pass:word").helper == "docker-credential-pass"
    assert json.loads(file.read_text()) == {"credsStore": "pass", "auths": {guarded.host: {}}}
    assert accounts.find(guarded.host) == Credentials("ann", "pass:word")
    read(accounts, guarded)
    assert accounts.logout(guarded.host).removed
    assert not accounts.logout(guarded.host).removed
    with pytest.raises(Unauthorized, match="pull access denied"):
        read(accounts, guarded)


def test_anybody_pulls_with_a_token_and_only_who_logged_in_pushes(
    tokened: Registry, tokens: TokenServer, accounts: Accounts
) -> None:
    read(accounts, tokened)
    with pytest.raises(Unauthorized, match="unauthorized: authentication required; log in"):
        start_upload(accounts, tokened)
    accounts.login(tokened.host, "ann", "pass:word")
    start_upload(accounts, tokened)
    (asked,) = tokens.asked[-1].query["scope"]  # the registry names them in any order
    assert asked in ("repository:team/app:pull,push", "repository:team/app:push,pull")
    assert tokens.asked[-1].query["account"] == ["ann"]


def test_a_wrong_password_is_named(tokened: Registry, accounts: Accounts) -> None:
    with pytest.raises(Unauthorized, match=r"login to .* failed: unauthorized: .*incorrect username or password"):
        accounts.login(tokened.host, "ann", "wrong")
    with closing(RegistryClient(credentials_of=lambda name: Credentials("ann", "wrong"))) as opened:
        with pytest.raises(Unauthorized, match="the token server refused us for repository:team/app:pull; check"):
            opened.manifest(app(tokened))


def test_an_identity_token_stands_for_the_password(
    tokened: Registry, tokens: TokenServer, accounts: Accounts, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "gives_identity_tokens", True)
    accounts.login(tokened.host, "ann", "pass:word")
    entry = json.loads((files / "docker/config.json").read_text())["auths"][tokened.host]
    assert entry["identitytoken"] in tokens.identity_tokens
    assert "pass:word" not in str(accounts.find(tokened.host))
    start_upload(accounts, tokened)
    assert tokens.asked[-1].method == "POST"
    image = f"docker://{tokened.host}/team/app:1"
    assert skopeo("inspect", "--tls-verify=false", "--authfile", str(files / "docker/config.json"), image)
    tokens.identity_tokens.clear()
    with pytest.raises(Unauthorized, match="'docker login' again"):
        start_upload(accounts, tokened)


def test_an_expired_token_is_renewed_once(
    tokened: Registry, tokens: TokenServer, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = len(tokens.asked)
    with client(accounts) as opened:
        opened.manifest(app(tokened))
        opened.manifest(app(tokened))
        assert len(tokens.asked) == asked + 1
        hour = time.monotonic() + 3600
        monkeypatch.setattr("dockmagic.image.token.time", SimpleNamespace(monotonic=lambda: hour))
        opened.manifest(app(tokened))
        assert len(tokens.asked) == asked + 2
    with client(accounts) as opened:
        monkeypatch.setattr(tokens, "lifetimes_s", [-120, 300])
        with pytest.raises(Unauthorized, match="pull access denied"):
            opened.manifest(app(tokened))
        opened.manifest(app(tokened))


def test_a_registry_that_is_never_content_ends_with_an_error(
    tokened: Registry, tokens: TokenServer, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "lifetimes_s", [-120])
    asked = len(tokens.asked)
    with pytest.raises(Unauthorized, match=f"pull {DENIED.format(tokened.host)} .*: 401"):
        read(accounts, tokened)
    assert len(tokens.asked) == asked + 1


def test_a_client_s_certificate_lets_us_in(
    mutual: Registry, certificates: Authority, layout: Path, accounts: Accounts, tmp_path: Path
) -> None:
    skopeo(
        "copy", "--dest-cert-dir", str(certificates.directory), f"oci:{layout}:image", f"docker://{mutual.host}/team/app:1"
    )  # fmt: skip
    read(accounts, mutual, Registries(certificates={mutual.host: str(certificates.directory)}))
    without = Registries(certificates={mutual.host: str(certificates.without_client(tmp_path / "without"))})
    with pytest.raises(RegistryError, match=r"no TLS with .*if it wants a certificate of ours, put client\.cert and"):
        read(accounts, mutual, without)
    stranger = Registries(certificates={mutual.host: str(authority(tmp_path / "stranger").directory)})
    with pytest.raises(RegistryError, match=r"identity of .* can't be verified .*put its certificate authority in"):
        read(accounts, mutual, stranger)


def test_docker_s_directory_of_certificates_counts(
    mutual: Registry, certificates: Authority, layout: Path, accounts: Accounts
) -> None:
    skopeo(
        "copy", "--dest-cert-dir", str(certificates.directory), f"oci:{layout}:image", f"docker://{mutual.host}/team/app:1"
    )  # fmt: skip
    made = [path for path in (Path("/etc/docker"), Path("/etc/docker/certs.d")) if not path.exists()]
    place = Path("/etc/docker/certs.d") / mutual.host
    try:
        place.mkdir(parents=True)
        for name in ("ca.crt", "client.cert", "client.key"):
            shutil.copy(certificates.directory / name, place)
        read(accounts, mutual)
    finally:
        shutil.rmtree(place)
        for path in reversed(made):
            path.rmdir()


def test_https_goes_through_the_proxy_to_a_registry_elsewhere(
    mutual: Registry, certificates: Authority, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries = Registries(certificates={"registry.example": str(certificates.directory)})
    elsewhere = Accounts(lambda: registries, os.environ, Path("/nowhere"))
    with Proxy(mutual.host).running() as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:secret@{proxy.host}")
        elsewhere.login("registry.example", "ann", "pass")
        assert set(proxy.asked) == {("CONNECT", "registry.example:443")}
        assert proxy.authorizations[0].startswith("Basic ")
        asked = len(proxy.asked)
        with client(accounts, Registries(certificates={mutual.host: str(certificates.directory)})) as opened:
            with pytest.raises(RegistryError, match="not found"):
                opened.manifest(Reference.parse(f"{mutual.host}/nothing:1"))
        assert len(proxy.asked) == asked
    with pytest.raises(RegistryError, match=r"the proxy to registry\.example can't be used") as caught:
        elsewhere.login("registry.example", "ann", "pass")
    assert "secret" not in str(caught.value)


def test_http_goes_through_the_proxy_where_it_is_allowed(
    guarded: Registry, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries = Registries(insecure=frozenset({"registry.example"}))
    elsewhere = Accounts(lambda: registries, os.environ, files)
    with Proxy(guarded.host).running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.host)
        elsewhere.login("http://registry.example", "ann", "pass:word")
        assert set(proxy.asked) == {("GET", "http://registry.example/v2/")}
        monkeypatch.setenv("NO_PROXY", ".example")
        with pytest.raises(RegistryError, match=r"registry\.example can't be reached"):
            elsewhere.login("registry.example", "ann", "pass:word")
