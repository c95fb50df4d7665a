"""What guards a registry in tests: passwords, a token server, certificates, and a proxy before it."""

from __future__ import annotations

import base64
import json
import secrets
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import bcrypt
import trustme
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from tests.unit.image.fake_server import FakeServer, Reply, Request, serving

USERS: Mapping[str, str] = {"ann": "pass:word", "bob": "other"}
SERVICE = "registry of the tests"
ISSUER = "token server of the tests"


def htpasswd(directory: Path) -> str:
    """The registry's section `auth` for USERS. Source: distribution's configuration.md, "htpasswd"."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "htpasswd"
    lines = [f"{name}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode()}" for name, word in USERS.items()]
    path.write_text("\n".join(lines))
    return f"{{htpasswd: {{realm: tests, path: {path}}}}}"


@dataclass
class TokenServer:
    """Gives tokens that a registry believes: to anybody for pulling, to USERS for all that they ask for.

    `lifetime_s` is of the next tokens, the last one for all that follow; a registry takes a token for some 60 s longer.
    """

    server: FakeServer
    certificate: Path
    key: rsa.RSAPrivateKey
    lifetimes_s: list[int] = field(default_factory=lambda: [300])
    identity_tokens: dict[str, str] = field(default_factory=dict)  # users by token
    gives_identity_tokens: bool = False

    @property
    def auth(self) -> str:
        """The registry's section `auth`. Source: distribution's configuration.md, "token"."""
        where = f"realm: {self.server.url}/token, rootcertbundle: {self.certificate}"
        return f'{{token: {{{where}, service: "{SERVICE}", issuer: "{ISSUER}"}}}}'

    @property
    def asked(self) -> list[Request]:
        """The requests for tokens so far."""
        return self.server.requests

    def answer(self, request: Request) -> Reply:
        """A token, or a refusal. Source: distribution's spec/auth/token.md and oauth.md."""
        posted = parse_qs(request.body.decode())
        query = posted if request.method == "POST" else request.query
        try:
            user = self._user(request, posted)
        except LookupError:
            return Reply(401, b'{"details": "incorrect username or password"}')
        lifetime_s = self.lifetimes_s.pop(0) if len(self.lifetimes_s) > 1 else self.lifetimes_s[0]
        scopes = [scope for text in query.get("scope", []) for scope in text.split()]
        token = self._token(user, scopes, lifetime_s)
        reply: dict[str, Any] = {"access_token" if posted else "token": token, "expires_in": max(lifetime_s, 60)}
        if self.gives_identity_tokens and user and query.get("offline_token") == ["true"]:
            reply["refresh_token"] = secrets.token_hex(8)
            self.identity_tokens[reply["refresh_token"]] = user
        return Reply(200, json.dumps(reply).encode(), {"Content-Type": "application/json"})

    def _user(self, request: Request, posted: Mapping[str, list[str]]) -> str:
        """Who asks, "" for nobody; raises LookupError for who can't be believed."""
        if posted:
            return self.identity_tokens[posted["refresh_token"][0]]
        header = request.headers.get("Authorization", "")
        if not header:
            return ""
        name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        if USERS.get(name) != password:
            raise LookupError(name)
        return name

    def _token(self, user: str, scopes: list[str], lifetime_s: int) -> str:
        """A signed token for as much of the scopes as the user may have. Source: spec/auth/jwt.md."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [action for action in actions.split(",") if user or action == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        claims |= {"exp": now + lifetime_s, "nbf": now - 600, "iat": now - 600}
        der = load_pem_x509_certificate(self.certificate.read_bytes()).public_bytes(Encoding.DER)
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        signed = f"{_url64(json.dumps(head).encode())}.{_url64(json.dumps(claims).encode())}"
        return f"{signed}.{_url64(self.key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def token_server(directory: Path) -> Iterator[TokenServer]:
    """A token server with a certificate of its own in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    leaf = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("tokens.example", key_type=trustme.KeyType.RSA)
    certificate = directory / "tokens.crt"
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    with serving() as server:
        made = TokenServer(server, certificate, key)
        server.routes["/token"] = made.answer
        yield made


@dataclass(frozen=True)
class Authority:
    """A certificate authority; `directory` has ca.crt, client.cert and client.key, `server` what a registry needs."""

    ca: trustme.CA
    directory: Path
    server: Path

    def tls(self, *names: str, mutual: bool = False) -> str:
        """The registry's section `tls` for these hosts; with `mutual` it asks for a client's certificate too."""
        server = self.ca.issue_cert(*names)
        certificate, key = self.server / "server.crt", self.server / "server.key"
        server.private_key_pem.write_to_path(str(key))
        certificate.write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
        clients = f", clientcas: [{self.directory / 'ca.crt'}]" if mutual else ""
        return f"{{certificate: {certificate}, key: {key}{clients}}}"

    def without_client(self, directory: Path) -> Path:
        """A directory with the authority's certificate alone."""
        directory.mkdir()
        self.ca.cert_pem.write_to_path(str(directory / "ca.crt"))
        return directory


def authority(directory: Path) -> Authority:
    """A new authority, its files below this directory."""
    server = directory / "server"
    server.mkdir(parents=True)
    directory = directory / "certs.d"
    directory.mkdir()
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(directory / "ca.crt"))
    client = ca.issue_cert("client@tests.example")
    client.private_key_pem.write_to_path(str(directory / "client.key"))
    (directory / "client.cert").write_bytes(client.cert_chain_pems[0].bytes())
    return Authority(ca, directory, server)


class Proxy:
    """An HTTP proxy that leads every host to one address, and notes what it was asked: method and target."""

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self.asked: list[tuple[str, str]] = []
        self.authorizations: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                proxy.note(self)
                with socket.create_connection((host, int(port))) as upstream:
                    self.send_response(200)
                    self.end_headers()
                    _relay(self.connection, upstream)
                self.close_connection = True

            def do_GET(self) -> None:
                proxy.note(self)
                path = "/" + self.path.split("/", 3)[3]
                lines = [f"GET {path} HTTP/1.0", *(f"{name}: {text}" for name, text in self.headers.items()), "", ""]
                with socket.create_connection((host, int(port))) as upstream:
                    upstream.sendall("\r\n".join(lines).encode())
                    while data := upstream.recv(1 << 16):
                        self.wfile.write(data)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def note(self, handler: BaseHTTPRequestHandler) -> None:
        """Keep what a request asks for."""
        self.asked.append((handler.command, handler.path))
        self.authorizations.append(handler.headers.get("Proxy-Authorization", ""))

    @property
    def host(self) -> str:
        """Its address."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Itself, while it runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    with suppress(ConnectionError):
        while True:
            for ready in select.select([one, other], [], [])[0]:
                data = ready.recv(1 << 16)
                if not data:
                    return
                (other if ready is one else one).sendall(data)
