"""ADD of a URL: its content to a file, and whether it is still what it was. Source: RFC 9110, sections 8.8 and 13."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dockmagic.builder.cache import Download
from dockmagic.errors import BuildError, RegistryError

if TYPE_CHECKING:
    from dockmagic.image.transport import Answer

_MODE: Final = 0o600
_SENT_IN_VAIN: Final = (401, 403)


def download(url: str, target: Path, known: Download | None = None, *, authorization: str = "") -> Download:
    """Write what the URL gives to `target`, mode 0600, with the time that the server says it changed last (else 1970).

    Where that is what is `known` already, the result is that and there is no file. `authorization` is shown to the
    URL's host and no other. Raises BuildError where it can't be had whole.
    """
    from dockmagic.image.transport import Transport

    headers = _conditions(known) | ({"Authorization": authorization} if authorization else {})
    try:
        with closing(Transport(plain_http=True)) as transport:
            with transport.request("GET", url, headers) as answer:
                if known is not None and answer.status == HTTPStatus.NOT_MODIFIED:
                    return known
                if answer.status != HTTPStatus.OK:
                    raise BuildError(f"{url}: {_refusal(answer.status, answer.url)}")
                return _save(answer, target)
    except RegistryError as error:
        raise BuildError(f"cannot download it: {error}") from error


def _conditions(known: Download | None) -> dict[str, str]:
    """Headers that ask for the content only if it isn't the known one; an ETag is more exact than a time."""
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.last_modified} if known.last_modified else {}


def _save(answer: Answer, target: Path) -> Download:
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        for chunk in answer.chunks():
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    _check_length(answer, size)
    last_modified = answer.headers.get("Last-Modified", "")
    target.chmod(_MODE)
    mtime_s = _seconds(last_modified)
    os.utime(target, (mtime_s, mtime_s))
    return Download(digest.hexdigest(), answer.headers.get("ETag", ""), last_modified)


def _check_length(answer: Answer, size: int) -> None:
    """Raise BuildError for a body that broke off; the length of an encoded one says nothing of the decoded."""
    headers: Mapping[str, str] = answer.headers
    length = headers.get("Content-Length", "")
    if length.isdecimal() and "Content-Encoding" not in headers and int(length) != size:
        raise BuildError(f"{answer.url}: the download broke off after {size} of {length} bytes; build again")


def _seconds(date: str) -> int:
    """An HTTP date as seconds since 1970; 0 for what is none."""
    try:
        return max(0, int(parsedate_to_datetime(date).timestamp()))
    except (ValueError, OverflowError):
        return 0


def _refusal(status: int, url: str) -> str:
    """What an answer without the content means."""
    name = next((f" {each.phrase}" for each in HTTPStatus if each == status), "")
    hint = "check the address"
    if status in _SENT_IN_VAIN:
        secret = f"HTTP_AUTH_TOKEN_{urlsplit(url).hostname}"
        hint = f"it may want a token, or another one: --secret id={secret},env=NAME or --secret id={secret},src=FILE"
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        hint = "the server has trouble of its own; try again later"
    return f"the server answered {status}{name}; {hint}"
