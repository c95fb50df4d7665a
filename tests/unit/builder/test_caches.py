from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from dockmagic.builder.caches import Caches, Wanted
from dockmagic.errors import StoreError
from dockmagic.image.workspace import Workspaces


def wanted(name: str, sharing: str = "shared", fill: Callable[[Path], None] = lambda tree: None) -> Wanted:
    return Wanted(name, sharing, (None, None), fill)


def impatient(name: str) -> None:
    """Nobody is to wait."""
    raise AssertionError(name)


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    return Caches(tmp_path, Workspaces(tmp_path))


def test_what_is_put_in_stays_and_a_new_one_is_filled_once(caches: Caches, tmp_path: Path) -> None:
    fills: list[Path] = []
    for _ in range(2):
        one = wanted("/x", fill=fills.append)
        with caches.use([one], impatient) as trees:
            tree = trees[one.key]
            assert tree.stat().st_mode & 0o7777 == 0o755
            (tree / "f").write_text((tree / "f").read_text() + "b" if (tree / "f").exists() else "a")
    assert (tree / "f").read_text() == "ab"
    assert len(fills) == 1
    assert (tree.parent / "id").read_text() == "/x"
    assert tree.parent.parent == tmp_path / "cache"


def test_another_id_or_origin_is_another_cache() -> None:
    keys = {
        Wanted(name, sharing, origin, lambda tree: None).key
        for name, sharing, origin in [
            ("a", "shared", ()),
            ("b", "shared", ()),
            ("a", "shared", (1,)),
            ("a", "locked", ()),
        ]
    }
    assert len(keys) == 3


def test_shared_ones_are_used_at_once_and_private_ones_are_apart(caches: Caches) -> None:
    with ExitStack() as stack:
        shared = [stack.enter_context(caches.use([wanted("s")], impatient)) for _ in range(2)]
        private = [stack.enter_context(caches.use([wanted("p", "private")], impatient)) for _ in range(3)]
        assert shared[0] == shared[1]
        assert [next(iter(trees.values())).parent.name[32:] for trees in private] == ["", "-1", "-2"]
    with caches.use([wanted("p", "private")], impatient) as trees:
        assert trees == private[0]


@pytest.mark.parametrize(("first", "second"), [("locked", "locked"), ("shared", "locked"), ("locked", "shared")])
def test_a_locked_one_is_waited_for(caches: Caches, first: str, second: str) -> None:
    waiting, order = threading.Event(), list[str]()

    def use() -> None:
        with caches.use([wanted("l", second)], lambda name: waiting.set()):
            order.append("second")

    with caches.use([wanted("l", first)], impatient):
        other = threading.Thread(target=use)
        other.start()
        assert waiting.wait(10)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]


def test_the_same_one_twice_is_had_once(caches: Caches) -> None:
    with caches.use([wanted("a", "locked"), wanted("a"), wanted("b")], impatient) as trees:
        assert len(trees) == 2


def test_one_that_was_removed_while_it_was_waited_for_is_made_again(caches: Caches) -> None:
    one = wanted("r", "locked")
    waiting = threading.Event()
    seen: list[bool] = []

    def use() -> None:
        with caches.use([one], lambda name: waiting.set()) as trees:
            seen.append(trees[one.key].is_dir())

    with caches.use([one], impatient) as trees:
        other = threading.Thread(target=use)
        other.start()
        assert waiting.wait(10)
        shutil.rmtree(trees[one.key].parent)
    other.join(10)
    assert seen == [True]


def test_one_that_cannot_be_filled_is_not_there(caches: Caches, tmp_path: Path) -> None:
    def fill(tree: Path) -> None:
        (tree / "half").touch()
        raise OSError(28, "No space left on device")

    with (
        pytest.raises(StoreError, match="cannot use a cache: No space left"),
        caches.use([wanted("x", fill=fill)], impatient),
    ):
        pass
    assert list((tmp_path / "cache").iterdir()) == list((tmp_path / "tmp").iterdir()) == []
