from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from dockmagic.builder import actions
from dockmagic.builder.caches import Caches
from dockmagic.builder.content import FileHashes
from dockmagic.builder.inputs import Inputs
from dockmagic.builder.mounting import Mounting, Supplies
from dockmagic.builder.seam import OnOutput, RunEnd, RunStep
from dockmagic.builder.sources import Origin, find_sources
from dockmagic.builder.steps import CopyAction, MakeDirectory, RunAction
from dockmagic.builder.tree import Tree
from dockmagic.dockerfile import instructions as df
from dockmagic.errors import BuildError, Failure, RunFailed, StartFailed, StoreError
from dockmagic.oci.spec import Mount
from tests.unit.builder.lab import Lab, fill

RUN = RunAction(("/bin/sh", "-c", "go"), ("A=1",), "bob", "/w", "none", hidden_env=("http_proxy=p",))
COPY = CopyAction(("a",), "/x/", None, None, (), unpack=False)


@pytest.fixture
def shop(lab: Lab) -> actions.Workshop:
    return actions.Workshop(lab.snapshots, lab.workspaces, lab.store.get("base").config)


def unmounted(shop: actions.Workshop) -> Mounting:
    """What places no mounts."""
    supplies = Supplies(Caches(shop.workspaces.directory.parent, shop.workspaces), FileHashes())
    return Mounting(df.Run(df.Command(("go",), shell=True)), (), supplies, lambda name: Origin(Tree(()), "nothing"))


class Watcher:
    """Hears what a command writes."""

    def __init__(self) -> None:
        self.container_id = ""
        self.used: RunEnd | None = None
        self.heard: list[tuple[str, bytes]] = []

    def running(self) -> None:
        assert len(self.container_id) == 64

    def output(self, stream: str, data: bytes) -> None:
        self.heard.append((stream, data))


def failed(made: actions.Made) -> RunFailed:
    """The failure of a command."""
    assert made.failure is not None
    return made.failure


def test_what_a_failed_command_did_is_kept(shop: actions.Workshop, lab: Lab) -> None:
    def run(step: RunStep, output: OnOutput) -> RunEnd:
        (step.upper / "half").write_text("done")
        return RunEnd(3)

    made = actions.run(RUN, unmounted(shop), shop, run, Watcher())
    assert failed(made).exit_status == 3
    assert (shop.snapshots.path(made.layer.chain_id) / "half").read_text() == "done"


def test_no_file_is_younger_than_it_may_be(shop: actions.Workshop) -> None:
    def run(step: RunStep, output: OnOutput) -> RunEnd:
        (step.upper / "new").write_text("n")
        (step.upper / "old").write_text("o")
        os.utime(step.upper / "old", (5, 5))
        return RunEnd(0)

    made = actions.run(RUN, unmounted(shop), replace(shop, latest_s=1000), run, Watcher())
    directory = shop.snapshots.path(made.layer.chain_id)
    assert [(directory / name).stat().st_mtime for name in (".", "new", "old")] == [1000, 1000, 5]


def test_a_command_gets_an_empty_upper_directory_over_the_layers(shop: actions.Workshop) -> None:
    seen: list[RunStep] = []

    def run(step: RunStep, output: OnOutput) -> RunEnd:
        seen.append(step)
        assert list(step.upper.iterdir()) == list(step.work.iterdir()) == []
        assert step.upper.stat().st_dev == step.work.stat().st_dev
        (step.upper / "made").write_text("m")
        return RunEnd(0)

    made = actions.run(RUN, unmounted(shop), shop, run, Watcher())
    assert made.certain
    assert made.layer.parent == shop.parent
    assert [path.name for path in shop.snapshots.path(made.layer.chain_id).iterdir()] == ["made"]
    options = seen[0].options
    assert seen[0].lower == shop.lower
    assert (options.command, options.entrypoint, options.user, options.workdir) == (RUN.argv, (), "bob", "/w")
    assert options.env == ("http_proxy=p", "A=1")


def test_a_script_is_shown_to_the_command_as_a_file(shop: actions.Workshop) -> None:
    def run(step: RunStep, output: OnOutput) -> RunEnd:
        (mount,) = step.options.mounts
        assert mount == Mount("/dev/pipes/EOF", "bind", mount.source, ("bind", "ro"))
        assert Path(mount.source).read_text() == "#!/bin/x\n"
        assert os.access(mount.source, os.X_OK)
        assert step.options.command == ("/dev/pipes/EOF",)
        return RunEnd(0)

    action = RunAction(("/bin/sh", "-c", ""), (), "", "/", "none", script="#!/bin/x\n", script_name="EOF")
    assert actions.run(action, unmounted(shop), shop, run, Watcher()).layer.size_bytes == 0


