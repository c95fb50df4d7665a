"""How real builds are shown: by their true names in the classic view, and live in a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dockmagic.builder.history import BuildHistory, BuildRecord
from dockmagic.engine import Engine

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

TEXT = """FROM busybox AS one
RUN echo one > /one; echo said one
FROM busybox AS two
ENV A=1
RUN sleep 0.3; echo said two
FROM busybox
COPY --from=one /one /
COPY --from=two /etc/passwd /two
RUN head -c 20000000 /dev/zero | tail > /dev/null; cat /one
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(TEXT)
    return tmp_path


def build(engine: Engine, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A build from the command line, on the engine's root."""
    environment = {**os.environ, "DOCKMAGIC_ROOT": str(engine.root), **environ}
    command = [sys.executable, "-m", "dockmagic", "build", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def last(engine: Engine) -> BuildRecord:
    return BuildHistory(engine.database).get()


def test_the_classic_view_tells_true_names(engine: Engine, context: Path) -> None:
    done = build(engine, "--no-cache", "--target=two", "-t", "classic", str(context), DOCKER_BUILDKIT="0")
    assert (done.returncode, done.stderr) == (0, "")
    record = last(engine)
    containers = [step.container_id for step in record.steps if step.container_id]
    assert all(re.fullmatch("[0-9a-f]{64}", container) for container in containers)
    assert len(set(containers)) == len(containers) == 1
    from_, env, run = (step.image_id[7:19] for step in record.steps)
    assert done.stdout.splitlines() == [
        "Step 1/3 : FROM busybox AS two",
        f" ---> {from_}",
        "Step 2/3 : ENV A=1",
        f" ---> {env}",
        "Step 3/3 : RUN sleep 0.3; echo said two",
        f" ---> Running in {containers[0][:12]}",
        "said two",
        f"Removing intermediate container {containers[0][:12]}",
        f" ---> {run}",
        f"Successfully built {run}",
        "Successfully tagged classic:latest",
    ]
    assert record.image_id[7:19] == run
    again = build(engine, "--progress=classic", "--target=two", "-t", "classic", str(context))
    assert [line for line in again.stdout.splitlines() if " ---> " in line] == [
        f" ---> {from_}", " ---> Using cache", f" ---> {env}", " ---> Using cache", f" ---> {run}",
    ]  # fmt: skip


def test_the_classic_view_is_in_order(engine: Engine, context: Path) -> None:
    done = build(engine, "--progress=classic", str(context))
    numbers = [int(number) for number in re.findall(r"^Step (\d+)/9 : ", done.stdout, re.MULTILINE)]
    assert numbers == list(range(1, 10))
    containers = [step.container_id for step in last(engine).steps if step.container_id]
    assert len(set(containers)) == len(containers) == 3
    assert re.findall("Running in ([0-9a-f]+)", done.stdout) == [container[:12] for container in containers]
    assert done.stdout.index("said one") < done.stdout.index("Step 3/9") < done.stdout.index("said two")


def test_a_failing_step_in_the_classic_view(engine: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo before; exit 3\n")
    done = build(engine, "--progress=classic", str(context))
    assert done.returncode == 1
    container = last(engine).steps[1].container_id[:12]
    assert done.stdout.endswith(f" ---> Running in {container}\nbefore\nRemoving intermediate container {container}\n")
    assert done.stderr == ("dockmagic: The command '/bin/sh -c echo before; exit 3' returned a non-zero code: 3\n")


def test_what_is_side_by_side_is_told_apart(engine: Engine, context: Path) -> None:
    done = build(engine, "--progress=plain", str(context))
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert "#2 [one 2/2] RUN echo one > /one; echo said one" in lines
    assert "#7 [stage-2 2/4] COPY --from=one /one /" in lines
    said = {line.split(" ")[0]: line.split(" ", 2)[2] for line in lines if re.match(r"#\d+ \d+\.\d{3} ", line)}
    assert {"#2": "said one", "#9": "one"}.items() <= said.items()


def test_what_failed_cancels_the_rest(engine: Engine, context: Path) -> None:
    text = "FROM busybox AS a\nRUN sleep 0.5; false\nFROM busybox AS b\nRUN sleep 30\nFROM a\nCOPY --from=b /etc /etc\n"
    (context / "Dockerfile").write_text(text)
    done = build(engine, "--progress=plain", str(context))
    assert done.returncode == 1
    assert "#4 CANCELED" in done.stderr.splitlines()
    assert re.search("^#2 ERROR .*exit code: 1$", done.stderr, re.MULTILINE)


def test_json_for_programs(engine: Engine, context: Path) -> None:
    done = build(engine, "--progress=rawjson", "-t", "json", str(context))
    objects = [json.loads(line) for line in done.stderr.splitlines()]
    vertexes = {each["digest"]: each for status in objects for each in status.get("vertexes", ())}
    assert all("completed" in vertex for vertex in vertexes.values())
    assert {each["vertex"] for status in objects for each in status.get("logs", ())} <= set(vertexes)
    assert "naming to json:latest" in done.stderr


def test_a_terminal_shows_it_live(engine: Engine, context: Path) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "DOCKMAGIC_ROOT": str(engine.root), "TERM": "xterm"}
    command = [sys.executable, "-m", "dockmagic", "build", "-t", "live", str(context)]
    process = subprocess.Popen(command, env=environment, stderr=follower, stdout=subprocess.PIPE)
    os.close(follower)
    shown = b""
    while chunk := _read(leader):
        shown += chunk
    os.close(leader)
    assert process.communicate()[0] == b""
    assert process.returncode == 0
    text = shown.decode()
    assert re.search("\x1b\\[\\d+A", text)
    assert "● [two 3/3] RUN sleep 0.3; echo said two" in text
    assert re.search(r"✓ \[stage-2 4/4\] RUN head .* s · CPU \d+\.\d+ s · [\d.]+ [KM]iB", text)
    assert text.rpartition("live:latest · ")[2].count("9 steps") == 1


def test_statistics_of_the_last_build(engine: Engine, context: Path) -> None:
    build(engine, "-t", "measured", str(context))
    environment = {**os.environ, "DOCKMAGIC_ROOT": str(engine.root)}
    command = [sys.executable, "-m", "dockmagic", "build-stats", "measured"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    head, columns, *rows = done.stdout.splitlines()
    assert head.startswith(f"measured:latest · {last(engine).image_id[7:19]} · 9 steps · ")
    assert columns.split()[:3] == ["STEP", "STAGE", "STATE"]
    assert len(rows) == 9
    peak = re.search(r"([\d.]+) MiB", rows[-1])
    assert peak is not None
    assert 10 < float(peak[1]) < 200


def _read(descriptor: int) -> bytes:
    """What a terminal shows next; nothing where its other side was closed."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
