"""Users and groups looked up in a container's own files. Source: passwd(5), group(5), `docker run --user`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dockmagic.oci.spec import User

MAX_ID = (1 << 31) - 1
_DIGITS = 10


class UnknownUser(Exception):
    """A name that the container's files don't have, or a number that no id can be."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The ids that a process gets, and its home directory."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def resolve(user: User, passwd: str, group: str) -> Credentials:
    """Ids of `user.username` ("name", "uid", "name:group", "uid:gid" …), or of its numbers where that is empty.

    A number needs no entry. Without a group the user's own groups apply. Raises UnknownUser.
    """
    if not user.username and not user.additional_groups and user.uid:
        return Credentials(user.uid, user.gid, user.additional_gids, home(user.uid, passwd))
    name, _, group_name = user.username.partition(":")
    entry = _passwd_entry(name or str(user.uid), passwd)
    groups = user.additional_gids + tuple(_group_id(extra, group) for extra in user.additional_groups)
    if group_name:
        return Credentials(entry.uid, _group_id(group_name, group), groups, entry.home)
    return Credentials(entry.uid, entry.gid, tuple(_memberships(entry.name, group)) + groups, entry.home)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    uid: int
    gid: int
    home: str


def _passwd_entry(name: str, passwd: str) -> _Entry:
    """The entry with that name, else the one with that number, else a bare number."""
    entries = [_Entry(f[0], int(f[2]), int(f[3]), f[5]) for f in _rows(passwd, 6, numbers=(2, 3))]
    for entry in entries:
        if entry.name == name:
            return entry
    uid = _number(name)
    if uid is None:
        raise UnknownUser(f"unable to find user {name}: no matching entries in passwd file")
    return next((entry for entry in entries if entry.uid == uid), _Entry("", uid, 0, "/"))


def _group_id(name: str, group: str) -> int:
    for fields in _rows(group, 3, numbers=(2,)):
        if fields[0] == name:
            return int(fields[2])
    gid = _number(name)
    if gid is None:
        raise UnknownUser(f"unable to find group {name}: no matching entries in group file")
    return gid


def _memberships(name: str, group: str) -> Iterator[int]:
    """Groups that list this user as a member."""
    for fields in _rows(group, 4, numbers=(2,)):
        if name and name in fields[3].split(","):
            yield int(fields[2])


def home(uid: int, passwd: str) -> str:
    """Home directory of the user with this number, "/" where the file has none."""
    return next((f[5] for f in _rows(passwd, 6, numbers=(2,)) if int(f[2]) == uid), "/")


def _rows(text: str, width: int, numbers: Iterable[int]) -> Iterator[list[str]]:
    """Fields of each line that has enough of them, with ids where they must be; the rest is skipped."""
    for line in text.split("\n"):
        fields = line.split(":")
        if len(fields) >= width and all(_is_id(fields[index]) for index in numbers):
            yield fields


def _is_id(text: str) -> bool:
    """Whether the text is a number that an id can be: (uid_t) -1 would leave a process what it is, root."""
    return text.isdecimal() and len(text) <= _DIGITS and int(text) <= MAX_ID


def _number(text: str) -> int | None:
    """The id that this text is, or None where it is a name; raises UnknownUser for one out of range."""
    if not text.isdecimal():
        return None
    if not _is_id(text):
        raise UnknownUser(f"uids and gids must be in range 0-{MAX_ID}: {text}")
    return int(text)
