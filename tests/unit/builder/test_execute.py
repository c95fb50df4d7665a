from __future__ import annotations

import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dockmagic.builder.seam import OnOutput, RunStep
from dockmagic.errors import BuildError, DockerfileError, NotFound, RunFailed
from dockmagic.events import BuildOutput, BuildWarning, StepState
from dockmagic.image.store import Image
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.reference import Reference
from tests.unit.builder.lab import Command, Lab, fill

CACHED, DONE, FAILED = StepState.CACHED, StepState.DONE, StepState.FAILED
TUTORIAL = """FROM base
WORKDIR /app/work
COPY ./ ./
ENV WHO=world
RUN echo built
CMD ["sh"]
"""


def writing(name: str, text: str = "made") -> Command:
    """A command that writes a file to the root."""

    def command(step: RunStep, output: OnOutput) -> int:
        output("stdout", b"hello\n")
        (step.upper / name).write_text(text)
        return 0

    return command


@pytest.fixture
def filled(context: Path) -> Path:
    fill(context, {"a": "a", "sub/b": "b"})
    return context


def test_layers_history_and_config(lab: Lab, filled: Path) -> None:
    lab.command = writing("built")
    image = lab.build(TUTORIAL, filled, tag="hello")
    assert lab.listing(image) == [
        "app", "bin/", "bin/sh", "built", "etc/", "etc/group", "etc/passwd", "srv/", "srv/app/", "srv/app/work/",
        "srv/app/work/a", "srv/app/work/sub/", "srv/app/work/sub/b",
    ]  # fmt: skip
    assert [(line.created_by, line.empty_layer) for line in image.config.history] == [
        ("base", False),
        ("WORKDIR /app/work", False),
        ("COPY ./ ./ # buildkit", False),
        ("ENV WHO=world", True),
        ("RUN /bin/sh -c echo built # buildkit", False),
        ('CMD ["sh"]', True),
    ]
    assert len(image.config.diff_ids) == len(image.manifest.layers) == 4
    config = image.config.config
    assert (config.cmd, config.working_dir, config.env[-1]) == (("sh",), "/app/work", "WHO=world")
    assert image.references == (Reference.parse("hello"),)
    assert image.config.created >= image.config.history[-1].created > "2024-01-02"
    assert lab.ended() == [CACHED, DONE, DONE, DONE, DONE, DONE]
    assert BuildOutput(5, "stdout", b"hello\n") in lab.events


def test_a_step_whose_blob_was_lost_is_done_again(lab: Lab, filled: Path) -> None:
    lab.command = writing("built")
    first = lab.build(TUTORIAL, filled)
    for layer in first.manifest.layers[2:]:
        lab.store.blob_path(layer.digest).unlink()
    again = lab.build(TUTORIAL, filled, tag="again")
    assert lab.ended()[:3] == [CACHED, CACHED, DONE]
    assert len(lab.runs) == 1
    assert all(lab.store.has_blob(layer.digest) for layer in again.manifest.layers)
    assert lab.read(again, "built") == "made"


def test_a_base_whose_blob_was_lost_is_named(lab: Lab) -> None:
    base = lab.store.get("base")
    lab.store.blob_path(base.manifest.layers[0].digest).unlink()
    with pytest.raises(NotFound, match=r"no such blob: sha256:.*`system fsck`"):
        lab.build("FROM base\nENV A=1\n")


def test_the_same_build_again_runs_nothing_and_is_the_same_image(lab: Lab, filled: Path) -> None:
    first = lab.build(TUTORIAL, filled)
    assert lab.build(TUTORIAL, filled).id == first.id
    assert lab.runs == []
    assert lab.ended() == [CACHED] * 6


def test_another_process_finds_it_too(lab: Lab, filled: Path) -> None:
    first = lab.build(TUTORIAL, filled)
    again = Lab(lab.root)
    assert again.build(TUTORIAL, filled).id == first.id
    assert again.runs == []


