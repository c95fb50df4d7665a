"""What a COPY or ADD takes, from the context and from elsewhere, and a digest that stands for all of it.

    sources -> find or ask for each -> digest -> the step's key; only a step that isn't cached fetches what it must

A repository is asked for a commit, a URL whether it has changed; with --checksum nobody is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic.builder.addresses import Repository, Url, address_of, commit_of, keeps_git_dir
from dockmagic.builder.cache import BuildCache, Download
from dockmagic.builder.choice import excluding
from dockmagic.builder.content import Described, FileHashes, described, digest_of
from dockmagic.builder.credentials import Secrets, url_authorization
from dockmagic.builder.sources import Origin, Source, find_sources, source_at
from dockmagic.builder.steps import CopyAction
from dockmagic.builder.tree import Tree
from dockmagic.errors import BuildError

if TYPE_CHECKING:
    from dockmagic.builder.git import Git

_UNITS = ("bytes", "kB", "MB", "GB")


@dataclass(frozen=True, slots=True)
class Remote:
    """A source from elsewhere: what tells one content from another, and how to get it ([]: it is excluded)."""

    identity: str
    get: Callable[[], list[Source]]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Sources in their order, and their digest; those from elsewhere are fetched by `sources`.

    `items` are all that is in the others.
    """

    parts: Sequence[Source | Remote]
    digest: str
    items: Sequence[Described] = ()

    def sources(self) -> list[Source]:
        """All sources; raises BuildError for one that can't be had."""
        return [source for part in self.parts for source in (part.get() if isinstance(part, Remote) else [part])]


class Fetcher:
    """Gets what is elsewhere into `directory`, a workspace; `say` is told what was fetched.

    `again` fetches what may be known from before, too. `secrets` has what servers want to see.
    """

    def __init__(
        self,
        directory: Path,
        cache: BuildCache,
        say: Callable[[str], None],
        *,
        again: bool = False,
        secrets: Secrets | None = None,
    ) -> None:
        self._directory = directory
        self._cache = cache
        self._say = say
        self._again = again
        self._secrets = secrets or {}
        self._number = 0

    def url(self, url: Url, action: CopyAction) -> Remote:
        """The file at a URL."""
        if action.checksum is not None:
            expected = action.checksum.removeprefix("sha256:")
            return Remote(expected, partial(self._verified, url, expected, action))
        known = None if self._again else self._cache.find_download(url.url)
        place = self._place()
        found = self._download(url, place, known)
        if not place.exists():
            return Remote(found.sha256, partial(self._verified, url, found.sha256, action))
        self._keep(url, found, place)
        return Remote(found.sha256, partial(_file, url, place, action))

    def repository(self, repository: Repository, action: CopyAction) -> Remote:
        """The files of a repository, less what --exclude names."""
        from dockmagic.builder.git import Git

        git = Git(self._directory, self._secrets)
        commit, wanted = git.commit(repository), commit_of(repository, action.checksum)
        if not commit.startswith(wanted):
            raise BuildError(
                f"{repository.remote}: {repository.ref or 'HEAD'} is the commit {commit}, not {wanted} as wanted; "
                "somebody may have moved it: check it, and name the new one"
            )
        keep = keeps_git_dir(repository, action.keep_git_dir)
        return Remote(f"{commit} {keep}", partial(self._checked_out, git, repository, commit, keep, action))

    def _download(self, url: Url, place: Path, known: Download | None = None) -> Download:
        from dockmagic.builder.download import download

        return download(url.url, place, known, authorization=url_authorization(url.url, self._secrets))

    def _verified(self, url: Url, expected: str, action: CopyAction) -> list[Source]:
        """The file, whose digest has to be this one."""
        place = self._place()
        found = self._download(url, place)
        if found.sha256 != expected:
            raise BuildError(
                f"{url.url}: expected sha256:{expected}, got sha256:{found.sha256}; "
                "somebody may have changed it: check it, and correct --checksum or build again"
            )
        self._keep(url, found, place)
        return _file(url, place, action)

    def _checked_out(
        self, git: Git, repository: Repository, commit: str, keep: bool, action: CopyAction
    ) -> list[Source]:
        place = self._place()
        git.check_out(repository, commit, place, keep_git_dir=keep)
        self._say(f"fetched {repository.remote} at {commit}")
        origin = Origin(Tree((place,)), f"the repository {repository.remote}", root_owned=True)
        path = origin.tree.resolve(repository.subdir).path
        source = source_at(origin, path, repository.subdir, excluding(action.exclude))
        if not source.is_dir:
            raise BuildError(f"{repository.subdir} isn't a directory of the repository {repository.remote}")
        return [replace(source, remote=True)]

    def _place(self) -> Path:
        """A path in the workspace where nothing is."""
        self._number += 1
        return self._directory / f"fetched-{self._number}"

    def _keep(self, url: Url, found: Download, place: Path) -> None:
        """Remember what was downloaded, and tell."""
        self._cache.record_download(url.url, found)
        self._say(f"downloaded {url.url} ({size_words(place.stat().st_size)})")


def read_inputs(
    action: CopyAction, origin: Callable[[], Origin], fetcher: Callable[[], Fetcher], hashes: FileHashes
) -> Inputs:
    """What the action takes; raises BuildError for what isn't there.

    `origin` and `fetcher` are only called if there is something to look for in them.
    """
    parts = [part for source in action.sources for part in _parts(source, action, origin, fetcher)]
    local = [part for part in parts if isinstance(part, Source)]
    remote = [part.identity for part in parts if isinstance(part, Remote)]
    items = described(local, hashes, root_owned=bool(local) and origin().root_owned)
    digest = digest_of(items)
    whole = hashlib.sha256("\n".join([digest, *remote]).encode()).hexdigest() if remote else digest
    return Inputs(parts, whole, items)


def size_words(size: int) -> str:
    """A number of bytes for people.

    >>> size_words(999), size_words(1234567)
    ('999 bytes', '1.2 MB')
    """
    power = min(max(0, (len(str(size)) - 1) // 3), len(_UNITS) - 1)
    return f"{size} bytes" if not power else f"{size / 1000**power:.1f} {_UNITS[power]}"


def _parts(
    name: str, action: CopyAction, origin: Callable[[], Origin], fetcher: Callable[[], Fetcher]
) -> Iterator[Source | Remote]:
    """What one word of the instruction stands for."""
    match address_of(name) if action.origin is None else None:
        case Url() as url:
            yield fetcher().url(url, action)
        case Repository() as repository:
            yield fetcher().repository(repository, action)
        case None:
            yield from find_sources(origin(), [name], excluding(action.exclude), parents=action.parents)


def _file(url: Url, place: Path, action: CopyAction) -> list[Source]:
    """The downloaded file as a source, unless --exclude names it."""
    if excluding(action.exclude).leaves_out(url.name):
        return []
    origin = Origin(Tree((place.parent,)), url.url, root_owned=True)
    return [replace(source_at(origin, place.name, url.url), name=url.name, remote=True)]
