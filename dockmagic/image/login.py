"""Trying credentials at a registry. Source: distribution-spec "Determining Support"; spec/auth/token.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.auth import Credentials, server_of
from dockmagic.image.challenge import parse_challenges
from dockmagic.image.endpoints import Endpoints
from dockmagic.image.origin import origin
from dockmagic.image.refusal import Refusal
from dockmagic.image.registries import Registries
from dockmagic.image.token_server import basic, fetch_token

if TYPE_CHECKING:
    from dockmagic.image.transport import Answer, Transport

_LIMIT: Final = 1 << 20  # bytes of a refusal's body


def identity_token(registry: str, credentials: Credentials, registries: Registries) -> str:
    """The identity token that a registry gives for these credentials, "" for none.

    Raises Unauthorized where it refuses them, RegistryError where it can't be asked.
    """
    endpoints = Endpoints(registries)
    transport = endpoints.transport()
    try:
        return _Trial(transport, endpoints.home(registry, transport).base, registry).identity_token(credentials)
    finally:
        transport.close()


class _Trial:
    """One try at a registry, whose API is below `base`."""

    def __init__(self, transport: Transport, base: str, registry: str) -> None:
        self._transport = transport
        self._url = f"{base}/v2/"
        self._server = server_of(registry)

    def identity_token(self, credentials: Credentials) -> str:
        """See the function; a registry that lets anybody in believes anything."""
        with self._transport.request("GET", self._url, {}) as answer:
            if answer.status != 401:
                self._check(answer)
                return ""
            if origin(answer.url) != origin(self._url):
                message = f"{self._server} leads to {answer.url}, another host, which gets no secrets; log in there"
                raise RegistryError(message, method="GET", url=answer.url, status=401)
            header = answer.headers.get("WWW-Authenticate", "")
        try:
            return self._try(header, credentials)
        except Unauthorized as error:
            error.args = (f"login to {self._server} failed: unauthorized: {error}",)
            raise

    def _try(self, header: str, credentials: Credentials) -> str:
        """Answer a challenge; the identity token that this gave."""
        authorization, token = self._answer(header, credentials)
        with self._transport.request("GET", self._url, {"Authorization": authorization}) as answer:
            self._check(answer)
        return token

    def _answer(self, header: str, credentials: Credentials) -> tuple[str, str]:
        """The header that answers a challenge, and the identity token that came with it."""
        by_scheme = {challenge.scheme: challenge.parameters for challenge in reversed(parse_challenges(header))}
        if "bearer" in by_scheme:
            token = fetch_token(self._transport, by_scheme["bearer"], credentials, (), offline=True)
            return f"Bearer {token.value}", token.refresh_token
        if "basic" in by_scheme:
            return basic(credentials), ""
        message = f"{self._server} offers no way to log in that is known here ({header or 'none at all'})"
        raise RegistryError(message, method="GET", url=self._url, status=401)

    def _check(self, answer: Answer) -> None:
        """Raise what an answer other than 200 means."""
        if answer.status == 200:
            return
        if answer.status == 404:
            message = f"{self._server} is no registry: there is nothing at {answer.url} (404)"
            raise RegistryError(message, method="GET", url=answer.url, status=404)
        if answer.status == 401:
            message = f"incorrect username or password (GET {answer.url}: 401)"
            raise Unauthorized(message, method="GET", url=answer.url, status=401)
        refusal = Refusal("GET", answer.url, answer.status, answer.headers, answer.read(_LIMIT))
        raise refusal.error(self._server, "login", "login")
