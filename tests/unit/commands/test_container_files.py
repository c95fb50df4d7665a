from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dockmagic.commands.catalogue import find
from dockmagic.commands.container_files import ContainerChanges, Copy, Export
from dockmagic.errors import InvalidOption, NotFound
from dockmagic.files.copying import Copied
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import IMAGE_ID, FakeConsole, FakeContainer, FakeContainers, FakeEngine, change


@pytest.fixture
def burn() -> FakeContainer:
    return FakeContainer()


@pytest.fixture
def engine(burn: FakeContainer) -> FakeEngine:
    return FakeEngine(containers=FakeContainers({"burn": burn}))


@pytest.fixture
def given() -> Iterator[FakeConsole]:
    """A console with "given" on standard input, and a file for output."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(b"given")
        source.seek(0)
        yield FakeConsole(stdin=source.fileno(), stdout=target.fileno())


def written(console: FakeConsole) -> bytes:
    """What went to standard output."""
    assert console.stdout is not None
    return os.pread(console.stdout, 100, 0)


def test_diff_in_dockers_form(engine: FakeEngine, burn: FakeContainer) -> None:
    burn.changed = (change("/a", "C", "dir"), change("/a/<b>", "A", size_bytes=1500), change("/c", "D"))
    result = call(engine, "diff", "burn")
    assert str(result) == "C /a\nA /a/<b>\nD /c"
    assert (len(result), result[1].path) == (3, "/a/<b>")
    assert "&lt;b&gt;" in result._repr_html_()
    assert "1.5kB" in result._repr_html_()


def test_a_long_diff_is_cut_in_notebooks() -> None:
    changes = ContainerChanges(tuple(change(f"/{number}") for number in range(600)))
    assert "… 100 more" in changes._repr_html_()
    assert "nothing was changed" in ContainerChanges(())._repr_html_()


def test_export(engine: FakeEngine, given: FakeConsole, tmp_path: Path) -> None:
    assert str(call(engine, "export", "burn", console=given)) == ""
    assert written(given) == b"archive"
    call(engine, "export", "-o", str(tmp_path / "out"), "burn")
    assert (tmp_path / "out").read_bytes() == b"archive"


def test_export_in_a_notebook_gives_something_to_save(engine: FakeEngine, tmp_path: Path) -> None:
    result = call(engine, "export", "burn")
    assert isinstance(result, Export)
    assert str(result) == "the files of burn; .save(FILE) writes them as a tar archive"
    result.save(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"archive"


def test_export_to_a_terminal_is_refused(engine: FakeEngine) -> None:
    main, terminal = os.openpty()
    with pytest.raises(InvalidOption, match="cowardly refusing to export to a terminal"):
        call(engine, "export", "burn", console=FakeConsole(stdout=terminal))
    os.close(main)
    os.close(terminal)


@pytest.mark.parametrize(
    ("words", "reference", "options"),
    [
        (["burn"], "", {}),
        (["burn", "app:1"], "app:1", {}),
        (["-a", "me", "-m", "why", "burn", "x"], "x", {"author": "me", "message": "why"}),
        (["-c", "CMD a", "--change=ENV b=c", "burn"], "", {"changes": ["CMD a", "ENV b=c"]}),
        (["--pause=false", "burn"], "", {"pause": False}),
        (["-p=false", "burn"], "", {"pause": False}),
        (["--no-pause", "burn"], "", {"pause": False}),
        (["-p", "burn"], "", {}),
    ],
)
def test_commit(
    words: list[str], reference: str, options: dict[str, Any], engine: FakeEngine, burn: FakeContainer
) -> None:
    result = call(engine, "commit", *words)
    defaults = {"author": "", "message": "", "changes": [], "pause": True}
    assert burn.calls == [("commit", reference, {**defaults, **options})]
    assert str(result) == str(IMAGE_ID)


def test_import(engine: FakeEngine, given: FakeConsole) -> None:
    call(engine, "import", "-c", "CMD a", "-m", "why", "--platform", "linux/arm64", "root.tar", "app:1")
    call(engine, "image", "import", "-", console=given)
    options = {"changes": ["CMD a"], "message": "why", "platform": "linux/arm64"}
    nothing = {"changes": [], "message": "", "platform": ""}
    assert engine.images.calls == [("import", "root.tar", "app:1", options), ("import", b"given", "", nothing)]
    with pytest.raises(InvalidOption, match="requested import from stdin, but stdin is empty"):
        call(engine, "import", "-")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["burn:/a", "b"], ("copy_from", "/a", "b", {"archive": False, "follow": False})),
        (["-aL", "burn:a/.", "."], ("copy_from", "a/.", ".", {"archive": True, "follow": True})),
        (["a", "burn:/b/"], ("copy_to", "a", "/b/", {"archive": False, "follow": False})),
        (["--archive", "./x:y", "burn:"], ("copy_to", "./x:y", "", {"archive": True, "follow": False})),
        (["burn:/a", "-"], ("copy_from", "/a", 7, {"archive": False, "follow": False})),
        (["-", "burn:/b"], ("copy_to", b"given", "/b", {"archive": False, "follow": False})),
    ],
)
def test_cp(
    words: list[str], expected: tuple[Any, ...], engine: FakeEngine, burn: FakeContainer, given: FakeConsole
) -> None:
    call(engine, "cp", *words, console=given)
    assert burn.calls == [expected]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["a", "b"], InvalidOption, "one of the two must be in a container"),
        (["a:/x", "b:/y"], InvalidOption, "copying between containers isn't supported"),
        (["", "burn:/y"], InvalidOption, "the source is empty"),
        (["burn:/x", ""], InvalidOption, "the target is empty"),
        (["none:/x", "y"], NotFound, "no such container: none"),
        (["burn:/x", "-"], InvalidOption, "cowardly refusing to copy to a terminal"),
        (["-", "burn:/x"], InvalidOption, "requested copy from stdin, but stdin is empty"),
        (["burn:/x"], InvalidOption, "missing"),
    ],
)
def test_cp_refuses(words: list[str], error: type[Exception], message: str, engine: FakeEngine) -> None:
    with pytest.raises(error, match=message):
        call(engine, "cp", *words)


def test_cp_says_what_it_did_to_a_terminal_only(given: FakeConsole) -> None:
    copy = Copy(Copied(1234, "burn:/x"))
    assert str(copy) == "Successfully copied 1.23kB to burn:/x"
    assert str(Copy(Copied(1234, "burn:/x"), quiet=True)) == ""
    show = find(["cp"])[0].show
    show(copy, given)
    assert written(given) == b""
    main, terminal = os.openpty()
    console = FakeConsole(stdout=terminal)
    show(copy, console)
    os.close(main)
    os.close(terminal)
    assert console.streams["stderr"] == b"Successfully copied 1.23kB to burn:/x\n"