def test_a_command_that_fails_leaves_its_last_words(shop: actions.Workshop, lab: Lab) -> None:
    watcher = Watcher()

    def run(step: RunStep, output: OnOutput) -> RunEnd:
        for number in range(3000):
            output("stdout", f"line {number} {'x' * 60}\n".encode())
        output("stderr", b"the \xff end")
        return RunEnd(7)

    failure = failed(actions.run(RUN, unmounted(shop), shop, run, watcher))
    assert str(failure) == 'process "/bin/sh -c go" did not complete successfully: exit code: 7'
    lines = failure.output.splitlines()
    assert (len(lines), lines[-1], lines[0][:9]) == (20, "the � end", "line 2981")
    assert len(watcher.heard) == 3001
    assert lab.left() == []


def test_one_long_line_is_kept_whole(shop: actions.Workshop) -> None:
    def run(step: RunStep, output: OnOutput) -> RunEnd:
        output("stdout", b"x" * 200_000)
        return RunEnd(1)

    assert failed(actions.run(RUN, unmounted(shop), shop, run, Watcher())).output == "x" * 200_000


def test_a_command_that_cannot_start(shop: actions.Workshop) -> None:
    def run(step: RunStep, output: OnOutput) -> RunEnd:
        raise StartFailed(Failure("exec", errno.ENOENT, "/bin/sh: not found"), 127)

    with pytest.raises(BuildError, match='process "/bin/sh -c go" could not start: /bin/sh: not found'):
        actions.run(RUN, unmounted(shop), shop, run, Watcher())


def test_an_interrupt_leaves_nothing(shop: actions.Workshop, lab: Lab) -> None:
    def run(step: RunStep, output: OnOutput) -> RunEnd:
        (step.upper / "half").write_text("done")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        actions.run(RUN, unmounted(shop), shop, run, Watcher())
    assert lab.left() == []


def test_copies_become_a_layer(shop: actions.Workshop, context: Path) -> None:
    fill(context, {"a": "a"})
    origin = Origin(Tree((context,)), "the build context", root_owned=True)
    made = actions.copy_files(COPY, Inputs(find_sources(origin, ["a"]), ""), True, shop)
    assert (shop.snapshots.path(made.layer.chain_id) / "x/a").read_text() == "a"


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (errno.ENOSPC, StoreError, "no space left to copy to /x/; free some"),
        (errno.EIO, BuildError, r"cannot copy to /x/: Input/output error"),
    ],
)
def test_what_the_system_refuses(
    shop: actions.Workshop,
    context: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    kind: type[Exception],
    message: str,
) -> None:
    fill(context, {"a": "a" * (1 << 20)})
    origin = Origin(Tree((context,)), "the build context")
    inputs = Inputs(find_sources(origin, ["a"]), "")

    def refuse(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    with pytest.raises(kind, match=message):
        actions.copy_files(COPY, inputs, True, shop)


def test_directories(shop: actions.Workshop, lab: Lab) -> None:
    assert actions.is_directory("/srv/app", shop)
    assert actions.is_directory("/app", shop)
    assert not actions.is_directory("/app/new", shop)
    with pytest.raises(BuildError, match="WORKDIR /bin/sh isn't a directory"):
        actions.is_directory("/bin/sh", shop)
    made = actions.make_directory(MakeDirectory("/app/new", ""), shop)
    assert (shop.snapshots.path(made.layer.chain_id) / "srv/app/new").is_dir()
    old = actions.make_directory(MakeDirectory("/app/older/newer", "", mtime_s=5), shop)
    at = shop.snapshots.path(old.layer.chain_id) / "srv/app/older"
    assert (at / "newer").stat().st_mtime == 5


def test_nothing_below_the_first_layer(lab: Lab) -> None:
    empty = replace(lab.store.get("base").config, diff_ids=())
    shop = actions.Workshop(lab.snapshots, lab.workspaces, empty)
    assert (shop.parent, shop.lower) == (None, ())
    assert actions.make_directory(MakeDirectory("/x", ""), shop).layer.parent is None
