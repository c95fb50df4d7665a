"""Image references: what a user types, and the one canonical form that the store and the registry use.

    reference := [registry "/"] repository [":" tag] ["@" digest]

Source: distribution-spec "Pulling manifests" and the grammar of github.com/distribution/reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from dockmagic.errors import InvalidManifest, InvalidReference
from dockmagic.oci.digest import Digest

DEFAULT_REGISTRY: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
OFFICIAL: Final = "library/"

_ALIASES: Final = (DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io")
_MAXIMUM_NAME = 255
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Names an image in a registry, by tag or by digest: one of the two is set, the other is "" or None.

    >>> Reference.parse("busybox")
    Reference(registry='docker.io', repository='library/busybox', tag='latest', digest=None)
    >>> str(Reference.parse("busybox")), Reference.parse("docker.io/library/busybox:latest").familiar
    ('docker.io/library/busybox:latest', 'busybox:latest')
    """

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str, default_tag: str = DEFAULT_TAG) -> Reference:
        """Reference that the text means; a digest makes a tag before it meaningless, so that the tag is dropped.

        Raises InvalidReference, which says what is wrong and what is expected.
        """
        rest, at, digest_text = text.partition("@")
        name, tag = _split_tag(rest)
        registry, repository = split_registry(name)
        _check_registry(text, registry)
        _check_repository(text, registry, repository)
        if tag is not None:
            _check_tag(text, tag)
        if registry.lower() in _ALIASES:
            registry = DEFAULT_REGISTRY
            repository = repository if "/" in repository else OFFICIAL + repository
        if at:
            return cls(registry, repository, digest=_digest(text, digest_text))
        return cls(registry, repository, default_tag if tag is None else tag)

    @property
    def name(self) -> str:
        """Registry and repository: "docker.io/library/busybox"."""
        return f"{self.registry}/{self.repository}"

    @property
    def identifier(self) -> str:
        """The tag or the digest, as a registry's address has it."""
        return self.tag if self.digest is None else self.digest

    @property
    def familiar(self) -> str:
        """The short form that Docker shows: "busybox:latest"; it means the same reference."""
        return self._join(self.familiar_name)

    @property
    def familiar_name(self) -> str:
        """The short form without tag and digest: "busybox"."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        short = self.repository.removeprefix(OFFICIAL)
        if "/" not in short:
            return short
        is_ambiguous = split_registry(self.repository)[0] != DEFAULT_REGISTRY
        return self.name if is_ambiguous else self.repository

    def __str__(self) -> str:
        return self._join(self.name)

    def _join(self, name: str) -> str:
        """A name with the tag or digest."""
        return f"{name}:{self.tag}" if self.digest is None else f"{name}@{self.digest}"


def _split_tag(text: str) -> tuple[str, str | None]:
    """Name and tag; a colon before the last slash belongs to the registry's port."""
    head, colon, tag = text.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (text, None)


def split_registry(name: str) -> tuple[str, str]:
    """Registry and repository; a first part is a registry where it couldn't be a repository's on Docker Hub."""
    head, slash, rest = name.partition("/")
    is_host = "." in head or ":" in head or head == "localhost" or head != head.lower()
    return (head, rest) if slash and is_host else (DEFAULT_REGISTRY, name)


def _check_registry(text: str, registry: str) -> None:
    """Refuse what is no host name with an optional port."""
    if _REGISTRY.fullmatch(registry) is None:
        _refuse(text, f"{registry!r} is not a registry's host name; expected HOST or HOST:PORT")


def _check_repository(text: str, registry: str, repository: str) -> None:
    """Refuse what the grammar doesn't allow as a repository's name."""
    if not repository:
        _refuse(text, "the repository name is missing; expected a form like busybox:latest")
    if repository != repository.lower():
        _refuse(text, f"the repository name must be lower case; did you mean {repository.lower()!r}?")
    for component in repository.split("/"):
        if _COMPONENT.fullmatch(component) is None:
            _refuse(
                text,
                f"{component!r} can't be part of a repository name; expected lower-case letters and digits, "
                "separated by '.', '_', '__' or '-'",
            )
    if len(registry) + 1 + len(repository) > _MAXIMUM_NAME:
        _refuse(text, f"the name is longer than {_MAXIMUM_NAME} characters")
    if _IMAGE_ID.fullmatch(repository):
        _refuse(text, "64 hexadecimal digits are an image ID, not a repository name")


def _check_tag(text: str, tag: str) -> None:
    """Refuse what the grammar doesn't allow as a tag."""
    if _TAG.fullmatch(tag) is None:
        _refuse(
            text,
            f"{tag[:40]!r} is not a tag; expected at most 128 letters, digits, '_', '.' or '-', "
            "the first being no '.' or '-'",
        )


def _digest(text: str, digest: str) -> Digest:
    """The digest after the @."""
    try:
        return Digest(digest)
    except InvalidManifest as error:
        raise InvalidReference(f"invalid image reference {text!r}: {error}") from error


def _refuse(text: str, why: str) -> NoReturn:
    """Raise the InvalidReference of this text."""
    raise InvalidReference(f"invalid image reference {text!r}: {why}")
