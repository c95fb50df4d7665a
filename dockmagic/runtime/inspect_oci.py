"""A container's config.json as it stands: its spec, with what the container's own files and other containers decide."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any, Final

from dockmagic.errors import InvalidOption
from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from dockmagic.oci import bundle
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Spec, User
from dockmagic.runtime import users
from dockmagic.runtime.container import Containers, Row
from dockmagic.runtime.seccomp_document import default_document
from dockmagic.runtime.seccomp_json import chosen
from dockmagic.runtime.view import opened_root

_INSIDE: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_FILES: Final = {"network": "net"}
_MAX_FILE: Final = 16 << 20  # bytes of /etc/passwd or /etc/group


def config(rows: Containers, row: Row) -> dict[str, Any]:
    """The container's config.json; raises InvalidOption where its user isn't in its files."""
    joined = {kind: f"/proc/{rows.state(other).pid}/ns/{_FILES.get(kind, kind)}" for kind, other in _others(row)}
    return bundle.document(row.spec, _user(rows, row), seccomp(row.spec, row.options), joined)


def _others(row: Row) -> list[tuple[str, str]]:
    return list(row.options.joined().items())


def seccomp(spec: Spec, options: RunOptions) -> dict[str, Any]:
    """The rules of the filter that the container has, nothing without one."""
    if not spec.linux.seccomp_filter:
        return {}
    capabilities = frozenset(spec.process.capabilities.bounding)
    if options.seccomp == "profile":
        return chosen(options.seccomp_profile, capabilities)
    return default_document(capabilities)


def _user(rows: Containers, row: Row) -> User:
    """Whom the container's process runs as, by numbers, as its own files say now."""
    wanted = row.spec.process.user
    with opened_root(rows, row) as root:
        passwd, group = _read(root, "etc/passwd"), _read(root, "etc/group")
    try:
        found = users.resolve(wanted, passwd, group)
    except users.UnknownUser as error:
        raise InvalidOption(f"--oci: {error}") from error
    groups = tuple(dict.fromkeys((found.gid, *found.groups)))
    return User(found.uid, found.gid, wanted.umask, groups)


def _read(root: int, path: str) -> str:
    """A regular file of the container, "" where it has none."""
    with contextlib.suppress(OSError):
        descriptor = openat2(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, 0, _INSIDE)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return file.read(_MAX_FILE).decode("utf-8", "surrogateescape")
    return ""
