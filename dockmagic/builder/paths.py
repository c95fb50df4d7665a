"""Paths inside an image or a build context, as text: always "/"-separated, never the host's. Pure.

A relative path has no "/" at either end and no "." or ".." in it; "" is the root itself.
"""

from __future__ import annotations


def relative(path: str) -> str:
    """The path below the root that `path` means there; ".." stops at the root.

    >>> relative("/../a//b/./c/../d/")
    'a/b/d'
    """
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def absolute(directory: str, path: str) -> str:
    """The absolute form of `path` for somebody in `directory`, without a "/" at the end.

    >>> absolute("/app", "../etc"), absolute("/app", "/"), absolute("", "x")
    ('/etc', '/', '/x')
    """
    return "/" + relative(path if path.startswith("/") else f"{directory}/{path}")


def destination(directory: str, path: str) -> str:
    """As `absolute`, with a "/" at the end where `path` says that it is a directory.

    >>> destination("/app", "."), destination("/app", "x"), destination("/", "y/")
    ('/app/', '/app/x', '/y/')
    """
    cleaned = absolute(directory, path)
    names_directory = path.rsplit("/", 1)[-1] in ("", ".", "..")
    return f"{cleaned.rstrip('/')}/" if names_directory else cleaned


def parent(path: str) -> str:
    """The directory that a relative path is in; the root is its own."""
    return path.rpartition("/")[0]


def name(path: str) -> str:
    """The last part of a relative path; "" for the root."""
    return path.rpartition("/")[2]


def join(directory: str, child: str) -> str:
    """Two relative paths as one; either may be ""."""
    return f"{directory}/{child}" if directory and child else directory or child


def climbs_out(path: str) -> bool:
    """Whether ".." in `path` would leave the root that it starts from.

    >>> climbs_out("a/../../b"), climbs_out("a/../b")
    (True, False)
    """
    depth = 0
    for part in path.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return False
