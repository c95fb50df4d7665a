from __future__ import annotations

import pytest

from dockmagic.oci.spec import User
from dockmagic.runtime.users import MAX_ID, Credentials, UnknownUser, resolve

PASSWD = """root:x:0:0:root:/root:/bin/sh
broken line
bad:x:one:two::/:/bin/sh
node:x:1000:1000::/home/node:/bin/sh
1234:x:77:78::/home/odd:/bin/sh
"""
GROUP = """root:x:0:
wheel:x:10:root,node
audio:x:29:node
staff:x:50
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", Credentials(0, 0, (10,), "/root")),
        ("root", Credentials(0, 0, (10,), "/root")),
        ("node", Credentials(1000, 1000, (10, 29), "/home/node")),
        ("1000", Credentials(1000, 1000, (10, 29), "/home/node")),
        ("node:audio", Credentials(1000, 29, (), "/home/node")),
        ("node:7", Credentials(1000, 7, (), "/home/node")),
        ("1000:1000", Credentials(1000, 1000, (), "/home/node")),
        ("4321", Credentials(4321, 0, (), "/")),
        ("1234", Credentials(77, 78, (), "/home/odd")),  # a name wins over a number
        (":staff", Credentials(0, 50, (), "/root")),
    ],
)
def test_names_and_numbers(name: str, expected: Credentials) -> None:
    assert resolve(User(username=name), PASSWD, GROUP) == expected


def test_numbers_of_a_spec_are_taken_as_they_are() -> None:
    assert resolve(User(uid=5, gid=6, additional_gids=(7,)), PASSWD, GROUP) == Credentials(5, 6, (7,), "/")
    assert resolve(User(uid=1000), PASSWD, GROUP).home == "/home/node"


def test_added_groups_come_after_the_users_own() -> None:
    assert resolve(User(username="node", additional_groups=("staff", "9")), PASSWD, GROUP).groups == (10, 29, 50, 9)


@pytest.mark.parametrize("name", ["ghost", "node:ghosts", "bad", str(MAX_ID + 1)])
def test_what_isn_t_there_is_refused(name: str) -> None:
    with pytest.raises(UnknownUser, match=r"unable to find|must be in range"):
        resolve(User(username=name), PASSWD, GROUP)


def test_an_image_without_files_has_numbers_only() -> None:
    assert resolve(User(), "", "") == Credentials(0, 0, (), "/")
    with pytest.raises(UnknownUser):
        resolve(User(username="root"), "", "")


@pytest.mark.parametrize("number", [str(MAX_ID + 1), "4294967295", "9" * 5000])
def test_an_entry_whose_number_is_out_of_range_counts_for_nothing(number: str) -> None:
    for name in ("app", number):
        with pytest.raises(UnknownUser):
            resolve(User(username=name), f"app:x:{number}:0::/:/bin/sh\n", "")


def test_only_a_line_feed_ends_an_entry() -> None:
    with pytest.raises(UnknownUser):
        resolve(User(username="app"), "me:x:7:7:\x0bapp:x:0:0::/:/bin/sh\n", "")
