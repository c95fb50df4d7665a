from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dockmagic.errors import InvalidOption, NotFound, RunFailed
from dockmagic.events import BuildStep, ContainerOutput, StepState
from dockmagic.magics.extension import unload
from dockmagic.magics.interrupt import Interrupted
from tests.unit.commands.fakes import IMAGE_ID, FakeContainer, FakeContainers, FakeEngine, Result, State
from tests.unit.magics.conftest import RunCell


def test_every_command_is_a_magic(shell: Any) -> None:
    lines = shell.magics_manager.magics["line"]
    for name in "run ps logs exec start stop kill rm inspect stats wait create".split():
        assert f"container_{name}" in lines
    for name in "ls pull tag tags rm inspect history tree bootstrap build search referrers catalog".split():
        assert f"image_{name}" in lines
    assert {"docker", "system_info", "build_stats", "manifest_inspect", "buildx_imagetools_inspect"} <= set(lines)
    assert {"dockerfile", "container_run", "container_exec"} <= set(shell.magics_manager.magics["cell"])


def test_a_build_as_text(run: RunCell, engine: FakeEngine) -> None:
    engine.events = (BuildStep(1, 1, "FROM busybox", StepState.CACHED, 1, image_id=IMAGE_ID),)
    classic = run("%%dockerfile --progress=classic\nFROM busybox\n").stdout
    assert classic.removesuffix("Out[1]: ") == f"Step 1/1 : FROM busybox\n ---> {IMAGE_ID[7:19]}\n"
    plain = run("%%dockerfile --progress=plain\nFROM busybox\n").stdout
    assert plain.removesuffix("Out[2]: ") == "#1 [1/1] FROM busybox\n#1 CACHED\n"
    live = run("%%dockerfile --progress=tty\nFROM busybox\n").stdout
    assert "✓ [1/1] FROM busybox  cached" in live
    assert live.removesuffix("Out[3]: ").endswith("\x1b[J")
    assert run("%docker build --progress=quiet -f /dev/null .").value is not None


def test_output_is_shown_while_a_success_has_no_more_to_say(run: RunCell, engine: FakeEngine) -> None:
    engine.containers.events = (ContainerOutput("c", "stdout", b"hi\n"), ContainerOutput("c", "stderr", b"oops\n"))
    cell = run("%container_run --rm busybox sh -c 'echo hi'")
    assert (cell.stdout.removesuffix("Out[1]: "), cell.stderr) == ("hi\n", "oops\n")
    assert engine.containers.asked[0][2].command == ("sh", "-c", "echo hi")


def test_a_failure_says_its_status(run: RunCell, engine: FakeEngine) -> None:
    engine.containers.result = Result(exit_status=3)
    assert "exited with 3" in run("%container_run busybox false").stdout


def test_a_magic_can_be_assigned(run: RunCell, engine: FakeEngine, shell: Any) -> None:
    cell = run("r = %container_run -d --name burn busybox")
    assert cell.stdout == ""
    assert shell.user_ns["r"].name == "burn"


def test_names_of_the_notebook_and_of_a_function(run: RunCell, engine: FakeEngine) -> None:
    run("image = 'hello'\ndef f(tag):\n    %container_run {image}:{tag} sh -c 'echo $image'\nf('x')")
    assert engine.containers.asked[0][1] == "hello:x"
    assert engine.containers.asked[0][2].command == ("sh", "-c", "echo $image")


def test_every_line_of_a_cell_shows_its_result(run: RunCell, engine: FakeEngine) -> None:
    engine.containers.all = {"burn": FakeContainer(now=State(started_ns=1))}
    cell = run("%container_ps\n%container_stop burn\n%container_ps -q")
    assert "CONTAINER ID" in cell.stdout
    assert "\nburn\n" in cell.stdout
    assert cell.stdout.rstrip().endswith("c0ffee000000")


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("%container_run --nonsense x", InvalidOption, "unknown flag --nonsense; see %container_run --help"),
        ("%container_run {nope}", InvalidOption, "no name 'nope'"),
        ("%container_logs nothing", NotFound, "no such container: nothing"),
        ("%docker frobnicate", InvalidOption, "unknown command 'frobnicate'"),
        ("%docker run -p 80/sctp x", InvalidOption, "only tcp and udp are forwarded"),
        ("%%container_run -d x\nbody", InvalidOption, "-d: a container in the background"),
        ("%container_run -i x", InvalidOption, "%% cell"),
    ],
)
def test_errors_are_a_line_without_a_traceback(run: RunCell, source: str, kind: type, message: str) -> None:
    cell = run(source)
    assert type(cell.error) is kind
    assert message in str(cell.error)
    assert cell.stdout.strip() == f"{kind.__name__}: {cell.error}"