def test_without_the_cache_everything_is_made_again(lab: Lab, filled: Path) -> None:
    lab.build(TUTORIAL, filled)
    lab.build(TUTORIAL, filled, no_cache=True)
    assert len(lab.runs) == 1
    assert {step.reason for step in lab.steps()} >= {"--no-cache"}


def test_a_changed_file_makes_what_follows_anew(lab: Lab, filled: Path) -> None:
    lab.build(TUTORIAL, filled)
    fill(filled, {"a": "changed"})
    lab.build(TUTORIAL, filled)
    assert lab.ended() == [CACHED, CACHED, DONE, DONE, DONE, DONE]


def test_a_changed_variable_matters_where_it_is_used(lab: Lab, filled: Path) -> None:
    text = "FROM base\nENV A={}\nCOPY a /x\nRUN one\nCMD $A\n"
    lab.build(text.format(1), filled)
    lab.build(text.format(2), filled)
    assert lab.ended() == [CACHED, DONE, CACHED, DONE, DONE]


def test_an_argument_matters_at_its_first_use(lab: Lab, filled: Path) -> None:
    text = "FROM base\nRUN before\nARG A\nCOPY a /x\nRUN after\n"
    lab.build(text, filled, args={"A": "1"})
    lab.build(text, filled, args={"A": "2"})
    assert lab.ended() == [CACHED, CACHED, DONE, CACHED, DONE]


def test_another_base_makes_all_anew(lab: Lab) -> None:
    lab.build("FROM base\nRUN x\n")
    lab.base("base", {"other": ""})
    lab.build("FROM base\nRUN x\n")
    assert len(lab.runs) == 1


def test_new_metadata_of_the_base_makes_nothing_anew(lab: Lab) -> None:
    base = lab.store.get("base")
    lab.build("FROM base\nRUN x\n")
    labelled = replace(base.config, config=ContainerConfig(labels={"new": "label"}))
    lab.store.add_image(labelled, base.manifest.layers, references=base.references)
    image = lab.build("FROM base\nRUN x\n")
    assert lab.runs == []
    assert image.config.config.labels == {"new": "label"}


def test_a_failed_command_keeps_what_came_before(lab: Lab, filled: Path) -> None:
    lab.command = lambda step, output: 3
    with pytest.raises(RunFailed) as caught:
        lab.build(TUTORIAL, filled)
    assert caught.value.exit_status == 3
    assert str(caught.value).startswith('Dockerfile:5: process "/bin/sh -c echo built" did not complete')
    look = "look at what it left: `dockmagic build-shell :5` (in a notebook: %build_shell :5)"
    assert str(caught.value).endswith(f"  5 | RUN echo built\n    | ^^^\n{look}")
    assert lab.ended()[-1] is FAILED
    lab.command = lambda step, output: 0
    lab.build(TUTORIAL, filled)
    assert lab.ended() == [CACHED, CACHED, CACHED, CACHED, DONE, DONE]


def test_an_interrupt_leaves_nothing_unfinished(lab: Lab, filled: Path) -> None:
    def interrupted(step: RunStep, output: OnOutput) -> int:
        (step.upper / "half").touch()
        raise KeyboardInterrupt

    lab.command = interrupted
    before = [image.id for image in lab.store.list_images()]
    with pytest.raises(KeyboardInterrupt):
        lab.build(TUTORIAL, filled)
    assert [image.id for image in lab.store.list_images()] == before
    assert lab.left() == []


def test_workdir_that_is_there_makes_no_layer(lab: Lab) -> None:
    image = lab.build("FROM base\nWORKDIR /app\nWORKDIR /\n")
    assert len(image.config.diff_ids) == 1
    assert [line.empty_layer for line in image.config.history] == [False, True, True]


def test_from_scratch(lab: Lab, filled: Path) -> None:
    image = lab.build('FROM scratch\nCOPY a /\nCMD ["/a"]\n', filled)
    assert lab.listing(image) == ["a"]
    assert image.config.config.working_dir == "/"
    assert image.config.config.env[0].startswith("PATH=/usr/local/sbin:")
    assert (image.config.os, image.config.architecture) == ("linux", "amd64")
    assert lab.build("FROM scratch\nENV A=1\n").config.diff_ids == ()


