"""Build contexts from elsewhere: git repositories, archives at a URL or from a stream. They last as long as the build.

    address -> Repository -> its files          stream -> archive -> its files
            -> Url -> a stream                         -> text -> a Dockerfile, without a context

Source: docker build's reference, "Build context"; Docker documentation, "Build context".
"""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from dockmagic.builder.addresses import Repository, context_address, keeps_git_dir
from dockmagic.builder.credentials import Secrets, url_authorization
from dockmagic.builder.tree import Tree
from dockmagic.errors import BuildError
from dockmagic.image.workspace import Workspaces

if TYPE_CHECKING:
    from dockmagic.builder.git import Git

_MOST_TEXT: Final = 16 << 20  # bytes of a Dockerfile


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was elsewhere: a directory with the context, or the text of a Dockerfile without one."""

    directory: Path | None
    text: str = ""


class Remotes:
    """Fetches each context once, and takes all away at the end. Threads may share it."""

    def __init__(self, workspaces: Workspaces, *, keep_git_dir: bool = False, secrets: Secrets | None = None) -> None:
        self._workspaces = workspaces
        self._secrets = secrets or {}
        self._keep_git_dir = keep_git_dir
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._known: dict[str, Fetched] = {}

    def __enter__(self) -> Remotes:
        """Itself; what was fetched goes when the block ends."""
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def get(self, address: str) -> Fetched:
        """What is at the address; raises BuildError where it can't be had."""
        with self._lock:
            if address not in self._known:
                keep, secrets = self._keep_git_dir, self._secrets
                self._known[address] = fetch(address, self._workspace(), keep_git_dir=keep, secrets=secrets)
            return self._known[address]

    def directory(self, address: str) -> Path:
        """The context at the address; raises BuildError where it can't be had, or is a single file."""
        fetched = self.get(address)
        if fetched.directory is None:
            raise BuildError(f"{address} is a single file, not a tar archive or a repository, so it is no context")
        return fetched.directory

    def read(self, stream: BinaryIO) -> Fetched:
        """What comes from a stream: an archive, or a Dockerfile; raises BuildError for what is neither."""
        workspace = self._workspace()
        path = workspace / "stream"
        with path.open("xb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        return _opened(path, workspace, "standard input")

    def _workspace(self) -> Path:
        return self._stack.enter_context(self._workspaces.new("context-", hold=False))


def fetch(address: str, workspace: Path, *, keep_git_dir: bool = False, secrets: Secrets | None = None) -> Fetched:
    """What is at the address, put into the workspace; raises BuildError where it can't be had.

    `secrets` has what servers want to see.
    """
    shown = secrets or {}
    try:
        found = context_address(address)
    except ValueError as error:
        raise BuildError(f"the build context {address}: {error}") from None
    if isinstance(found, Repository):
        from dockmagic.builder.git import Git

        git = Git(workspace, shown)
        return Fetched(_checked_out(git, found, workspace / "tree", keep=keeps_git_dir(found, keep_git_dir)))
    from dockmagic.builder.download import download

    path = workspace / "download"
    download(found.url, path, authorization=url_authorization(found.url, shown))
    return _opened(path, workspace, address)


def _checked_out(git: Git, repository: Repository, tree: Path, *, keep: bool) -> Path:
    """The directory of the repository, which is put into `tree`, that is the context."""
    commit = git.commit(repository)
    if not commit.startswith(repository.commit):
        raise BuildError(f"{repository.remote}: {repository.ref} is the commit {commit}, not {repository.commit}")
    git.check_out(repository, commit, tree, keep_git_dir=keep)
    found = Tree((tree,)).lookup(repository.subdir.strip("/"))
    if found is None or not found.is_dir:
        raise BuildError(f"{repository.subdir} isn't a directory of the repository {repository.remote}")
    return Path(found.location)


def _opened(path: Path, workspace: Path, what: str) -> Fetched:
    """What is in the file: a context in an archive, or a Dockerfile."""
    from dockmagic.builder.unpack import is_archive, unpack
    from dockmagic.builder.upper import Upper

    found = Tree((path.parent,)).find(path.name)
    assert found is not None
    if is_archive(found):
        tree = workspace / "tree"
        tree.mkdir()
        unpack(found, Upper(tree, ()), "", None)
        path.unlink()
        return Fetched(tree)
    if found.status.st_size > _MOST_TEXT:
        raise BuildError(f"{what} is neither a tar archive nor a Dockerfile, which has at most {_MOST_TEXT >> 20} MB")
    try:
        return Fetched(None, path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise BuildError(f"{what} is neither a tar archive nor UTF-8 text, as a Dockerfile is") from None
