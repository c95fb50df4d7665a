"""COPY and ADD from their nodes. Source: Dockerfile reference, "COPY", "ADD"."""

from __future__ import annotations

from dataclasses import replace

from dockmagic.dockerfile.flags import Flags, Kind
from dockmagic.dockerfile.heredocs import heredoc_of
from dockmagic.dockerfile.instructions import Add, Copy
from dockmagic.dockerfile.nodes import Heredoc, Node
from dockmagic.dockerfile.words import json_strings, split_blanks

_COPY_FLAGS: dict[str, Kind] = {
    "from": "value", "chown": "value", "chmod": "value", "link": "switch", "parents": "switch", "exclude": "values",
}  # fmt: skip
_ADD_FLAGS: dict[str, Kind] = {
    "chown": "value", "chmod": "value", "checksum": "value", "link": "switch", "keep-git-dir": "switch",
    "unpack": "switch", "exclude": "values",
}  # fmt: skip
_MIN_WORDS = 2


def copy(node: Node, escape: str) -> Copy:
    """COPY [flags] source … destination, or the same as a JSON array."""
    flags = Flags(node, _COPY_FLAGS)
    sources, destination, heredocs = _places(node)
    from_ = flags.value("from")
    if from_ is not None and "$" in from_[:-1]:
        raise node.fault(
            "'--from' doesn't support variable expansion, define alias stage instead: FROM … AS NAME", "--from"
        )
    return Copy(
        sources,
        destination,
        from_=from_,
        chown=flags.value("chown"),
        chmod=flags.value("chmod"),
        link=flags.switch("link") or False,
        parents=flags.switch("parents") or False,
        exclude=flags.values("exclude"),
        heredocs=heredocs,
    )


def add(node: Node, escape: str) -> Add:
    """ADD [flags] source … destination, or the same as a JSON array."""
    flags = Flags(node, _ADD_FLAGS)
    sources, destination, heredocs = _places(node)
    return Add(
        sources,
        destination,
        chown=flags.value("chown"),
        chmod=flags.value("chmod"),
        checksum=flags.value("checksum"),
        link=flags.switch("link") or False,
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=flags.switch("unpack"),
        exclude=flags.values("exclude"),
        heredocs=heredocs,
    )


def _places(node: Node) -> tuple[tuple[str, ...], str, tuple[Heredoc, ...]]:
    """The sources that are paths, the destination, and the sources that are here-documents."""
    strings = json_strings(node.rest)
    words = split_blanks(node.rest) if strings is None else list(strings)
    if len(words) < _MIN_WORDS:
        raise node.fault(
            f"{node.name} requires at least two arguments, but only {'one was' if words else 'zero were'} provided."
            f" Destination could not be determined; write {node.name} SOURCE DESTINATION"
        )
    if not node.heredocs:
        return tuple(words[:-1]), words[-1], ()
    if heredoc_of(words[-1]) is not None:
        raise node.fault(f"{node.name} cannot accept a heredoc as a destination; write a path last", words[-1])
    contents = {heredoc.name: heredoc.content for heredoc in node.heredocs}
    paths: list[str] = []
    heredocs: list[Heredoc] = []
    for word in words[:-1]:
        heredoc = heredoc_of(word)
        if heredoc is not None and heredoc.name in contents:
            heredocs.append(replace(heredoc, content=contents[heredoc.name]))
        else:
            paths.append(word)
    return tuple(paths), words[-1], tuple(heredocs)
