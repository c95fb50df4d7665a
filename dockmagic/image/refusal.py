"""What a registry's refusal means, in Docker's words. Source: distribution-spec "Error Codes"; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from dockmagic.errors import RegistryError, Unauthorized

_DENIED_CODES = frozenset({"NAME_UNKNOWN", "UNAUTHORIZED", "DENIED"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with a status of 400 or more. `headers` finds names in any case; `body` may be cut off."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def error(self, repository: str, what: str) -> RegistryError:
        """The error to raise; `repository` is its familiar name, `what` the thing asked for ("manifest for app:1")."""
        code, detail = self._code_and_detail()
        message = self._message(repository, what, code)
        where = f"{self.method} {self.url}: {self.status}"
        kind = Unauthorized if self.status in (401, 403) else RegistryError
        text = f"{message} ({where}{', ' if detail else ''}{detail})"
        return kind(text, method=self.method, url=self.url, status=self.status, code=code)

    def _message(self, repository: str, what: str, code: str) -> str:
        if self.status in (401, 403) or (self.status == 404 and code in _DENIED_CODES):
            return f"pull access denied for {repository}, repository does not exist or may require 'docker login'"
        if code == "BLOB_UNKNOWN":
            return f"{what} not found: the registry has lost a part of the image; push it again"
        if self.status == 404:
            return f"{what} not found; check the name and the tag"
        if self.status == 429:
            return (
                f"too many requests for {repository}: the registry asks to wait {self._wait()}; log in, or use a mirror"
            )
        if self.status >= 500:
            return f"the registry has trouble of its own with the {what}; try again later"
        return f"the registry refused the {what}"

    def _code_and_detail(self) -> tuple[str, str]:
        """Code and message of the first error in the body; "" for each that isn't there."""
        try:
            first: Any = json.loads(self.body)["errors"][0]
            return str(first.get("code", "")), str(first.get("message", ""))
        except (ValueError, LookupError, TypeError, AttributeError):
            return "", ""

    def _wait(self) -> str:
        """How long to wait, as a phrase. Source: RFC 9110 section 10.2.3 (seconds, or a date)."""
        value = self.headers.get("Retry-After", "")
        if value.isascii() and value.isdigit():
            return f"{int(value)} s"
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return "a while (it does not say how long)"
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        return f"{max(0, round(seconds))} s"