def test_a_command_on_scratch_has_no_layer_below(lab: Lab) -> None:
    lab.build('FROM scratch\nRUN ["/x"]\n')
    assert [step.lower for step in lab.runs] == [()]


def test_only_needed_stages_are_built_and_copied_from(lab: Lab) -> None:
    lab.command = writing("out", "from a stage")
    text = """FROM base AS one
ARG INHERITED=yes
RUN first
FROM base AS unneeded
RUN second
FROM one AS two
RUN third
FROM base
COPY --from=two /out /from-two
COPY --from=0 out bin/sh /d/
COPY --from=base /app /linked
"""
    image = lab.build(text)
    assert [step.options.command[-1] for step in lab.runs] == ["first", "third"]
    assert "INHERITED=yes" in lab.runs[1].options.env
    assert lab.read(image, "from-two") == "from a stage"
    assert {"d/out", "d/sh", "linked/"} <= set(lab.listing(image))
    lab.build(text)
    assert lab.runs == []
    lab.build(text, target="unneeded")
    assert len(lab.runs) == 1


def test_what_a_stage_lacks(lab: Lab) -> None:
    with pytest.raises(BuildError, match='"/nothing" not found in the stage one'):
        lab.build("FROM base AS one\nFROM base\nCOPY --from=one /nothing /x\n")
    with pytest.raises(BuildError, match='"/nothing" not found in the image base'):
        lab.build("FROM base\nCOPY --from=base /nothing /x\n")


def test_an_image_that_is_not_here_is_pulled(lab: Lab) -> None:
    with pytest.raises(NotFound, match="no such image: other:1"):
        lab.build("FROM other:1\n")
    assert lab.pulled == [Reference.parse("other:1")]

    def pull(reference: Reference, platform: Platform) -> Image:
        return lab.base(str(reference), {"pulled": "yes"})

    lab.parts = replace(lab.parts, pull_base=pull)
    image = lab.build("FROM other:2\nCOPY --from=other:3 /pulled /x\n")
    assert lab.ended() == [DONE, DONE]
    assert {"pulled", "x"} <= set(lab.listing(image))


def test_the_newest_base_if_it_is_asked_for(lab: Lab) -> None:
    with pytest.raises(NotFound):
        lab.build("FROM base\n", pull=True)
    assert lab.pulled == [Reference.parse("base")]


def test_a_base_is_asked_for_once(lab: Lab) -> None:
    base = lab.store.get("base")
    asked: list[Reference] = []

    def pull(reference: Reference, platform: Platform) -> Image:
        asked.append(reference)
        return base

    lab.parts = replace(lab.parts, pull_base=pull)
    lab.build("FROM base AS one\nFROM base\nCOPY --from=base /bin/sh /x\nCOPY --from=one /bin/sh /y\n", pull=True)
    assert len(asked) == 1


def test_a_base_by_its_id(lab: Lab) -> None:
    image_id = lab.store.get("base").id
    assert len(lab.build(f"FROM {image_id}\nENV A=1\n").config.diff_ids) == 1


def test_a_name_that_is_none(lab: Lab) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:1: invalid image reference 'Bad/Name'(.|\n)*1 \| FROM Bad"):
        lab.build("FROM Bad/Name\n")


def test_triggers_come_first_and_only_once(lab: Lab, filled: Path) -> None:
    parent = lab.build("FROM base\nONBUILD COPY a /triggered\nONBUILD ENV T=1\n", tag="parent")
    assert parent.config.config.on_build == ("COPY a /triggered", "ENV T=1")
    child = lab.build("FROM parent\nCOPY a /own\n", filled, tag="child")
    assert [step.text for step in lab.steps()] == ["FROM parent", "COPY a /triggered", "ENV T=1", "COPY a /own"]
    assert [step.total for step in lab.steps()] == [2, 4, 4, 4]
    assert child.config.config.on_build == ()
    grandchild = lab.build("FROM child\nENV A=1\n")
    assert len(grandchild.config.diff_ids) == len(child.config.diff_ids)


