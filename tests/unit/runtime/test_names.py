from __future__ import annotations

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.runtime.names import check, invent


@pytest.mark.parametrize("name", ["ab", "web-1", "A.b_c", "0x"])
def test_legal_names(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", ["", "a", "-a", ".a", "a b", "a/b", "ä1", "a\n"])
def test_illegal_names(name: str) -> None:
    with pytest.raises(InvalidOption, match=r"--name"):
        check(name)


def test_invented_names_are_legal_and_free() -> None:
    class AllButNumbered:
        def __contains__(self, name: object) -> bool:
            return not str(name)[-1].isdigit()

    name = invent(AllButNumbered())
    check(name)
    assert name[-1].isdigit()
