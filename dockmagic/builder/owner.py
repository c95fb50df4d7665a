"""--chown and the owner of WORKDIR: words to numbers, names looked up in the image's own files.

Source: Dockerfile reference, "COPY --chown"; BuildKit, for which a user's number alone is the group's too.
"""

from __future__ import annotations

import os
from typing import Final

from dockmagic.builder.attributes import Owner
from dockmagic.builder.tree import Tree
from dockmagic.errors import BuildError
from dockmagic.oci.spec import User
from dockmagic.runtime import users

_MAX_FILE_BYTES: Final = 1 << 22  # of an image's passwd or group


def owner_of(text: str, tree: Tree) -> Owner:
    """The numbers that "user", "user:group", "uid" or "uid:gid" mean in this image.

    Raises BuildError for a name that it doesn't have.
    """
    user, _, group = text.partition(":")
    if not user:
        raise BuildError(f"{text!r} names no user; write name, name:group, uid or uid:gid")
    try:
        found = users.resolve(User(username=text), _read(tree, "etc/passwd"), _read(tree, "etc/group"))
    except users.UnknownUser as error:
        raise BuildError(f"{error}; give a number, or add the name to the image in a RUN before") from error
    return Owner(found.uid, found.uid if user.isdecimal() and not group else found.gid)


def _read(tree: Tree, path: str) -> str:
    """Text of a file in the image; "" where there is none."""
    found = tree.lookup(path)
    if found is None or not found.is_file:
        return ""
    with os.fdopen(found.open(), encoding="utf-8", errors="surrogateescape") as file:
        return file.read(_MAX_FILE_BYTES)