def test_a_context_that_is_not_used_is_never_read(lab: Lab, tmp_path: Path) -> None:
    lab.build("FROM base\nENV A=1\nCOPY <<here /x/\ntext\nhere\n", tmp_path / "nowhere")


def test_a_here_document_is_a_file(lab: Lab) -> None:
    image = lab.build("FROM base\nARG A=1\nCOPY <<one <<'two' /d/\n$A\none\n$A\ntwo\n")
    assert (lab.read(image, "d/one"), lab.read(image, "d/two")) == ("1\n", "$A\n")


def test_an_archive_is_unpacked_by_add_alone(lab: Lab, context: Path) -> None:
    fill(context, {"in/f": "packed"})
    with tarfile.open(context / "a.tar", "w") as tar:
        tar.add(context / "in/f", "f")
    text = "FROM base\nADD a.tar /added\nCOPY a.tar /copied/\nADD --unpack=false a.tar /kept/\nADD in /plain\n"
    image = lab.build(text, context)
    assert {"added/f", "copied/a.tar", "kept/a.tar", "plain/f"} <= set(lab.listing(image))
    assert lab.read(image, "added/f") == "packed"


def test_a_wildcard_without_a_match_is_a_warning(lab: Lab, filled: Path) -> None:
    lab.build("FROM base\nCOPY none* /x\n", filled)
    assert BuildWarning("nothing matches none*, so nothing was copied", 2) in lab.events


def test_labels_from_outside_are_added(lab: Lab) -> None:
    image = lab.build("FROM base\nLABEL a=1 b=2\n", labels={"b": "3"})
    assert image.config.config.labels == {"a": "1", "b": "3"}


