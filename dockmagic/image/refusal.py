"""What a registry's refusal means, in Docker's words. Source: distribution-spec "Error Codes"; pure."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from dockmagic.errors import RegistryError, Unauthorized, shorten

_DENIED_CODES: Final = frozenset({"NAME_UNKNOWN", "UNAUTHORIZED", "DENIED"})
_EPOCHAL: Final = 1e9  # a number of seconds from here on is a point in time, and no span
_LONGEST: Final = 500  # characters of the registry's own words
_DIGITS: Final = 11  # of a number of seconds; more are as good as for ever
PUSH: Final = "push"
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_THE_SAME: Final = ("DIGEST_INVALID", "SIZE_INVALID")
_DENIED: Final = "denied: requested access to the resource is denied"
_SMALLER: Final = "set a smaller chunk_size in the table [registries] of dockmagic.toml"
_LOST: Final = ("BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with a status of 400 or more. `headers` finds names in any case; `body` may be cut off."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def error(self, repository: str, what: str, action: str = "pull") -> RegistryError:
        """The error to raise; `repository` is its familiar name, `what` the thing asked for ("manifest for app:1")."""
        code, detail = detail_of(self.body)
        message = self._message(repository, what, code, action)
        where = f"{self.method} {self.url}: {self.status}"
        kind = Unauthorized if self.status in (401, 403) else RegistryError
        return kind(
            f"{message} ({where}{', ' if detail else ''}{detail})",
            method=self.method,
            url=self.url,
            status=self.status,
            code=code,
            passing=self.status in PASSING and self._limit("remaining")[0] != "0",
            wait_s=retry_after_s(self.headers),
        )

    def _message(self, repository: str, what: str, code: str, action: str) -> str:
        if action == PUSH and (message := self._push_message(repository, what, code)):
            return message
        if self.status in (401, 403) or (self.status == 404 and code in _DENIED_CODES):
            return f"{action} access denied for {repository}, repository does not exist or may require 'docker login'"
        if code == "BLOB_UNKNOWN":
            return f"{what} not found: the registry has lost a part of the image; push it again"
        if self.status == 404:
            return f"{what} not found; check the name and the tag"
        if self.status == 429:
            return f"too many requests for {repository}: {self._limits()}; 'docker login' or a mirror may help"
        if self.status >= 500:
            return f"the registry has trouble of its own with the {what}; try again later"
        return f"the registry refused the {what}"

    def _push_message(self, repository: str, what: str, code: str) -> str:
        """What only a push is refused for, "" for anything else."""
        if self.status in (401, 403) or code == "DENIED":
            denied = "unauthorized: authentication required" if self.status == 401 else _DENIED
            return f"{denied}; log in ('docker login') as somebody who may push to {repository}, or check its name"
        if code == "NAME_UNKNOWN":
            return f"repository name not known to registry: {repository} has to be made there first"
        if self.status == 405 or code == "UNSUPPORTED":
            return f"the registry doesn't take images for {repository}: it may only pass on those of another"
        if self.status == 413:
            return f"the {what} is too large for the registry, or for a proxy before it; {_SMALLER}"
        if code in _NOT_THE_SAME:
            return f"the registry got other bytes than those of the {what}; `system fsck` checks what is here"
        return f"the registry has lost a part of the {what}; push it again" if code in _LOST else ""

    def _limits(self) -> str:
        """What the registry says of its limits, as a phrase."""
        limit, window = self._limit("limit")
        left, _ = self._limit("remaining")
        whom = self.headers.get("Docker-RateLimit-Source") or "us"
        left = "none" if left in ("", "0") else left
        known = f"it allows {whom} {limit} in {_span(window)}, of which {left} are left, and " if limit else ""
        wait_s = retry_after_s(self.headers)
        wait = "a while (it does not say how long)" if wait_s is None else f"{wait_s:.0f} s"
        return f"{known or 'the registry '}asks to wait {wait}"

    def _limit(self, name: str) -> tuple[str, str]:
        """Count and window (seconds) of a limit: "100", "21600". Source: docs.docker.com "Usage and limits"."""
        count, _, window = self.headers.get(f"RateLimit-{name.capitalize()}", "").partition(";")
        return count.strip(), window.strip().removeprefix("w=")


def detail_of(body: bytes) -> tuple[str, str]:
    """Code and message of the first error in a refusal's body; "" for each that isn't there.

    A token server may say `details` instead.
    """
    try:
        document: Any = json.loads(body)
        first = document["errors"][0] if "errors" in document else {"message": document.get("details", "")}
        return str(first.get("code", ""))[:_LONGEST], shorten(str(first.get("message", "")), _LONGEST)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", ""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long to wait, None where it doesn't say: RFC 9110 section 10.2.3 (seconds, or a date).

    Docker Hub's X-Retry-After is a time in seconds since 1970.
    """
    value = headers.get("Retry-After") or headers.get("X-Retry-After", "")
    if value.isascii() and value.isdigit():
        number = float(value[:_DIGITS])
        return number if number < _EPOCHAL else max(0.0, number - time.time())
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _span(seconds: str) -> str:
    """A span of time as a phrase: "6 h", "90 s"."""
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < _DIGITS):
        return "some time"
    return f"{int(seconds) // 3600} h" if int(seconds) % 3600 == 0 else f"{int(seconds)} s"
