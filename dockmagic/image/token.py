"""Authorization headers for a registry: earned by answering its challenge, kept until it refuses them.

Source: distribution's spec/auth/token.md, spec/auth/oauth.md and spec/auth/scope.md; RFC 7617 (Basic).
"""

from __future__ import annotations

import json
import threading
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
_CLIENT: Final = "dockmagic"

CredentialsOf = Callable[[str], Credentials | None]  # by the registry's host, "docker.io" for Docker Hub


def anonymous(registry: str) -> Credentials | None:
    """No credentials for anybody."""
    return None


def scope(repository: str, actions: str = "pull") -> str:
    """The right to do something with a repository: "repository:library/busybox:pull,push"."""
    return f"repository:{repository}:{actions}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place that serves repositories: base URL without a final slash, and the host whose credentials it takes.

    `namespace` is the registry that a mirror stands in for, "" where it is the registry itself.
    """

    base: str
    account: str
    namespace: str = ""


Scopes = tuple[str, ...]


class Tokens:
    """Authorization headers by endpoint and scopes; several threads may ask at the same time."""

    def __init__(self, transport: Transport, credentials_of: CredentialsOf) -> None:
        self._transport = transport
        self._credentials_of = credentials_of
        self._known: dict[tuple[Endpoint, Scopes], str] = {}
        self._lock = threading.Lock()

    def headers(self, endpoint: Endpoint, scopes: Scopes) -> dict[str, str]:
        """The header that worked before, or none."""
        value = self._known.get((endpoint, scopes))
        return {} if value is None else {"Authorization": value}

    def renew(
        self, endpoint: Endpoint, scopes: Scopes, www_authenticate: str, refused: Mapping[str, str]
    ) -> dict[str, str]:
        """The header that answers this challenge to who sent `refused`; empty where we have nothing better to say.

        Raises Unauthorized where the token server refuses, RegistryError where it can't be used.
        """
        with self._lock:
            known = self.headers(endpoint, scopes)
            if known != refused:  # another thread was quicker
                return known
            value = self._answer(parse_challenges(www_authenticate), endpoint, scopes)
            if value:
                self._known[endpoint, scopes] = value
            return {"Authorization": value} if value else {}

    def _answer(self, challenges: tuple[Challenge, ...], endpoint: Endpoint, scopes: Scopes) -> str:
        """The header's value for the best of the ways that are offered, "" for none."""
        credentials = self._credentials_of(endpoint.account) or _NOBODY
        by_scheme = {challenge.scheme: challenge for challenge in challenges}
        if "bearer" in by_scheme:
            asked = by_scheme["bearer"].parameters
            named = asked.get("scope", "").split()
            wanted = (*named, *(scope for scope in scopes if not any(_covers(other, scope) for other in named)))
            return f"Bearer {fetch_token(self._transport, asked, credentials, wanted)}"
        return basic(credentials) if "basic" in by_scheme and credentials.username else ""


def _covers(wide: str, narrow: str) -> bool:
    """Whether one scope gives all rights of the other.

    >>> _covers("repository:app:pull,push", "repository:app:pull"), _covers("repository:app:pull", "repository:b:pull")
    (True, False)
    """
    (thing, _, actions), (other, _, wanted) = wide.rpartition(":"), narrow.rpartition(":")
    return thing == other and set(wanted.split(",")) <= set(actions.split(","))


def fetch_token(transport: Transport, challenge: Mapping[str, str], credentials: Credentials, scopes: Scopes) -> str:
    """A token from the server that the challenge's parameters name; anonymous without credentials.

    Raises Unauthorized where it refuses, RegistryError where it can't be used.
    """
    query = {"service": challenge["service"]} if "service" in challenge else {}
    realm = challenge.get("realm", "")
    if credentials.identity_token:
        form = {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": credentials.identity_token}
        form |= {"scope": " ".join(scopes)} if scopes else {}
        answer = transport.request("POST", realm, {}, {**query, **form})
    else:
        parameters = urlencode([*query.items(), *(("scope", scope) for scope in scopes)])
        headers = {"Authorization": basic(credentials)} if credentials.username else {}
        answer = transport.request("GET", f"{realm}{'&' if '?' in realm else '?'}{parameters}", headers)
    with answer:
        return _read_token(answer, " ".join(scopes) or challenge.get("service", realm))


def basic(credentials: Credentials) -> str:
    """The header's value for a name and a password."""
    return "Basic " + b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _read_token(answer: Answer, what_for: str) -> str:
    """The token in a token server's answer."""
    method, url = answer.method, answer.url
    if answer.status in (400, 401, 403):
        message = f"the token server refused us for {what_for}; check the name and password, or 'docker login' again"
        raise Unauthorized(f"{message} ({method} {url}: {answer.status})", method=method, url=url, status=answer.status)
    if answer.status != 200:
        message = f"{method} {url}: the token server answered {answer.status}; try again later"
        passing = answer.status == 429 or answer.status >= 500
        raise RegistryError(message, method=method, url=url, status=answer.status, passing=passing)
    try:
        document: Any = json.loads(answer.read(_LIMIT))
        return str(document.get("token") or document["access_token"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        message = f"{method} {url}: the token server's answer holds no token"
        raise RegistryError(message, method=method, url=url, status=answer.status) from error
