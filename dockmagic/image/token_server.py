"""Tokens from the server that a registry's challenge names.

Source: distribution's spec/auth/token.md, spec/auth/oauth.md and spec/auth/scope.md; RFC 7617 (Basic).
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.auth import Credentials
from dockmagic.image.refusal import detail_of, retry_after_s

if TYPE_CHECKING:
    from dockmagic.image.transport import Answer, Transport

LIFETIME_S: Final = 60.0  # of a token whose server doesn't say (spec/auth/token.md, `expires_in`)
_LIMIT: Final = 1 << 20  # bytes of a token server's answer
_CLIENT: Final = "dockmagic"


@dataclass(frozen=True, slots=True)
class Token:
    """A token, the seconds that it has left, and the identity token that came with it."""

    value: str
    lifetime_s: float
    refresh_token: str = ""


def merged(scopes: Sequence[str]) -> tuple[str, ...]:
    """The same rights with each resource named once.

    >>> merged(("repository:app:pull", "repository:b:pull", "repository:app:pull,push"))
    ('repository:app:pull,push', 'repository:b:pull')
    """
    actions: dict[str, dict[str, None]] = {}
    for scope in scopes:
        resource, _, wanted = scope.rpartition(":")
        actions.setdefault(resource, {}).update(dict.fromkeys(wanted.split(",")))
    return tuple(f"{resource}:{','.join(wanted)}" for resource, wanted in actions.items())


def basic(credentials: Credentials) -> str:
    """The header's value for a name and a password."""
    return "Basic " + b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def fetch_token(
    transport: Transport,
    challenge: Mapping[str, str],
    credentials: Credentials,
    scopes: Sequence[str],
    *,
    offline: bool = False,
) -> Token:
    """A token from the server that the challenge's parameters name; anonymous without credentials.

    With `offline` it is asked for an identity token too. Raises Unauthorized where it refuses, RegistryError where it
    can't be used.
    """
    if credentials.registry_token:
        return Token(credentials.registry_token, math.inf)
    realm = challenge.get("realm", "")
    if not realm:
        raise RegistryError("the registry asks for a token and doesn't say where it is to be had", status=401)
    service = {"service": challenge["service"]} if "service" in challenge else {}
    what_for = " ".join(scopes) or challenge.get("service", realm)
    if credentials.identity_token:
        form = {**service, "client_id": _CLIENT, "grant_type": "refresh_token"}
        form |= {"refresh_token": credentials.identity_token} | ({"scope": " ".join(scopes)} if scopes else {})
        with transport.request("POST", realm, {}, form) as answer:
            if answer.status not in (404, 405):
                return _read_token(answer, what_for)
    with _get(
        transport, realm, [*service.items(), *(("scope", scope) for scope in scopes)], credentials, offline
    ) as answer:
        return _read_token(answer, what_for)


def _get(
    transport: Transport, realm: str, query: list[tuple[str, str]], credentials: Credentials, offline: bool
) -> Answer:
    """The answer to a GET, with name and password, or the identity token in the password's place."""
    password = credentials.password or credentials.identity_token
    headers = {"Authorization": basic(Credentials(credentials.username, password))} if password else {}
    query += [("account", credentials.username)] if credentials.username else []
    query += [("client_id", _CLIENT), ("offline_token", "true")] if offline else []
    return transport.request("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}", headers)


def _read_token(answer: Answer, what_for: str) -> Token:
    """The token in a token server's answer."""
    body = answer.read(_LIMIT)
    if answer.status != 200:
        raise _refusal(answer, body, what_for)
    try:
        document: Any = json.loads(body)
        value, refresh = document.get("token") or document["access_token"], document.get("refresh_token")
        return Token(str(value), _left_s(document, answer.headers.get("Date", "")), str(refresh or ""))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"{answer.method} {answer.url}: the token server's answer holds no token"
        raise RegistryError(message, method=answer.method, url=answer.url, status=answer.status) from error


def _left_s(document: Mapping[str, Any], date: str) -> float:
    """Seconds that a token has left: `expires_in`, less its age by the server's own clock, if it says when it was made.

    A clock of ours that differs from the server's does no harm.
    """
    lifetime_s = float(document.get("expires_in") or LIFETIME_S)
    try:
        issued = datetime.fromisoformat(str(document["issued_at"]))
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return lifetime_s - max(0.0, (now - issued).total_seconds())
    except (LookupError, ValueError, TypeError):
        return lifetime_s


def _refusal(answer: Answer, body: bytes, what_for: str) -> RegistryError:
    """The error that another answer than a token means."""
    method, url, status = answer.method, answer.url, answer.status
    _, detail = detail_of(body)
    where = f"{method} {url}: {status}{', ' if detail else ''}{detail}"
    if status in (400, 401, 403):
        message = f"the token server refused us for {what_for}; check the name and password, or 'docker login' again"
        return Unauthorized(f"{message} ({where})", method=method, url=url, status=status)
    wait_s = retry_after_s(answer.headers)
    later = "later" if wait_s is None else f"in {wait_s:.0f} s"
    return RegistryError(
        f"{method} {url}: the token server answered {status}{', ' if detail else ''}{detail}; try again {later}",
        method=method,
        url=url,
        status=status,
        passing=status == 429 or status >= 500,
        wait_s=wait_s,
    )
