"""What a COPY or ADD names, found in the build context, a stage or an image: names and wildcards to files.

    "src/*.py" in an Origin  ->  [Source(name, items)], the files below each source included

Nothing outside the origin is ever reached: ".." stops at its root, and symbolic links are followed inside it. A
source that is a link is followed, links below a source are copied. Source: Dockerfile reference, "COPY"; BuildKit.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dockmagic.builder import paths
from dockmagic.builder.choice import Choice, path_pattern, picking, pivoted
from dockmagic.builder.tree import Found, Resolved, Tree
from dockmagic.dockerfile.ignore import IgnoreFile
from dockmagic.errors import BuildError

_WILD = "*?["
_EVERYTHING = Choice()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where sources are looked for. `what` is for messages; with `root_owned` all files count as root's.

    `identity` stands for all that is in it, "" where only a look at it can tell.
    """

    tree: Tree
    what: str
    ignore: IgnoreFile = field(default_factory=IgnoreFile)
    root_owned: bool = False
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to copy; `below` is its path inside the source, "" for the source itself."""

    below: str
    found: Found


@dataclass(frozen=True, slots=True)
class Source:
    """A source and all in it, a directory before its contents; `name` is what it is called in a directory.

    `remote` tells that it was fetched from elsewhere.
    """

    name: str
    items: tuple[Item, ...]
    remote: bool = False

    @property
    def is_dir(self) -> bool:
        """Whether its contents are copied rather than itself."""
        return self.items[0].found.is_dir


def find_sources(
    origin: Origin, names: Sequence[str], choice: Choice = _EVERYTHING, *, parents: bool = False
) -> list[Source]:
    """Everything that the names stand for, in order, as far as it is in `choice`.

    With `parents` a source is the directory at the name's pivot, and holds what the rest of the name matches and the
    directories above that. A wildcard that matches nothing adds nothing. Raises BuildError for a name that isn't there.
    """
    if parents:
        return [source for name in names for source in _find_with_parents(origin, name, choice)]
    return [source for name in names for source in _find(origin, name, choice)]


def find_source(origin: Origin, name: str) -> Source:
    """Everything that one name stands for, which is no pattern; raises BuildError for a name that isn't there."""
    return source_at(origin, paths.relative(name), name)


def locate(origin: Origin, name: str) -> Found:
    """What a name that is no pattern leads to; raises BuildError for one that isn't there, or isn't to be seen."""
    path = paths.relative(name)
    resolved = origin.tree.resolve(path)
    found = origin.tree.find(resolved.path)
    hidden = found is not None and not found.is_dir and not _included(origin, resolved.path)
    if found is None or hidden:
        raise BuildError(_not_found(origin, name, path, resolved))
    return found


def is_wild(text: str) -> bool:
    """Whether a name is a pattern: it has *, ? or [ without a backslash before it.

    >>> is_wild("a*"), is_wild(r"a\\*")
    (True, False)
    """
    escaped = False
    for char in text:
        if not escaped and char in _WILD:
            return True
        escaped = char == "\\" and not escaped
    return False


def _find(origin: Origin, name: str, choice: Choice) -> Iterator[Source]:
    path = paths.relative(name)
    wild = is_wild(path)
    for match in _matches(origin, path) if wild else [path]:
        source = source_at(origin, match, name, choice)
        if (source.is_dir and not wild) or not choice.leaves_out(source.name):
            yield source


def _find_with_parents(origin: Origin, name: str, choice: Choice) -> Iterator[Source]:
    base, pattern = pivoted(name)
    picked, wild = picking(choice, pattern), is_wild(base) or is_wild(pattern)
    for match in _matches(origin, base) if is_wild(base) else [base]:
        top = origin.tree.lookup(match)
        items = tuple(_walk(origin, top, picked)) if top is not None and top.is_dir else ()
        if items:
            yield Source(paths.name(match), items)
        elif not wild and not choice.leaves_out(pattern):
            raise BuildError(_not_picked(origin, name, paths.join(base, pattern)))