def test_an_interrupt_is_a_line_and_still_an_interrupt(run: RunCell, engine: FakeEngine) -> None:
    engine.containers.fails = KeyboardInterrupt()
    cell = run("%container_run busybox")
    assert isinstance(cell.error, Interrupted)
    assert isinstance(cell.error, KeyboardInterrupt)
    assert cell.stdout.strip() == "Interrupted: stopped"


def test_a_whole_docker_command_line(run: RunCell, engine: FakeEngine) -> None:
    run("%docker run --rm -m 64m hello sh -c 'x'")
    assert engine.containers.asked[0][2].memory_bytes == 64 << 20
    assert "run " in run("%docker").stdout
    assert "usage: %docker run" in run("%docker run --help").stdout


def test_the_body_is_the_input(run: RunCell, engine: FakeEngine) -> None:
    seen: list[bytes] = []
    engine.containers.meanwhile = lambda _on_event: seen.append(os.read(engine.containers.stdin or 0, 99))
    run("%%container_run --rm busybox cat\nhello {nothing}\n$HOME")
    assert seen == [b"hello {nothing}\n$HOME\n"]
    assert engine.containers.asked[0][2].interactive


def test_a_dockerfile_is_taken_as_it_is(run: RunCell, engine: FakeEngine, tmp_path: Path, shell: Any) -> None:
    engine.events = (BuildStep(1, 1, "FROM busybox", StepState.DONE, 1),)
    tag = "hello"
    shell.user_ns.update(tag=tag, WHO="expanded")
    body = 'FROM busybox\nENV A=$WHO\nRUN echo {tag} "${WHO}" \\\n  end\n'
    cell = run(f"%%dockerfile -t {{tag}} --context {tmp_path}\n{body}")
    assert engine.builds[0]["dockerfile"] == body
    assert engine.builds[0]["tags"] == ("hello",)
    assert engine.builds[0]["context"] == tmp_path
    assert "#1 [1/1] FROM busybox" in cell.stdout


def test_the_context_is_the_notebooks_folder(run: RunCell, engine: FakeEngine) -> None:
    run("%%dockerfile\nFROM busybox")
    assert engine.builds[0]["context"] == Path.cwd()


def test_a_build_that_fails(run: RunCell, engine: FakeEngine) -> None:
    engine.fails = RunFailed("cell:2: no\n  2 | RUN false\n    | ^^^", step="RUN false", exit_status=1, output="")
    cell = run("%%dockerfile\nFROM busybox\nRUN false")
    assert cell.stdout.splitlines()[0] == "RunFailed: cell:2: no"
    assert cell.stdout.rstrip().endswith("| ^^^")


def test_help_comes_from_the_parser_itself(run: RunCell, shell: Any) -> None:
    assert run("%container_run --help").stdout.startswith("usage: %container_run")
    info = shell.object_inspect("%container_run")
    assert "--memory" in info["docstring"]
    assert "{expression}" in info["docstring"]
    assert "--context" in shell.object_inspect("%%dockerfile")["docstring"]


def test_unloading_leaves_nothing(shell: Any, run: RunCell, engine: FakeEngine) -> None:
    run("%system_info")
    unload(shell)
    assert engine.closed
    assert not [name for name in shell.magics_manager.magics["line"] if name.startswith(("container", "docker"))]
    assert shell.ast_transformers == []


def test_output_of_other_threads_is_written_by_the_cells(run: RunCell, engine: FakeEngine) -> None:
    from threading import Thread

    def meanwhile(on_event: Any) -> None:
        thread = Thread(target=on_event, args=(ContainerOutput("c", "stdout", b"from a thread\n"),))
        thread.start()
        thread.join()

    engine.containers = FakeContainers(meanwhile=meanwhile)
    assert run("%container_run busybox").stdout.startswith("from a thread\n")
