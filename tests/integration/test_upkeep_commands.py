"""The commands of the upkeep from a terminal: what they ask, what they take, what they tell."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

from dockmagic.engine import Engine
from dockmagic.oci.options import RunOptions
from tests.integration.workers import check_whole

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

PROGRAM = [sys.executable, "-m", "dockmagic"]


def dockmagic(*words: str, text: str = "", status: int = 0, **environ: str) -> str:
    """What a command line writes to standard output; its errors where it is to fail."""
    done = subprocess.run(
        [*PROGRAM, *words], input=text, capture_output=True, text=True, timeout=60, env={**os.environ, **environ}
    )
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def on_terminal(answer: bytes, *words: str) -> tuple[int, str]:
    """Status and screen of a command line that is answered on a terminal of its own, once it asks."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAM[0], [*PROGRAM, *words])
    screen = b""
    while b"[y/N] " not in screen:
        screen += os.read(terminal, 4096)
    os.write(terminal, answer)
    try:
        while data := os.read(terminal, 4096):
            screen += data
    except OSError:  # the other side is closed
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.decode()


@pytest.fixture
def dangling(engine: Engine) -> str:
    """ID of a dangling image; there is also a stopped container of busybox."""
    engine.containers.create("busybox", RunOptions(name="stopped"))
    first = engine.build("FROM busybox\nRUN head -c 100000 /dev/urandom > /1", tags=["app"])
    engine.build("FROM busybox\nRUN echo 2 > /2", tags=["app"])
    return first.id


def ids(engine: Engine) -> list[str]:
    return [image.id for image in engine.images.ls()]


def test_yes_on_a_terminal(engine: Engine, dangling: str) -> None:
    status, screen = on_terminal(b"y\n", "image", "prune")
    assert status == 0
    assert "WARNING! This will remove all dangling images." in screen
    assert f"deleted: {dangling}" in screen
    assert dangling not in ids(engine)
    assert len(ids(engine)) == 2


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"maybe\n"])
def test_anything_else_on_a_terminal(engine: Engine, dangling: str, answer: bytes) -> None:
    status, screen = on_terminal(answer, "system", "prune")
    assert (status, "reclaimed" in screen) == (0, False)
    assert dangling in ids(engine)
    assert len(engine.containers.ls(all=True)) == 1


@pytest.mark.parametrize(("answer", "expected"), [(b"\x04", 1), (b"\x03", 130)], ids=["end of file", "interrupt"])
def test_no_answer_on_a_terminal(engine: Engine, dangling: str, answer: bytes, expected: int) -> None:
    status, screen = on_terminal(answer, "system", "prune", "-a")
    assert status == expected
    assert "Traceback" not in screen
    assert dangling in ids(engine)


@pytest.mark.parametrize("noun", ["image", "container", "builder", "system"])
def test_an_input_that_ends_removes_nothing(engine: Engine, dangling: str, noun: str) -> None:
    assert "nothing was removed: nobody answered; add --force" in dockmagic(noun, "prune", text="", status=1)
    assert dangling in ids(engine)
    assert len(engine.containers.ls(all=True)) == 1


def test_until_and_labels(engine: Engine, dangling: str) -> None:
    assert "reclaimed space: 0B" in dockmagic("image", "prune", "-f", "--filter", "until=1h")
    assert "reclaimed space: 0B" in dockmagic("container", "prune", "-f", "--filter", "until=1h")
    assert dangling in ids(engine)
    assert len(engine.containers.ls(all=True)) == 1
    later = str(int(time.time()) + 100)
    assert dangling in dockmagic("image", "prune", "-f", "--filter", f"until={later}", "--filter", "label!=keep")
    assert engine.containers.ls(all=True)[0].id in dockmagic("container", "prune", "-f", "--filter", f"until={later}")
    assert "isn't a time" in dockmagic("image", "prune", "-f", "--filter", "until=soon", status=125)


def test_what_df_and_du_tell_is_what_a_prune_gives(engine: Engine, dangling: str) -> None:
    dockmagic("image", "prune", "-f")
    before = engine.upkeep.usage()
    df, detail, du = dockmagic("system", "df"), dockmagic("system", "df", "-v"), dockmagic("builder", "du", "--verbose")
    assert [line.split("  ")[0] for line in df.splitlines()] == [
        "TYPE", "Images", "Containers", "Local Volumes", "Build Cache",
    ]  # fmt: skip
    assert "stopped" in detail
    assert "Type:\tregular" in du
    expected = sum(record.size_bytes for record in before.cache if record.reclaimable)
    assert expected > 200_000
    assert engine.upkeep.prune_cache().reclaimed_bytes == expected
    dockmagic("system", "prune", "-af")
    assert [*engine.images.ls(), *engine.containers.ls(all=True), *engine.upkeep.cache()] == []
    check_whole(engine.root)


def test_the_limit_in_the_environment(engine: Engine) -> None:
    line = ("build", "-q", "--pull=false", "-")
    assert "DOCKMAGIC_BUILD_CACHE_LIMIT: " in dockmagic("images", status=125, DOCKMAGIC_BUILD_CACHE_LIMIT="much")
    dockmagic(*line, text="FROM busybox\nRUN echo 1 > /1", DOCKMAGIC_BUILD_CACHE_LIMIT="unlimited")
    engine.images.rm(engine.images.ls()[0].id)
    with engine.database.transaction() as transaction:
        transaction.execute("UPDATE build_cache SET used_ns = used_ns - 3600 * 1000000000")
    kept = [record.id for record in engine.upkeep.cache() if not record.shared and record.kind == "regular"]
    dockmagic(*line, text="FROM busybox\nRUN echo 2 > /2", DOCKMAGIC_BUILD_CACHE_LIMIT="1GB")
    assert set(kept) < {record.id for record in engine.upkeep.cache()}
    dockmagic(*line, text="FROM busybox\nRUN echo 2 > /2", DOCKMAGIC_BUILD_CACHE_LIMIT="1")
    assert not set(kept) & {record.id for record in engine.upkeep.cache()}
