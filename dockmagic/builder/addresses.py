"""What ADD can fetch: files by their URLs, and git repositories. Pure.

    https://example.com/a/b.txt                          a file, called b.txt where it needs a name
    https://example.com/c.git#v1:docs                    the directory docs of what the reference v1 names
    https://example.com/c.git?tag=v1&subdir=docs         the same

Of the addresses with http or https those whose path ends with ".git" are repositories. Source: Dockerfile reference,
"ADD"; Docker documentation, "Build context", "URL queries" and "URL fragments".
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from dockmagic.dockerfile import instructions as df
from dockmagic.errors import DockerfileError

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SECURE_COPY: Final = re.compile(r"[A-Za-z0-9_-]+@[A-Za-z0-9.-]+:")
_COMMIT: Final = re.compile(r"[0-9a-f]{1,64}")
_SHA256: Final = re.compile(r"sha256:[0-9a-f]{64}")
_REF: Final = re.compile(r"(?!-)[^\x00-\x20\x7f:?*\[\\^~]+")
_GITHUB: Final = "github.com/"  # a repository without its scheme
LAYOUT: Final = "oci-layout://"
_LAYOUT: Final = re.compile(r"(.+?)(?::(\w[\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?")
_TRUE: Final = ("", "1", "t", "true")
_FALSE: Final = ("0", "f", "false")
_NO_NAMES: Final = ("", ".", "..", "/")


@dataclass(frozen=True, slots=True)
class Url:
    """A file to download; `name` is the one that its path ends with, "" if that is none."""

    url: str
    name: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository: `ref` "" is what its HEAD names, `subdir` "" all of it.

    `commit` is the beginning of the one that `ref` has to name. `keep_git_dir` None leaves that to the flag.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    commit: str = ""
    keep_git_dir: bool | None = None
    submodules: bool = True


def address_of(source: str) -> Url | Repository | None:
    """What a source of ADD is an address of, None for a path; raises ValueError for one that can't be fetched."""
    scheme = _SCHEME.match(source)
    if scheme is None and _SECURE_COPY.match(source) is None:
        return None
    kind = scheme[1].lower() if scheme else "ssh"
    if kind == "ssh":
        raise ValueError("a build has no key of yours to show to a server; use the repository's https:// address")
    if kind not in ("http", "https", "git"):
        raise ValueError(f"{kind}:// can't be fetched; use http://, https:// or git://, or name a file")
    if not source.isprintable():
        raise ValueError("it has characters that no address has; write them as %XX")
    parts = urlsplit(source)
    if not parts.hostname or parts.port == 0:
        raise ValueError("it names no host")
    if kind == "git" or parts.path.endswith(".git"):
        return _repository(parts)
    name = posixpath.basename(unquote(parts.path).rstrip("/"))
    return Url(source, "" if name in _NO_NAMES or "\0" in name else name)


@dataclass(frozen=True, slots=True)
class LayoutImage:
    """The image of an OCI layout in the directory `path`: the one of this digest, or without one of this tag."""

    path: str
    tag: str = "latest"
    digest: str = ""

    def __str__(self) -> str:
        """The address, as --build-context takes it."""
        return f"{LAYOUT}{self.path}:{self.tag}" + (f"@{self.digest}" if self.digest else "")


def layout_image(address: str) -> LayoutImage:
    """What `oci-layout://PATH[:TAG][@DIGEST]` names; raises ValueError for what isn't so."""
    match = _LAYOUT.fullmatch(address.removeprefix(LAYOUT))
    if match is None or "@" in match[1]:
        raise ValueError(f"it isn't an image of a layout; write {LAYOUT}PATH:TAG or {LAYOUT}PATH@sha256:DIGEST")
    return LayoutImage(match[1], match[2] or "latest", match[3] or "")


def is_address(text: str) -> bool:
    """Whether the text names a build context elsewhere rather than a directory."""
    return bool(_SCHEME.match(text) or _SECURE_COPY.match(text)) or text.startswith(_GITHUB)


def context_address(text: str) -> Repository | Url:
    """What a build context's address is of; raises ValueError for one that can't be fetched."""
    github = text.startswith(_GITHUB)
    found = address_of(f"https://{text}" if github else text)
    if found is None:
        raise ValueError("it is no address")
    return Repository(found.url) if isinstance(found, Url) and github else found