def test_a_file_that_changes_while_it_is_copied_is_not_cached(
    lab: Lab, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dockmagic.builder.actions.copy", lambda *args: False)
    lab.build("FROM base\nCOPY a /x\n", filled)
    assert lab.steps()[-1].reason == "not built before; a file changed while it was copied, so it won't be cached"
    lab.build("FROM base\nCOPY a /x\n", filled)
    assert lab.ended() == [CACHED, DONE]


def test_owners_and_modes_that_mean_nothing(lab: Lab, filled: Path) -> None:
    with pytest.raises(BuildError, match="Dockerfile:2: unable to find user nobody"):
        lab.build("FROM base\nCOPY --chown=nobody a /x\n", filled)
    with pytest.raises(DockerfileError, match="Dockerfile:2: --chmod=rwx is no mode"):
        lab.build("FROM base\nCOPY --chmod=rwx a /x\n", filled)
    with pytest.raises(BuildError, match="Dockerfile:3: --chmod=rwx is no mode"):
        lab.build("FROM base\nARG M=rwx\nCOPY --chmod=$M a /x\n", filled)


def test_two_builds_at_once(lab: Lab, filled: Path) -> None:
    images: list[Image] = []
    threads = [threading.Thread(target=lambda: images.append(Lab(lab.root).build(TUTORIAL, filled))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(images) == 4
    assert lab.left() == []


LINKED = "FROM {base}\nWORKDIR /app\nCOPY --link {flags} a sub/\n"


def test_a_linked_copy_is_the_same_layer_on_any_base(lab: Lab, filled: Path) -> None:
    lab.base("other", {"app/sub/": "", "bin/x": "x"})
    first = lab.build(LINKED.format(base="base", flags=""), filled)
    second = lab.build(LINKED.format(base="other", flags=""), filled)
    assert lab.ended()[-1] is StepState.CACHED
    assert first.config.diff_ids[-1] == second.config.diff_ids[-1]
    assert first.config.diff_ids[0] != second.config.diff_ids[0]
    assert lab.read(second, "app/sub/a") == "a"
    third = lab.build(LINKED.format(base="base", flags=""), filled)
    assert third.id == first.id


def test_a_linked_copy_follows_no_link_of_the_image(lab: Lab, filled: Path) -> None:
    lab.base("links", {"real/old": "old", "to": "-> real"})
    image = lab.build("FROM links\nCOPY --link a /to/\n", filled)
    assert lab.listing(image) == ["real/", "real/old", "to/", "to/a"]
    lab.base("plain", {"x": ""})
    lab.build("FROM plain\nCOPY --link a /to/\n", filled, no_cache=True)  # a layer to be put onto the links
    rebased = lab.build("FROM links\nCOPY --link a /to/\n", filled)
    assert (lab.listing(rebased), lab.ended()[-1]) == (lab.listing(image), StepState.CACHED)
    followed = lab.build("FROM links\nCOPY a /to/\n", filled)
    assert lab.listing(followed) == ["real/", "real/a", "real/old", "to"]


def test_a_linked_copy_knows_no_names_of_owners(lab: Lab, filled: Path) -> None:
    with pytest.raises(BuildError, match=r"Dockerfile:3: --link copies .* --chown=bob:1 has to be numbers"):
        lab.build(LINKED.format(base="base", flags="--chown=bob:1"), filled)


def test_linked_copies_onto_nothing(lab: Lab, filled: Path) -> None:
    image = lab.build("FROM scratch\nCOPY --link --chmod=700 a /x/\nADD --link a /x/b\n", filled)
    assert lab.listing(image) == ["x/", "x/a", "x/b"]


def test_parents_and_exclusions(lab: Lab, context: Path) -> None:
    fill(context, {"src/a.py": "a", "src/sub/b.py": "b", "src/sub/b.txt": "", "docs/c.py": "c"})
    image = lab.build("FROM scratch\nCOPY --parents --exclude=docs **/*.py /app/\n", context)
    assert lab.listing(image) == ["app/", "app/src/", "app/src/a.py", "app/src/sub/", "app/src/sub/b.py"]
    assert image.config.history[-1].created_by == "COPY --parents **/*.py /app/ # buildkit"
    image = lab.build("FROM scratch\nCOPY --exclude=sub --exclude=*.txt src /\nADD --exclude=**/*.py . /d/\n", context)
    assert lab.listing(image) == ["a.py", "d/", "d/docs/", "d/src/", "d/src/sub/", "d/src/sub/b.txt"]


def test_what_is_excluded_does_not_count(lab: Lab, context: Path) -> None:
    fill(context, {"src/a.py": "a", "src/b.txt": "b"})
    text = "FROM scratch\nCOPY --exclude=*.txt src /\n"
    lab.build(text, context)
    fill(context, {"src/b.txt": "changed", "src/c.txt": "new"})
    lab.build(text, context)
    assert lab.ended()[-1] is StepState.CACHED


def test_copies_from_named_contexts(lab: Lab, context: Path, tmp_path: Path) -> None:
    fill(tmp_path / "lib", {"x": "lib", "no": "", ".dockerignore": "no\n"})
    lab.base("other", {"y": "other"})
    text = "FROM scratch\nCOPY --from=lib . /lib/\nCOPY --from=tool /y /\n"
    image = lab.build(text, contexts={"lib": tmp_path / "lib", "tool": "other"})
    assert lab.listing(image) == ["lib/", "lib/.dockerignore", "lib/x", "y"]
    with pytest.raises(BuildError, match='"z" not found in the build context lib'):
        lab.build("FROM scratch\nCOPY --from=lib z /\n", contexts={"lib": tmp_path / "lib"})


def test_a_name_that_no_layer_can_hold(lab: Lab, context: Path) -> None:
    fill(context, {".wh.a": ""})
    with pytest.raises(BuildError, match=r"Dockerfile:2: cannot copy to /: '.wh.a' can't be in a layer"):
        lab.build("FROM scratch\nCOPY . /\n", context)
