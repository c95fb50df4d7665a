"""Look for repositories: Docker Hub's search, and the catalog of registries that have none.

Source: Docker Registry HTTP API V1, "Search"; `podman search` for the way with the catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from dockmagic.errors import InvalidOption, RegistryError
from dockmagic.image.auth import DOCKER_HUB
from dockmagic.image.exchange import accepted
from dockmagic.image.registry import RegistryClient
from dockmagic.image.tags import catalog
from dockmagic.image.token import Endpoint
from dockmagic.oci.fields import Fields
from dockmagic.oci.reference import OFFICIAL, split_registry

HUB_SEARCH: Final = "https://index.docker.io"
DEFAULT_LIMIT: Final = 25
MOST_RESULTS: Final = 100
_LIMIT: Final = 1 << 20  # bytes of an answer
_WITHOUT_SEARCH: Final = (400, 404, 405)


@dataclass(frozen=True, slots=True)
class Found:
    """A repository that was found; `name` has the registry in front unless that is Docker Hub."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def search(client: RegistryClient, term: str, limit: int = DEFAULT_LIMIT) -> tuple[Found, ...]:
    """Repositories that a registry (`HOST/TERM`), else Docker Hub, has for a term; at most `limit` of them.

    Raises InvalidOption, RegistryError, InvalidManifest for an answer that can't be read.
    """
    if not 1 <= limit <= MOST_RESULTS:
        raise InvalidOption(f"limit {limit} is outside the range of [1, {MOST_RESULTS}]")
    registry, words = split_registry(term)
    words = words.removeprefix(OFFICIAL) if registry == DOCKER_HUB else words
    if not words and registry == DOCKER_HUB:
        raise InvalidOption("a word to look for is missing")
    try:
        return _searched(client, registry, words, limit)
    except RegistryError as error:
        if registry == DOCKER_HUB or error.status not in _WITHOUT_SEARCH:
            raise
    names = [name for name in catalog(client, registry) if words.lower() in name]
    return tuple(Found(f"{registry}/{name}") for name in names[:limit])


def _searched(client: RegistryClient, registry: str, words: str, limit: int) -> tuple[Found, ...]:
    """What a search gives."""
    endpoint = Endpoint(HUB_SEARCH, DOCKER_HUB) if registry == DOCKER_HUB else client.home(registry)
    url = f"{endpoint.base}/v1/search?{urlencode({'q': words, 'n': limit})}"

    def attempt() -> bytes:
        answer = client.exchange.send(endpoint, (), "GET", url, {"Accept": "application/json"})
        with accepted(answer, (200,), registry, f"search for {words}", "search"):
            return answer.read(_LIMIT)

    results = Fields.parse(client.exchange.patiently(attempt), "search").objects("results")
    prefix = "" if registry == DOCKER_HUB else f"{registry}/"
    return tuple(_found(result, prefix) for result in results)[:limit]


def _found(result: Fields, prefix: str) -> Found:
    """A result of a search."""
    return Found(
        prefix + result.required_text("name"),
        result.text("description"),
        result.number("star_count"),
        result.flag("is_official"),
        result.flag("is_automated"),
    )