def check(instruction: df.Copy | df.Add) -> None:
    """Raise DockerfileError for addresses, or flags about them, that can't be; words are expanded already."""
    for source in instruction.sources:
        try:
            _check_source(instruction, address_of(source))
        except ValueError as error:
            message = f"{source}: {error}"
            raise DockerfileError(message, line=instruction.line, end_line=instruction.end_line) from error


def commit_of(address: Repository, checksum: str | None) -> str:
    """The commit, or its beginning, that the address or --checksum wants; "" is any."""
    return address.commit or checksum or ""


def keeps_git_dir(address: Repository, flag: bool | None) -> bool:
    """Whether .git is a part of what is added."""
    return bool(flag if address.keep_git_dir is None else address.keep_git_dir)


def _check_source(instruction: df.Copy | df.Add, address: Url | Repository | None) -> None:
    if isinstance(instruction, df.Add):
        _check_flags(instruction, address)
    elif address is not None:
        raise ValueError("COPY takes files, not addresses; use ADD")


def _check_flags(instruction: df.Add, address: Url | Repository | None) -> None:
    checksum = instruction.checksum
    if checksum is not None:
        if len(instruction.sources) + len(instruction.heredocs) > 1:
            raise ValueError("--checksum is for a single source; write an ADD for each")
        if address is None:
            raise ValueError("--checksum is for addresses; leave it out for a file of the context")
        if isinstance(address, Url) and not _SHA256.fullmatch(checksum):
            raise ValueError(f"--checksum={checksum} isn't sha256: and 64 hexadecimal digits")
        if isinstance(address, Repository) and not _COMMIT.fullmatch(checksum):
            raise ValueError(f"--checksum={checksum} isn't a commit's hexadecimal digits, or the first of them")
    if isinstance(address, Repository):
        _check_agreement("--checksum", checksum, "the address", address.commit or None)
        _check_agreement("--keep-git-dir", instruction.keep_git_dir, "the address", address.keep_git_dir)


def _check_agreement(one: str, value: object, other: str, other_value: object) -> None:
    if None not in (value, other_value) and value != other_value:
        raise ValueError(f"{one} and {other} contradict each other; say it once")


def _repository(parts: SplitResult) -> Repository:
    """The repository, what is behind "#" and then what is behind "?" read."""
    ref, _, subdir = unquote(parts.fragment).partition(":")
    remote = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    repository = Repository(remote, ref, subdir)
    seen: set[str] = set()
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in seen:
            raise ValueError(f"{name}= is there twice; say it once")
        seen.add(name)
        repository = _queried(repository, name, value)
    if {"tag", "branch"} <= seen:
        raise ValueError("it names a branch and a tag; choose one")
    repository = replace(repository, ref=repository.ref or repository.commit)
    if repository.ref and (not _REF.fullmatch(repository.ref) or ".." in repository.ref):
        raise ValueError(f"{repository.ref!r} can't be the name of a branch, a tag or a commit")
    return repository


def _queried(repository: Repository, name: str, value: str) -> Repository:
    """The repository as one query changes it."""
    if name in ("keep-git-dir", "submodules"):
        if value.lower() not in (*_TRUE, *_FALSE):
            raise ValueError(f"{name}={value} is neither true nor false")
        yes = value.lower() in _TRUE
        return replace(repository, keep_git_dir=yes) if name == "keep-git-dir" else replace(repository, submodules=yes)
    if not value:
        raise ValueError(f"{name}= has no value")
    match name:
        case "ref" | "tag" | "branch":
            prefix = {"ref": "", "tag": "refs/tags/", "branch": "refs/heads/"}[name]
            ref = prefix + value.removeprefix(prefix)
            _check_agreement(f"{name}=", ref, "the rest of the address", repository.ref or None)
            return replace(repository, ref=ref)
        case "subdir":
            _check_agreement("subdir=", value, "the rest of the address", repository.subdir or None)
            return replace(repository, subdir=value)
        case "checksum" | "commit":
            if not _COMMIT.fullmatch(value):
                raise ValueError(f"{name}={value} isn't a commit's hexadecimal digits, or the first of them")
            return replace(repository, commit=value)
    known = "ref, tag, branch, commit, checksum, subdir, keep-git-dir and submodules"
    raise ValueError(f"a repository's address knows no {name}=; there are {known}")
