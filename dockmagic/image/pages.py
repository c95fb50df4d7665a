"""Lists that come in pages, each with a Link to the next. Source: distribution-spec "Listing Tags"; RFC 8288.

Only path and query of a link count: the next page lies where the one before did. A list that goes in a circle or has no
end is an error, as is a page that is too long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from dockmagic.errors import RegistryError
from dockmagic.image.exchange import Exchange, accepted
from dockmagic.image.token import Endpoint, Scopes

PAGE_SIZE: Final = 1000  # names that are asked for at a time
MOST_PAGES: Final = 1000
MOST_NAMES: Final = 200_000
_PAGE_LIMIT: Final = 4 << 20  # bytes
_LINK: Final = re.compile(r'<([^>]*)>((?:\s*;\s*[\w*]+\s*=\s*(?:"[^"]*"|[^\s;,"]*))*)')
_NEXT: Final = re.compile(r';\s*rel\s*=\s*"?next"?\s*(?:;|$)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """A page's bytes, and the URL of the next one, "" after the last."""

    data: bytes
    headers: Mapping[str, str]
    following: str


@dataclass(frozen=True, slots=True)
class Pages:
    """Reads a list: `name` is whose it is in messages, `what` what is listed."""

    exchange: Exchange
    scopes: Scopes
    name: str
    what: str
    accept: str = "application/json"

    def page(self, endpoint: Endpoint, url: str) -> Page:
        """A page, asked for once. Raises RegistryError."""
        answer = self.exchange.send(endpoint, self.scopes, "GET", url, {"Accept": self.accept})
        with accepted(answer, (200,), self.name, self.what):
            data = answer.read(_PAGE_LIMIT)
            return Page(data, answer.headers, next_url(url, answer.headers.get("Link", ""), endpoint))

    def from_page(self, endpoint: Endpoint, page: Page) -> Iterator[Page]:
        """This page and all after it, each asked for again where that may help. Raises RegistryError."""
        yield page
        seen = {page.following}
        while url := page.following:
            page = self.exchange.patiently(partial(self.page, endpoint, url))
            yield page
            if page.following in seen or len(seen) >= MOST_PAGES:
                raise RegistryError(f"the list of the {self.what} has no end: {page.following}", method="GET", url=url)
            seen.add(page.following)

    def gathered(self, names: Iterable[Iterable[str]]) -> tuple[str, ...]:
        """The names of all pages, each once. Raises RegistryError where there are more than MOST_NAMES."""
        found: dict[str, None] = {}
        for some in names:
            found |= dict.fromkeys(some)
            if len(found) > MOST_NAMES:
                raise RegistryError(f"the list of the {self.what} has more than {MOST_NAMES} names")
        return tuple(found)


def next_url(url: str, link: str, endpoint: Endpoint) -> str:
    """Where the page after the one at `url` is, "" where the Link header names none."""
    target = next((match[1] for match in _LINK.finditer(link) if _NEXT.search(match[2])), "")
    if not target:
        return ""
    try:
        parts = urlsplit(urljoin(url, target))
    except ValueError as error:
        raise RegistryError(f"GET {url}: the link to the next page is no URL, {target!r}", url=url) from error
    query = parts.query
    if endpoint.namespace and "ns" not in parse_qs(query):
        query = "&".join(part for part in (query, urlencode({"ns": endpoint.namespace})) if part)
    here = urlsplit(url)
    return f"{here.scheme}://{here.netloc}{parts.path}?{query}"
