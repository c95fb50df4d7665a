"""Authorization headers for a registry: earned by answering its challenge, kept until they expire or it refuses them.

Source: distribution's spec/auth/token.md and spec/auth/scope.md.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dockmagic.image.auth import Credentials, names_for
from dockmagic.image.challenge import Challenge, parse_challenges
from dockmagic.image.token_server import Token, basic, fetch_token, merged

if TYPE_CHECKING:
    from dockmagic.image.transport import Transport

_NOBODY: Final = Credentials()
_MARGIN: Final = 0.1  # of a token's life, in which it is renewed before it is refused
_LONGEST_MARGIN_S: Final = 30.0

CredentialsOf = Callable[[str], Credentials | None]  # by registry, "docker.io" for Docker Hub, and by "registry/name"
Scopes = tuple[str, ...]


def anonymous(name: str) -> Credentials | None:
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


@dataclass(frozen=True, slots=True)
class _Known:
    """A header's value, the challenge it answers, and the time (time.monotonic) at which it is to be renewed."""

    value: str
    challenges: tuple[Challenge, ...]
    until: float


class Tokens:
    """Authorization headers by endpoint and scopes; several threads may ask at the same time."""

    def __init__(self, transport: Transport, credentials_of: CredentialsOf) -> None:
        self._transport = transport
        self._credentials_of = credentials_of
        self._known: dict[tuple[Endpoint, Scopes], _Known] = {}
        self._lock = threading.Lock()

    def headers(self, endpoint: Endpoint, scopes: Scopes) -> dict[str, str]:
        """The header that worked before, renewed where it is about to expire; or none.

        Raises what `renew` raises.
        """
        known = self._known.get((endpoint, scopes))
        if known is not None and time.monotonic() >= known.until:
            with self._lock:
                known = self._known[endpoint, scopes]
                if time.monotonic() >= known.until:  # no other thread was quicker
                    known = self._answer(known.challenges, endpoint, scopes)
        return _header(known)

    def renew(
        self, endpoint: Endpoint, scopes: Scopes, www_authenticate: str, refused: Mapping[str, str]
    ) -> dict[str, str]:
        """The header that answers this challenge to who sent `refused`; empty where we have nothing better to say.

        Raises Unauthorized where the token server refuses, RegistryError where it can't be used, and what asking for
        credentials raises.
        """
        with self._lock:
            known = self._known.get((endpoint, scopes))
            if _header(known) == refused:  # no other thread was quicker
                known = self._answer(parse_challenges(www_authenticate), endpoint, scopes)
            better = _header(known)
            return better if better != refused else {}

    def _answer(self, challenges: tuple[Challenge, ...], endpoint: Endpoint, scopes: Scopes) -> _Known | None:
        """What answers the best of the ways that are offered, from now on known; None for none."""
        credentials = self._credentials(endpoint, scopes)
        by_scheme = {challenge.scheme: challenge.parameters for challenge in reversed(challenges)}
        known = None
        if "bearer" in by_scheme:
            asked = by_scheme["bearer"]
            wanted = merged((*asked.get("scope", "").split(), *scopes))
            token = fetch_token(self._transport, asked, credentials, wanted)
            known = _Known(f"Bearer {token.value}", challenges, _renewal(token))
        elif "basic" in by_scheme and credentials.username and not credentials.identity_token:
            known = _Known(basic(credentials), challenges, math.inf)
        if known is not None:
            self._known[endpoint, scopes] = known
        return known

    def _credentials(self, endpoint: Endpoint, scopes: Scopes) -> Credentials:
        """The credentials for the first of these scopes; nobody's where there are none."""
        kind, _, name = scopes[0].rpartition(":")[0].partition(":") if scopes else ("", "", "")
        names = names_for(endpoint.account, name if kind == "repository" else "")
        found = (self._credentials_of(name) for name in names)
        return next((credentials for credentials in found if credentials is not None), _NOBODY)


def _renewal(token: Token) -> float:
    """When (time.monotonic) a token that was given now is to be renewed."""
    return time.monotonic() + token.lifetime_s - min(token.lifetime_s * _MARGIN, _LONGEST_MARGIN_S)


def _header(known: _Known | None) -> dict[str, str]:
    """The header that is known, or none."""
    return {} if known is None else {"Authorization": known.value}
