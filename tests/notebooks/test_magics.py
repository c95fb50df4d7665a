"""The magics in a real kernel, on the real engine."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks.kernel import Kernel, Output, kernel

pytestmark = [pytest.mark.root, pytest.mark.notebook]

DOCKERFILE = """FROM busybox
WORKDIR /app
COPY ./ ./
ENV WHO=world
RUN echo "built" > built.txt
CMD ["sh", "-c", "echo hello $WHO; cat built.txt; cat note.txt; id -u"]
"""


@pytest.fixture
def notebook(state_root: Path, tmp_path: Path) -> Iterator[Kernel]:
    """A kernel beside a folder with one file, with the image busybox."""
    folder = tmp_path / "notebook"
    folder.mkdir()
    (folder / "note.txt").write_text("a note\n")
    with kernel(folder) as started:
        assert "busybox:latest" in started.run("%image_bootstrap busybox").text
        yield started


def test_from_a_cell_to_a_container_and_away_again(notebook: Kernel) -> None:
    built = notebook.run(f"%%dockerfile -t hello\n{DOCKERFILE}")
    assert built.status == "ok"
    assert "✓ [6/6] CMD" in built.text
    assert "hello:latest" in built.data("text/html")[0]
    ran = notebook.run("%container_run --rm --memory 64m --cpus 0.5 hello")
    assert ran.stream("stdout") == "hello world\nbuilt\na note\n0\n"
    assert ran.text == ""
    again = notebook.run(f"%%dockerfile -t hello\n{DOCKERFILE}")
    assert again.text.count("cached") >= 3
    tree = notebook.run("%image_tree hello")
    assert "/app/note.txt" in tree.text
    assert "<details" in tree.data("text/html")[0]
    lines = "r = %container_run -d --name burn hello sh -c 'echo started; while :; do :; done'\n%container_ps"
    assert '"sh -c \'echo started…"' in notebook.run(lines).text
    assert notebook.run("r.state().status.value").text == "'running'"
    notebook.run("import time; time.sleep(0.2)")
    assert notebook.run("%container_logs burn").stream("stdout") == "started\n"
    ended = notebook.run("%container_stop -t 0 burn\n%container_ps -a\n%container_rm burn\n%image_ls")
    assert "Exited (137)" in ended.text
    assert "REPOSITORY" in ended.text
    assert "burn" not in notebook.run("%container_ps -a").text


def test_files_go_in_and_out(notebook: Kernel) -> None:
    notebook.run("%container_run -d --name work busybox sleep 600")
    copied = notebook.run("%container_cp note.txt work:/root/")
    assert copied.text == "Successfully copied 7B to work:/root/"
    assert notebook.run("%docker cp -q work:/root/note.txt back.txt\nprint(open('back.txt').read())").stream(
        "stdout"
    ) == "a note\n\n"  # fmt: skip
    changes = notebook.run("%container_diff work")
    assert changes.text == "C /root\nA /root/note.txt"
    assert "/root/note.txt</td>" in changes.data("text/html")[0]
    committed = notebook.run("im = %container_commit -c 'CMD cat /root/note.txt' work noted\nim.image.references")
    assert "noted" in committed.text
    assert notebook.run("%container_run --rm noted").stream("stdout") == "a note\n"
    assert "save(FILE)" in notebook.run("r = %container_export work\nr").text
    assert (
        notebook.run("r.save('root.tar')\n%image_import -c 'CMD cat /root/note.txt' root.tar imported").status == "ok"
    )
    assert notebook.run("%container_run --rm imported").stream("stdout") == "a note\n"
    refused = notebook.run("%container_cp work:/nothing .")
    assert "NotFound: no such file: work:/nothing" in str(refused.error)
    notebook.run("%container_rm -f work")


def test_a_container_is_watched_and_drawn(notebook: Kernel) -> None:
    notebook.run("%container_run -d --name burn -m 64m --cpus 0.5 busybox sh -c 'while :; do :; done'")
    watched = notebook.run("%container_stats --for 1s burn")
    assert "burn: CPU" in watched.text
    assert "MEM USAGE / LIMIT" in watched.text
    [picture] = watched.data("image/png")
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assigned = notebook.run("s = %container_stats --for 500ms burn\nprint(len(s['burn'].time_s), s.figure)")
    assert assigned.data("image/png") == []
    assert 3 <= int(assigned.stream("stdout").split()[0]) <= 6
    notebook.run("%container_rm -f burn")


def test_a_build_is_drawn(notebook: Kernel) -> None:
    notebook.run("%%dockerfile -t drawn\nFROM busybox\nRUN echo hi; sleep 0.1\n")
    drawn = notebook.run("%build_stats drawn")
    [picture] = drawn.data("image/png")
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert "RUN echo hi" in drawn.text
    assigned = notebook.run("s = %build_stats\nprint(s.build.tags, s.plot())")
    assert assigned.data("image/png") == []
    assert assigned.stream("stdout").startswith("('drawn:latest',) Figure(")
    nothing = notebook.run("%build_stats nonsuch")
    assert "no such build: nonsuch" in nothing.error[0]


def test_a_build_in_the_classic_view(notebook: Kernel) -> None:
    text = "FROM busybox AS one\nRUN echo hi\nFROM busybox\nCOPY --from=one /etc/passwd /p\n"
    output = notebook.run(f"%%dockerfile -t classic --progress=classic\n{text}").stream("stdout")
    assert output.startswith("Step 1/4 : FROM busybox AS one\n ---> ")
    assert " ---> Running in " in output
    assert "\nhi\nRemoving intermediate container " in output
    assert output.endswith("Successfully tagged classic:latest\n")
    failed = notebook.run("%%dockerfile --progress=classic\nFROM busybox\nRUN exit 3\n")
    assert "The command '/bin/sh -c exit 3' returned a non-zero code: 3" in failed.error[0]
    plain = notebook.run(
        "%%dockerfile --no-cache --progress=plain\nFROM busybox AS a\nRUN echo 1\nFROM a\nRUN echo 2\n"
    )
    assert "#2 [a 2/2] RUN echo 1\n" in plain.stream("stdout")
    assert "#4 [stage-1 2/2] RUN echo 2\n" in plain.stream("stdout")
    assert plain.data("text/html") == []


def test_output_arrives_while_the_container_runs(notebook: Kernel) -> None:
    output = notebook.run("%container_run --rm busybox sh -c 'echo one; sleep 1; echo two >&2'")
    times = {content["text"]: at for at, kind, content in output.messages if kind == "stream"}
    assert set(times) == {"one\n", "two\n"}
    assert times["two\n"] - times["one\n"] > 0.5
    assert output.stream("stderr") == "two\n"


def test_the_body_of_a_cell_is_the_input(notebook: Kernel) -> None:
    output = notebook.run("%%container_run --rm busybox sh\necho from the body\nexit 3")
    assert output.stream("stdout") == "from the body\n"
    assert output.text == "exited with 3"


def test_an_interrupt_stops_the_container_and_says_so_in_a_line(notebook: Kernel) -> None:
    interrupted: list[bool] = []

    def interrupt(output: Output) -> None:
        if "running" in output.stream("stdout") and not interrupted:
            interrupted.append(True)
            notebook.interrupt()

    output = notebook.run("%container_run --rm busybox sh -c 'echo running; exec sleep 100'", interrupt)
    assert (output.status, output.error) == ("error", ["Interrupted: stopped"])
    assert len(notebook.run("%container_ps -a").text.splitlines()) == 1


def test_an_interrupted_build_says_where_and_leaves_nothing(notebook: Kernel) -> None:
    interrupted: list[bool] = []

    def interrupt(output: Output) -> None:
        if "begun" in output.text and not interrupted:
            interrupted.append(True)
            notebook.interrupt()

    output = notebook.run("%%dockerfile\nFROM busybox\nRUN printf begun; sleep 100", interrupt)
    assert output.error == ["Interrupted: stopped"]
    assert output.text.endswith("interrupted at step 2 of 2")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("%container_run --memory lots busybox", "InvalidOption: -m/--memory: 'lots' isn't a size"),
        ("%container_run -p 80/sctp busybox", "InvalidOption: -p/--publish: "),
        ("%container_run --rm busybox nonsense", "StartFailed: "),
        ("%container_stop nothing", "NotFound: no such container: nothing"),
        ("%%dockerfile\nFROM busybox\nFRUM x", "DockerfileError: cell:2: unknown instruction: FRUM"),
        ("%%dockerfile\nFROM busybox\nRUN echo before; exit 2", "RunFailed: cell:2: "),
        ("%%dockerfile\nRUN true", "DockerfileError: "),
    ],
)
def test_errors_are_shown_without_a_traceback(notebook: Kernel, source: str, error: str) -> None:
    output = notebook.run(source)
    assert output.status == "error"
    [shown] = output.error
    assert shown.startswith(error)
    assert "Traceback" not in shown


def test_a_failing_step_shows_its_line_with_a_caret_and_its_output(notebook: Kernel) -> None:
    output = notebook.run("%%dockerfile\nFROM busybox\nRUN echo the last words; exit 2")
    assert "  2 | RUN echo the last words; exit 2\n    | ^^^" in output.error[0]
    assert "    the last words\nfailed at step 2 of 2" in output.text
    assert "the last words" in output.data("text/html")[0]


def test_the_upkeep_in_a_notebook(notebook: Kernel) -> None:
    notebook.run("%%dockerfile -t app\nFROM busybox\nRUN echo 1 > /one")
    notebook.run("%%dockerfile -t app\nFROM busybox\nRUN echo 2 > /two")
    checked = notebook.run("%system_fsck --full")
    assert "all is well" in checked.text
    assert "all is well" in checked.data("text/html")[0]
    used = notebook.run("%system_df")
    assert "RECLAIMABLE" in used.text
    assert "<table" in used.data("text/html")[0]
    assert "Build cache usage:" in notebook.run("%system_df -v").text
    assert "Total:" in notebook.run("%builder_du").text
    pruned = notebook.run("r = %system_prune\nr")
    assert pruned.status == "ok"
    assert "deleted: sha256:" in pruned.text
    assert "Total reclaimed space: <b>" in pruned.data("text/html")[0]
    assert notebook.run("%image_ls").text.count("\n") == 2
    older = notebook.run("%system_prune -a --filter until=24h\n%image_ls").text
    assert "untagged: busybox:latest" in older, "its date is that of the epoch"
    assert "app" in older.partition("REPOSITORY")[2]
    assert "app" not in notebook.run("%system_prune -a\n%image_ls").text.partition("REPOSITORY")[2]


def test_a_look_at_the_past(notebook: Kernel) -> None:
    failed = notebook.run("%%dockerfile -t hello\nFROM busybox\nWORKDIR /w\nRUN echo half > done; exit 3\n")
    assert failed.status == "error"
    assert "%build_shell :3" in "\n".join(failed.error)
    said = notebook.run("%%build_shell :3\npwd\ncat done\nexit 4\n")
    assert said.stream("stdout") == "/w\nhalf\n"
    assert "exited with 4" in said.text
    assert notebook.run("%build_shell : cat done").stream("stdout") == "half\n"
    assert notebook.run("%build_shell --before :3 ls").stream("stdout") == ""
    assert "give a COMMAND, or use a %% cell" in "\n".join(notebook.run("%build_shell :3").error)
    changed = notebook.run("%image_diff :2 :3")
    assert "/w/done" in changed.text
    assert "<table" in changed.data("text/html")[0]
    assert "[FileChange(path='/w/done', kind='A'" in notebook.run("d = %image_diff :2 :3\nlist(d)").text
    history = notebook.run("%build_history")
    assert "failed" in history.text
    assert "RUN echo half > done; exit 3" in notebook.run("%build_history hello").text
    assert len(notebook.run("%image_ls").text.splitlines()) == 2
    assert len(notebook.run("%container_ps -a").text.splitlines()) == 1
