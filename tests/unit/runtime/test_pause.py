from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dockmagic.errors import ContainerError
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.cgroup.hierarchy import Hierarchies
from dockmagic.runtime.pause import collect, paused


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Group:
    """A group whose freezer is a file."""
    (tmp_path / "freezer/dockmagic").mkdir(parents=True)
    hierarchies = Hierarchies({"freezer": str(tmp_path / "freezer")}, "")
    monkeypatch.setattr(hierarchy, "detect", lambda: hierarchies)
    group = Group(hierarchies, "one")
    group.create()
    (Path(group.paths()["freezer"]) / "freezer.state").write_text("THAWED")
    return group


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The container's."""
    (tmp_path / "containers/c").mkdir(parents=True)
    return tmp_path / "containers/c"


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, OSError])
def test_it_goes_on_whatever_happens(error: type[BaseException] | None, group: Group, directory: Path) -> None:
    def stand_still() -> None:
        with paused(directory, "one"):
            assert group.is_frozen()
            if error is not None:
                raise error

    if error is None:
        stand_still()
    else:
        with pytest.raises(error):
            stand_still()
    assert not group.is_frozen()
    assert list(directory.iterdir()) == []


def test_an_interrupt_while_it_is_let_go(group: Group, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Group.thaw, []

    def thaw(group: Group) -> None:
        calls.append(group)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(group)

    monkeypatch.setattr(Group, "thaw", thaw)
    with pytest.raises(KeyboardInterrupt), paused(directory, "one"):
        pass
    assert not group.is_frozen()


def test_a_group_that_cannot_be_stopped(group: Group, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Group, "is_frozen", lambda group: False)
    with pytest.raises(ContainerError, match="they didn't stop in time"), paused(directory, "one"):
        pass
    (Path(group.paths()["freezer"]) / "freezer.state").unlink()
    with pytest.raises(ContainerError, match="No such file"), paused(directory, "one"):
        pass
    assert list(directory.iterdir()) == []


def test_the_second_waits(group: Group, directory: Path) -> None:
    entered = threading.Event()

    def second() -> None:
        with paused(directory, "one"):
            entered.set()

    thread = threading.Thread(target=second)
    with paused(directory, "one"):
        thread.start()
        assert not entered.wait(0.1)
    thread.join()
    assert entered.is_set()
    assert not group.is_frozen()


def test_what_a_killed_process_left_is_let_go(group: Group, directory: Path) -> None:
    group.freeze()
    (directory / "frozen").write_text("one")
    collect(directory.parent)
    assert not group.is_frozen()
    assert list(directory.iterdir()) == []


def test_what_somebody_holds_stays(group: Group, directory: Path) -> None:
    with paused(directory, "one"):
        collect(directory.parent)
        assert group.is_frozen()
    collect(directory.parent / "missing")
