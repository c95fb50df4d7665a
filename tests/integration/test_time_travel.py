"""The files as they were after any step of a real build: shells in them, and what differs between them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import NotFound, RunFailed, StoreError
from dockmagic.oci.options import RunOptions
from tests.integration.containers import Collector, Outcome

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

STAGES = """FROM busybox AS one
RUN mkdir /d && echo 1 > /d/a && echo 2 > /d/b && echo 3 > /d/same
RUN rm /d/a && chmod 600 /d/b && chown 7:8 /d/same && echo 4 > /d/c && ln -s c /d/link
RUN rm -r /d && mkdir /d && echo 5 > /d/new
FROM busybox
COPY --from=one /d /e
CMD ["cat", "/e/new"]
"""
FAILING = """FROM busybox
ARG WHO=nobody
ENV PLACE=here
RUN echo bob:x:1000:1000::/w:/bin/sh >> /etc/passwd && mkdir /w && chown bob /w
USER bob
WORKDIR /w
RUN echo "$WHO $PLACE" > half && exit 3
"""


def shell(engine: Engine, name: str, *command: str, before: bool = False) -> Outcome:
    """What a command says in this state."""
    collector = Collector()
    with engine.past.image(engine.past.state(name, before=before)) as image:
        options = RunOptions(command=command, entrypoint=(), remove=True)
        result = engine.containers.run(image.id, options, on_event=collector)
    return collector.outcome(result.exit_status)


def dockmagic(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    program = [sys.executable, "-m", "dockmagic", *words]
    return subprocess.run(program, input=text, capture_output=True, text=True, timeout=60)


def changes(engine: Engine, before: str, after: str) -> list[str]:
    """The changes from one state to another, in one line each."""
    found = engine.past.diff(before, after).changes
    return [" ".join([change.kind, change.path, *change.what]) for change in found]


def test_the_middle_of_a_build_with_stages(engine: Engine) -> None:
    built = engine.build(STAGES, tags=["hello"])
    there = engine.images.ls()
    assert shell(engine, ":2", "ls", "/d").stdout.split() == ["a", "b", "same"]
    assert shell(engine, "hello:3", "ls", "/d").stdout.split() == ["b", "c", "link", "same"]
    assert shell(engine, "hello:latest:4", "ls", "/d").stdout.split() == ["new"]
    assert shell(engine, "hello:3", "ls", "/d", before=True).stdout.split() == ["a", "b", "same"]
    assert shell(engine, ":5", "ls", "/e").status != 0
    assert shell(engine, "", "cat", "/e/new").stdout == "5\n"
    step = engine.past.build("hello").steps[2]
    assert shell(engine, step.image_id[7:19], "cat", "/d/c").stdout == "4\n"
    assert engine.images.ls() == there
    assert engine.images.get("hello").id == built.id
    assert engine.containers.ls(all=True) == []


def test_the_state_in_which_a_command_failed(engine: Engine) -> None:
    with pytest.raises(RunFailed, match=r"look at what it left: `dockmagic build-shell :7` \(in a notebook"):
        engine.build(FAILING, tags=["hello"], build_args={"WHO": "me"})
    there = engine.images.ls()
    said = shell(engine, "", "sh", "-c", "id -un; pwd; cat half; echo $WHO $PLACE")
    assert said.stdout.splitlines() == ["bob", "/w", "me here", "me here"]
    assert shell(engine, ":7", "ls", before=True).stdout == ""
    assert changes(engine, ":6", ":7") == ["A /w/half"]
    assert engine.images.ls() == there


def test_a_copy_that_failed_is_seen_as_it_began(engine: Engine) -> None:
    with pytest.raises(Exception, match="nothing"):
        engine.build("FROM busybox\nRUN echo 1 > /x\nCOPY --from=busybox /nothing /\n")
    assert shell(engine, "", "cat", "/x").stdout == "1\n"


def test_what_a_shell_writes_goes_again(engine: Engine) -> None:
    engine.build(STAGES, tags=["hello"])
    shell(engine, ":2", "rm", "/d/a")
    assert shell(engine, ":2", "cat", "/d/a").stdout == "1\n"


def test_an_image_that_was_there_or_was_named_meanwhile_stays(engine: Engine) -> None:
    built = engine.build(STAGES)
    shell(engine, ":7", "true")
    assert engine.images.get(built.id).id == built.id
    with engine.past.image(engine.past.state(":2")) as image:
        engine.images.tag(image.id, "kept")
    assert engine.images.get("kept").id == image.id


def test_without_the_cache_only_what_images_have_is_left(engine: Engine) -> None:
    engine.build(STAGES, tags=["hello"])
    engine.upkeep.prune_cache(all=True)
    for name in (":2", ":3"):
        with pytest.raises(StoreError, match=f"files of hello:latest{name} aren't kept any more; build again"):
            shell(engine, name, "true")
        with pytest.raises(StoreError, match="build again"):
            engine.past.diff("busybox", name)
    assert shell(engine, ":6", "cat", "/e/new").stdout == "5\n"
    engine.build(STAGES, tags=["hello"])
    assert shell(engine, ":2", "cat", "/d/a").stdout == "1\n"


def test_differences_between_steps_and_images(engine: Engine) -> None:
    engine.build(STAGES, tags=["hello"])
    assert changes(engine, ":2", ":3") == [
        "D /d/a",
        "C /d/b mode",
        "A /d/c",
        "A /d/link",
        "C /d/same owner",
    ]
    assert changes(engine, ":3", ":4") == ["D /d/b", "D /d/c", "D /d/link", "A /d/new", "D /d/same"]
    assert changes(engine, ":4", ":3") == ["A /d/b", "A /d/c", "A /d/link", "D /d/new", "A /d/same"]
    assert changes(engine, "busybox", "hello") == ["A /e", "A /e/new"]
    assert changes(engine, "hello", ":4") == ["A /d", "A /d/new", "D /e", "D /e/new"]
    assert changes(engine, "busybox", ":1") == []


def random_commands(random: Random, count: int) -> str:
    """RUN steps that make, change and remove files and directories below /t."""
    paths = [f"/t/{a}/{b}" for a in "abc" for b in "xyz"] + ["/t/a", "/t/b/x/deep", "/t/c"]
    commands = (
        "mkdir -p {0}",
        "rm -rf {0}",
        "rm -rf {0}; mkdir -p {0} && echo new > {0}/{1}",
        "mkdir -p $(dirname {0}) && echo {1} > {0}",
        "chmod {2} {0}",
        "chown {1} {0}",
        "rm -rf {0}; mkdir -p $(dirname {0}) && ln -s {1} {0}",
    )
    steps = []
    for _ in range(count):
        chosen = (random.choice(commands) for _ in range(6))
        lines = [
            line.format(random.choice(paths), random.randrange(3), random.choice(["700", "755"])) for line in chosen
        ]
        steps.append("RUN { " + "; ".join(lines) + "; } 2>/dev/null || true\n")
    return "".join(steps)


def listing(engine: Engine, name: str) -> dict[str, str]:
    """What a container sees below /t: type, mode, owner, and content of each path."""
    text = 'find /t | while read p; do if [ -L "$p" ]; then w=$(readlink "$p"); elif [ -f "$p" ]; then w=$(cat "$p"); '
    text += 'else w=-; fi; echo "$p $(stat -c "%f %u:%g" "$p") $w"; done'
    lines = shell(engine, name, "sh", "-c", text).stdout.splitlines()
    return dict(line.split(" ", 1) for line in lines)


@pytest.mark.parametrize("seed", range(3))
def test_differences_are_those_that_containers_see(engine: Engine, seed: int) -> None:
    random = Random(seed)
    trunk = f"FROM busybox AS trunk\nRUN mkdir /t\n{random_commands(random, 2)}"
    one, other = (f"FROM trunk\n{random_commands(random, 2)}" for _ in range(2))
    engine.build(f"{trunk}{one.replace('trunk', 'trunk AS one', 1)}{other}COPY --from=one /bin/sh /x\n", tags=["r"])
    kinds = set[str]()
    for before, after in ((":7", ":10"), (":10", ":7"), (":3", ":4"), (":4", ":7"), (":10", ":2")):
        old, new = listing(engine, before), listing(engine, after)
        expected = dict.fromkeys(old.keys() - new.keys(), "D") | dict.fromkeys(new.keys() - old.keys(), "A")
        expected |= {path: "C" for path in old.keys() & new.keys() if old[path] != new[path]}
        found = {change.path: change.kind for change in engine.past.diff(before, after).changes}
        assert found == expected, (before, after)
        kinds |= set(found.values())
    assert kinds == {"A", "C", "D"}


def test_the_terminals_doors() -> None:
    failed = dockmagic("build", "-t", "hello", "-", text=FAILING)
    assert "dockmagic build-shell :7" in failed.stderr
    said = dockmagic("build-shell", text="pwd; cat half; exit 4\n")
    assert (said.returncode, said.stdout) == (4, "/w\nnobody here\n")
    assert dockmagic("build-shell", "-u", "root", ":7", "id", "-u").stdout == "0\n"
    listed = dockmagic("build-history").stdout.splitlines()
    assert listed[0].split()[:2] == ["BUILD", "ID"]
    assert "failed" in listed[1]
    steps = dockmagic("build-history", "hello").stdout.splitlines()
    assert len(steps) == 8
    assert steps[7].split()[0] == "7"
    found = dockmagic("image", "diff", "busybox", "hello:7").stdout.splitlines()
    assert [line.split()[:2] for line in found if "/w" in line] == [["A", "/w"], ["A", "/w/half"]]
    missing = dockmagic("build-shell", ":9", "ls")
    assert (missing.returncode, missing.stderr.startswith("dockmagic: no such step: 9; build ")) == (1, True)


def test_an_interrupted_shell_leaves_nothing(engine: Engine) -> None:
    engine.build(STAGES, tags=["hello"])
    there = engine.images.ls()
    command = [sys.executable, "-m", "dockmagic", "build-shell", ":2", "sh", "-c", "echo here; sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert len(engine.images.ls()) == len(there) + 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert engine.images.ls() == there
    assert engine.containers.ls(all=True) == []


def test_a_directory_called_shell_can_be_built(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shell").mkdir()
    (tmp_path / "shell/Dockerfile").write_text("FROM busybox\nRUN true\n")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    assert dockmagic("build", "-t", "shelled", "shell").returncode == 0
    assert engine.images.get("shelled").references


def test_a_step_of_nothing(engine: Engine) -> None:
    with pytest.raises(NotFound, match="no such build"):
        engine.past.state()
