"""What registries list: a repository's tags, and all repositories. Source: distribution-spec "Content Discovery"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dockmagic.errors import InvalidOption
from dockmagic.image.auth import DOCKER_HUB
from dockmagic.image.pages import PAGE_SIZE, Page, Pages
from dockmagic.image.registry import RegistryClient, address
from dockmagic.image.token import Endpoint, scope
from dockmagic.oci.fields import Fields
from dockmagic.oci.reference import Reference

_CATALOG_SCOPE: Final = "registry:catalog:*"
_DIGITS: Final = re.compile(r"(\d+)", re.ASCII)


def list_tags(client: RegistryClient, reference: Reference) -> tuple[str, ...]:
    """All tags of the reference's repository, in natural order. They are the registry's word, not checked.

    Raises RegistryError, InvalidManifest for an answer that is no list.
    """
    what = f"tags of {reference.familiar_name}"
    pages = Pages(client.exchange, (scope(reference.repository),), reference.familiar_name, what)

    def attempt(endpoint: Endpoint) -> tuple[Endpoint, Page]:
        return endpoint, pages.page(endpoint, address(endpoint, reference, f"tags/list?n={PAGE_SIZE}"))

    endpoint, first = client.first(reference, attempt)
    return tuple(sorted(pages.gathered(_names(pages.from_page(endpoint, first), "tags")), key=natural))


def catalog(client: RegistryClient, registry: str) -> tuple[str, ...]:
    """The repositories of a registry, as it sorts them. Raises as `list_tags`, and InvalidOption for Docker Hub."""
    if registry == DOCKER_HUB:
        raise InvalidOption("Docker Hub doesn't list its repositories; look for one with docker search")
    pages = Pages(client.exchange, (_CATALOG_SCOPE,), registry, f"repositories of {registry}")
    endpoint = client.home(registry)
    url = f"{endpoint.base}/v2/_catalog?n={PAGE_SIZE}"
    first = client.exchange.patiently(lambda: pages.page(endpoint, url))
    return pages.gathered(_names(pages.from_page(endpoint, first), "repositories"))


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sorts texts with numbers in them by these.

    >>> sorted(["1.10", "1.9", "latest", "1.9-a"], key=natural)
    ['1.9', '1.9-a', '1.10', 'latest']
    """
    parts = _DIGITS.split(text)
    return tuple(_number(part) if index % 2 else (0, part) for index, part in enumerate(parts))


def _number(digits: str) -> tuple[int, str]:
    """Sorts numbers of any length."""
    return len(digits.lstrip("0")), digits.lstrip("0")


def _names(pages: Iterator[Page], key: str) -> Iterator[tuple[str, ...]]:
    """The names on each page."""
    for page in pages:
        yield Fields.parse(page.data, f"list of {key}").texts(key)
