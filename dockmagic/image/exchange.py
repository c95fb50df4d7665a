"""Requests to a registry's endpoints: authorized where it asks for it, and tried again where that may help.

Cheap to import: the HTTP part (`dockmagic.image.transport`) is loaded with the first request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

from dockmagic.errors import RegistryError
from dockmagic.image.endpoints import Endpoints
from dockmagic.image.notices import Notices, OnWarning, unheard
from dockmagic.image.origin import origin
from dockmagic.image.refusal import Refusal
from dockmagic.image.retry import Retry
from dockmagic.image.token import CredentialsOf, Endpoint, Scopes, Tokens
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from dockmagic.image.transport import Answer, Body, Transport

_ERROR_LIMIT: Final = 1 << 20  # bytes of a refusal's body

T = TypeVar("T")
OnRetry = Callable[[RegistryError, float], None]  # why, and the seconds until then


def silent(error: RegistryError, pause_s: float) -> None:
    """Say nothing of another try."""


class Exchange:
    """What the parts of a registry client share. Any thread may call any method."""

    def __init__(
        self,
        endpoints: Endpoints,
        credentials_of: CredentialsOf,
        retry: Retry,
        on_warning: OnWarning = unheard,
        on_retry: OnRetry = silent,
    ) -> None:
        """`on_retry` hears of everything that is tried again, unless whoever tries hears of it."""
        self.endpoints = endpoints
        self.retry = retry
        self._credentials_of = credentials_of
        self._notices = Notices(on_warning)
        self._on_retry = on_retry
        self._cancelled = threading.Event()

    @cached_property
    def transport(self) -> Transport:
        """The connections; made at the first request."""
        return self.endpoints.transport()

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self.transport, self._credentials_of)

    def readable(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Where to read what a reference names, in order."""
        return self.endpoints.readable(reference, self.transport)

    def home(self, reference: Reference) -> Endpoint:
        """The registry of a reference itself, where it is written."""
        return self.endpoints.home(reference.registry, self.transport)

    def send(
        self,
        endpoint: Endpoint,
        scopes: Scopes,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | bytes | None = None,
    ) -> Answer:
        """The answer to a request, its body unread, its status any; authorizes itself once where it is asked to.

        No other origin than the endpoint's gets a secret.
        """
        self.check_cancelled()
        is_ours = origin(url) == origin(endpoint.base)
        secret = self._tokens.headers(endpoint, scopes) if is_ours else {}
        answer = self.transport.request(method, url, {**headers, **secret}, body=body)
        asks_us = answer.status == 401 and is_ours and origin(answer.url) == origin(url)
        if asks_us and (better := self._better(answer, endpoint, scopes, secret)):
            answer.close()
            answer = self.transport.request(method, url, {**headers, **better}, body=body)
        self._notices.take(endpoint.account, answer.headers.get("Warning", ""))
        return answer

    def _better(self, refusal: Answer, endpoint: Endpoint, scopes: Scopes, secret: dict[str, str]) -> dict[str, str]:
        """The header that answers a refusal's challenge, or none; an error closes the refusal."""
        try:
            return self._tokens.renew(endpoint, scopes, refusal.headers.get("WWW-Authenticate", ""), secret)
        except BaseException:
            refusal.close()
            raise

    def patiently(self, attempt: Callable[[], T], on_retry: OnRetry | None = None) -> T:
        """What an attempt gives at last; raises its error where another try is of no use."""
        failures = 0
        while True:
            try:
                return attempt()
            except RegistryError as error:
                failures += 1
                self.wait_after(failures, error, on_retry)

    def wait_after(self, failures: int, error: RegistryError, on_retry: OnRetry | None = None) -> None:
        """Wait as long as it takes until another try makes sense; raises the error where none does."""
        pause_s = self.retry.pause_s(failures, error)
        if pause_s is None or self._cancelled.is_set():
            raise error
        (on_retry or self._on_retry)(error, pause_s)
        if self._cancelled.wait(pause_s):
            raise error

    def check_cancelled(self) -> None:
        """Raise RegistryError where the transfer was given up."""
        if self._cancelled.is_set():
            raise RegistryError("the transfer was given up")

    def cancel(self) -> None:
        """Make everything that is under way fail now, and what begins after it too, until `resume`."""
        self._cancelled.set()
        if "transport" in self.__dict__:
            self.transport.break_off()

    def resume(self) -> None:
        """Allow requests again."""
        self._cancelled.clear()

    def close(self) -> None:
        """End the connections, if there are any."""
        if "transport" in self.__dict__:
            self.transport.close()


def expect(answer: Answer, statuses: Collection[int], reference: Reference, what: str, action: str = "pull") -> Answer:
    """The answer, if its status is one of these; raises what a refusal means, with as much of it as could be had."""
    return accepted(answer, statuses, reference.familiar_name, what, action)


def accepted(answer: Answer, statuses: Collection[int], name: str, what: str, action: str = "pull") -> Answer:
    """The same for what belongs to a repository, or to a whole registry, of this name."""
    if answer.status in statuses:
        return answer
    with answer:
        try:
            body = answer.read(_ERROR_LIMIT)
        except RegistryError:
            body = b""
    refusal = Refusal(answer.method, answer.url, answer.status, answer.headers, body)
    raise refusal.error(name, what, action)
