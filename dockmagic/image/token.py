"""Authorization headers for a registry: earned by answering its challenge, kept until it refuses them.

Source: distribution's spec/auth/token.md and spec/auth/oauth.md; RFC 7617 (Basic).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.auth import Challenge, Credentials, parse_challenges

if TYPE_CHECKING:
    from dockmagic.image.transport import Answer, Transport

_LIMIT: Final = 1 << 20  # bytes of a token server's answer
_NOBODY: Final = Credentials()

CredentialsOf = Callable[[str], Credentials | None]  # by the registry's host, "docker.io" for Docker Hub


def anonymous(registry: str) -> Credentials | None:
    """No credentials for anybody."""
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place that serves repositories: base URL without a final slash, and the host whose credentials it takes."""

    base: str
    account: str


class Tokens:
    """Authorization headers by endpoint and repository; several threads may ask at the same time."""

    def __init__(self, transport: Transport, credentials_of: CredentialsOf) -> None:
        self._transport = transport
        self._credentials_of = credentials_of
        self._known: dict[tuple[Endpoint, str], str] = {}

    def headers(self, endpoint: Endpoint, repository: str) -> dict[str, str]:
        """The header that worked before, or none."""
        value = self._known.get((endpoint, repository))
        return {} if value is None else {"Authorization": value}

    def renew(self, endpoint: Endpoint, repository: str, www_authenticate: str) -> dict[str, str]:
        """The header that answers this challenge; empty where we have nothing better to say.

        Raises Unauthorized where the token server refuses, RegistryError where it can't be used.
        """
        credentials = self._credentials_of(endpoint.account) or _NOBODY
        challenges = {challenge.scheme: challenge for challenge in parse_challenges(www_authenticate)}
        if "bearer" in challenges:
            value = f"Bearer {self._token(challenges['bearer'], credentials, repository)}"
        elif "basic" in challenges and credentials.username:
            value = _basic(credentials)
        else:
            return {}
        self._known[endpoint, repository] = value
        return self.headers(endpoint, repository)

    def _token(self, challenge: Challenge, credentials: Credentials, repository: str) -> str:
        """A token from the server that the challenge names; anonymous without credentials."""
        parameters = challenge.parameters
        realm = parameters.get("realm", "")
        query = {"scope": parameters.get("scope") or f"repository:{repository}:pull"}
        if "service" in parameters:
            query["service"] = parameters["service"]
        with self._ask(realm, query, credentials) as answer:
            return _read_token(answer, repository)

    def _ask(self, realm: str, query: Mapping[str, str], credentials: Credentials) -> Answer:
        """The token server's answer to our request."""
        if credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "client_id": "dockmagic",
                "refresh_token": credentials.identity_token,
            }
            return self._transport.request("POST", realm, {}, {**query, **form})
        headers = {"Authorization": _basic(credentials)} if credentials.username else {}
        separator = "&" if "?" in realm else "?"
        return self._transport.request("GET", f"{realm}{separator}{urlencode(query)}", headers)


def _basic(credentials: Credentials) -> str:
    """The header's value for a name and a password."""
    return "Basic " + b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _read_token(answer: Answer, repository: str) -> str:
    """The token in a token server's answer."""
    where = {"method": answer.method, "url": answer.url}
    if answer.status in (400, 401, 403):
        message = f"the token server refused us for {repository}; check the name and password, or 'docker login' again"
        raise Unauthorized(f"{message} ({answer.method} {answer.url}: {answer.status})", **where, status=answer.status)
    if answer.status != 200:
        message = f"{answer.method} {answer.url}: the token server answered {answer.status}; try again later"
        raise RegistryError(message, **where, status=answer.status)
    try:
        document: Any = json.loads(answer.read(_LIMIT))
        return str(document.get("token") or document["access_token"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        message = f"{answer.method} {answer.url}: the token server's answer holds no token"
        raise RegistryError(message, **where, status=answer.status) from error
