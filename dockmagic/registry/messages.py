"""Requests and answers, as the API sees them: without a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from dockmagic.registry.body import Body
from dockmagic.registry.faults import Fault, Headers
from dockmagic.registry.routes import Route


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for; `query` has all values of each parameter, `headers` finds names in any case."""

    method: str
    route: Route
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: Body

    def parameter(self, name: str) -> str:
        """The first value of a parameter, "" where it isn't there."""
        return next(iter(self.query.get(name, ())), "")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file, which goes to the client as it is."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets. To a HEAD goes all but the body."""

    status: HTTPStatus
    headers: Headers = ()
    body: bytes | Part = b""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length


def refusal(fault: Fault) -> Answer:
    """The answer to a request that is refused."""
    return Answer(fault.status, (("Content-Type", "application/json"), *fault.headers), fault.body())