def _matches(origin: Origin, pattern: str) -> list[str]:
    """Paths that match; the wild part of the pattern goes through no links."""
    parts = pattern.split("/")
    wild_from = next(index for index, part in enumerate(parts) if is_wild(part))
    fixed = origin.tree.resolve("/".join(parts[:wild_from])).path
    candidates = [fixed]
    for part in parts[wild_from:]:
        wanted = path_pattern(part)
        candidates = [
            paths.join(directory, name)
            for directory in candidates
            for name in _names(origin.tree, directory)
            if wanted.matches(name)
        ]
    return [path for path in candidates if _included(origin, path)]


def _names(tree: Tree, path: str) -> list[str]:
    found = tree.find(path)
    return tree.names(path) if found is not None and found.is_dir else []


def source_at(origin: Origin, path: str, written: str, choice: Choice = _EVERYTHING) -> Source:
    """The source at a path that is no pattern, links on the way followed; raises BuildError if it isn't there.

    `written` is how messages call it.
    """
    resolved = origin.tree.resolve(path)
    found = origin.tree.find(resolved.path)
    items = tuple(_walk(origin, found, choice)) if found is not None else ()
    if not items or (path != resolved.path and not _included(origin, path)):
        raise BuildError(_not_found(origin, written, path, resolved))
    return Source(paths.name(path), items)


def _walk(origin: Origin, top: Found, choice: Choice) -> Iterator[Item]:
    """The included part of a source; a directory that is excluded itself is there if something in it is."""
    waiting: list[tuple[Found, tuple[Found, ...]]] = [(top, ())]
    shown: set[str] = set()
    while waiting:
        found, excluded_above = waiting.pop()
        below = _below(top, found)
        included = _included(origin, found.path) and choice.includes(below) and not stat.S_ISSOCK(found.status.st_mode)
        if included:
            new = [each for each in (*excluded_above, found) if each.path not in shown]
            shown.update(each.path for each in new)
            yield from (Item(_below(top, each), each) for each in new)
        elif not found.is_dir or not (_may_include_below(origin, found.path) and choice.may_include_below(below)):
            continue
        above = () if included else (*excluded_above, found)
        waiting += [(child, above) for child in reversed(_children(origin.tree, found))]


def _below(top: Found, found: Found) -> str:
    """Path inside the source."""
    return found.path[len(top.path) :].lstrip("/")


def _children(tree: Tree, found: Found) -> list[Found]:
    names = tree.names(found.path) if found.is_dir else []
    children = (tree.find(paths.join(found.path, name)) for name in names)
    return [child for child in children if child is not None]


def _included(origin: Origin, path: str) -> bool:
    return not path or not origin.ignore.excludes(path)


def _may_include_below(origin: Origin, path: str) -> bool:
    return _included(origin, path) or origin.ignore.may_include_below(path)


def _not_found(origin: Origin, written: str, path: str, resolved: Resolved) -> str:
    """The message for a source that isn't there: what it is, and the likely reason."""
    message = f'"{written}" not found in {origin.what}'
    exists = origin.tree.find(resolved.path) is not None
    if exists:
        return f"{message}: it is excluded by .dockerignore; take it out there, or add a line !{path}"
    if paths.climbs_out(written):
        return f'{message}: a path can\'t leave it, so this looks for "{path}" inside; choose a context that has it'
    if resolved.escaped:
        return f"{message}: a symbolic link on the way leads out of it; copy the file itself into it"
    return f"{message}; names are relative to its root"


def _not_picked(origin: Origin, written: str, path: str) -> str:
    """As `_not_found`, for --parents, which follows no links."""
    resolved = origin.tree.resolve(path)
    if resolved.path != path and origin.tree.find(resolved.path) is not None:
        return (
            f'"{written}" leads through a symbolic link, which --parents doesn\'t follow; '
            f"write where it leads, {resolved.path or '.'}"
        )
    return _not_found(origin, written, path, resolved)
