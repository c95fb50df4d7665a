"""Mounts of RUN as the command's runner gets them, and what of them is in the cache's key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from dockmagic.builder.seam import OnOutput, RunStep
from dockmagic.errors import DockerfileError
from dockmagic.oci.spec import Mount
from tests.unit.builder.lab import Lab, fill


def mounts(lab: Lab) -> tuple[Mount, ...]:
    """Those of the last command."""
    return lab.runs[-1].options.mounts


def test_files_of_the_context_are_copied_without_what_is_ignored(lab: Lab, context: Path) -> None:
    fill(context, {"a": "a", "sub/b": "b", "no": "n", ".dockerignore": "no\n", "sub/link": "-> b"})
    seen = list[str]()

    def command(step: RunStep, output: OnOutput) -> int:
        place = Path(step.options.mounts[0].source)
        seen.extend(sorted(str(path.relative_to(place)) for path in place.rglob("*")))
        (place / "written").touch()
        return 0

    lab.command = command
    lab.build("FROM base\nRUN --mount=target=/src,rw make\n", context)
    assert seen == [".dockerignore", "a", "sub", "sub/b", "sub/link"]
    assert (mounts(lab)[0].destination, mounts(lab)[0].options) == ("/src", ("bind", "rw"))
    assert not (context / "written").exists()


def test_one_file_of_the_context(lab: Lab, context: Path) -> None:
    fill(context, {"d/a": "text", "link": "-> d/a"})
    seen = list[str]()

    def command(step: RunStep, output: OnOutput) -> int:
        seen.append(Path(step.options.mounts[0].source).read_text())
        return 0

    lab.command = command
    lab.build("FROM base\nRUN --mount=source=link,target=/f make\n", context)
    assert seen == ["text"]


def test_only_what_a_mount_shows_is_in_the_key(lab: Lab, context: Path) -> None:
    fill(context, {"d/a": "1", "d/b": "1", "other": "1", ".dockerignore": "d/b"})
    text = "FROM base\nRUN --mount=source=d,target=/d make\n"
    lab.build(text, context)
    fill(context, {"d/b": "2", "other": "2"})
    lab.build(text, context)
    assert lab.runs == []
    fill(context, {"d/a": "2"})
    lab.build(text, context)
    assert len(lab.runs) == 1
    assert lab.steps()[-1].reason == "RUN: d/a changed"


def test_a_stage_that_made_the_same_again_changes_nothing(lab: Lab) -> None:
    def command(step: RunStep, output: OnOutput) -> int:
        if step.options.command[-1].startswith("make"):
            (step.upper / "o").mkdir()
            (step.upper / "o/f").write_text("made")
        return 0

    lab.command = command
    text = "FROM base AS one\nRUN make {}\nFROM base\nRUN --mount=from=one,source=/o,target=/o use\n"
    lab.build(text.format(1))
    lab.build(text.format(2))
    assert [run.options.command[-1] for run in lab.runs] == ["make 2"]


def test_stages_and_images_are_seen_through_an_overlay(lab: Lab) -> None:
    def command(step: RunStep, output: OnOutput) -> int:
        (step.upper / "srv/app").mkdir(parents=True)
        return 0

    lab.command = command
    lab.build(
        "FROM base AS one\nRUN make\nFROM base\n"
        "RUN --mount=from=one,source=app,target=/a --mount=from=base,target=/b,rw use\n"
    )
    app, base = mounts(lab)
    assert app.overlay is not None
    assert base.overlay is not None
    assert (app.destination, app.options, base.options) == ("/a", ("ro",), ("rw",))
    assert [Path(path).name for path in app.overlay.lower] == ["app", "app"]
    assert tuple(map(Path, base.overlay.lower)) == lab.snapshots.lower(lab.store.get("base").config.diff_ids)
    assert app.overlay.upper != base.overlay.upper


def test_one_file_of_an_image_is_shown_itself_unless_it_may_be_changed(lab: Lab) -> None:
    lab.build("FROM scratch\nRUN --mount=from=base,source=bin/sh,target=/a use\n")
    layer = lab.snapshots.lower(lab.store.get("base").config.diff_ids)[0]
    assert mounts(lab) == (Mount("/a", "bind", f"{layer}/bin/sh", ("bind", "ro")),)
    lab.build("FROM scratch\nRUN --mount=from=base,source=bin/sh,target=/a,rw use\n")
    assert not mounts(lab)[0].source.startswith(str(layer))


def test_what_a_cache_holds_is_kept_and_no_part_of_the_key(lab: Lab) -> None:
    def command(step: RunStep, output: OnOutput) -> int:
        with (Path(step.options.mounts[0].source) / "log").open("a") as file:
            file.write("x")
        return 0

    lab.command = command
    text = "FROM base\nRUN --mount=type=cache,target=/c use\n"
    lab.build(text)
    lab.build(text)
    assert lab.runs == []
    lab.build(text, no_cache=True)
    (mount,) = mounts(lab)
    assert (mount.destination, mount.options) == ("/c", ("bind", "rw"))
    assert (Path(mount.source) / "log").read_text() == "xx"
    assert Path(mount.source).is_relative_to(lab.root / "cache")


def test_a_cache_with_a_base_begins_with_it(lab: Lab) -> None:
    lab.build("FROM base\nRUN --mount=type=cache,from=base,source=etc,target=/c,mode=700 use\n")
    place = Path(mounts(lab)[0].source)
    assert sorted(path.name for path in place.iterdir()) == ["group", "passwd"]
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_place_in_a_cache_is_looked_up_inside_of_it(lab: Lab, tmp_path: Path) -> None:
    lab.build("FROM base\nRUN --mount=type=cache,id=i,target=/c make\n")
    cache = Path(mounts(lab)[0].source)
    fill(cache, {"sub/f": "inside", "out": "-> /sub"})
    seen = list[str]()

    def command(step: RunStep, output: OnOutput) -> int:
        seen.append((Path(step.options.mounts[0].source) / "f").read_text())
        return 0

    lab.command = command
    lab.build("FROM base\nRUN --mount=type=cache,id=i,source=out,target=/c make\n")
    assert seen == ["inside"]
    with pytest.raises(DockerfileError, match=r'"none" in the cache i: No such file') as caught:
        lab.build("FROM base\nRUN --mount=type=cache,id=i,source=none,target=/c make\n")
    assert "2 | RUN --mount=type=cache,id=i,source=none" in str(caught.value)


def test_memory_and_the_order_of_mounts(lab: Lab) -> None:
    flags = ["type=tmpfs,target=/a/b,size=1k", "type=cache,target=/a", "type=tmpfs,target=/t,ro"]
    lab.build(f"FROM base\nRUN {' '.join(f'--mount={flag}' for flag in flags)} use\n")
    assert [mount.destination for mount in mounts(lab)] == ["/a", "/a/b", "/t"]
    assert mounts(lab)[1] == Mount("/a/b", "tmpfs", "tmpfs", ("nosuid", "rw", "size=1024"))
    assert mounts(lab)[2].options == ("nosuid", "ro")


def test_secrets_are_files_and_variables_and_no_part_of_the_key(lab: Lab) -> None:
    flags = "--mount=type=secret,id=a,mode=444,uid=7 --mount=type=secret,id=b,env=B --mount=type=secret,id=not-given"
    text = f"FROM base\nRUN {flags} use\n"
    lab.build(text, secrets={"a": b"\0secret", "b": b"text"})
    options = ("mode=444", "uid=7", "gid=0", "ro")
    content = base64.b64encode(b"\0secret").decode()
    assert mounts(lab) == (Mount("/run/secrets/a", "tmpfs", "tmpfs", options, content=content),)
    assert lab.runs[0].options.env[-1] == "B=text"
    assert content not in repr(mounts(lab))
    lab.build(text, secrets={"a": b"another", "b": b"text"})
    assert lab.runs == []


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("type=secret,id=x,required", 'the secret "x" is required; give it to the build: --secret id=x,src=FILE'),
        ("type=secret,id=zero,env=", "has a zero byte in it"),
        ("source=none,target=/x", '"none" not found in the build context'),
        ("source=no,target=/x", "it is excluded by .dockerignore"),
        ("from=base,source=none,target=/x", '"none" not found in the image base'),
        ("from=one,source=none,target=/x", '"none" not found in the stage one'),
        ("type=cache,from=base,source=etc/passwd,target=/x", "isn't a directory, so no cache can begin with it"),
    ],
)
def test_errors_show_the_mount(lab: Lab, context: Path, flag: str, message: str) -> None:
    fill(context, {"no": "", ".dockerignore": "no"})
    with pytest.raises(DockerfileError, match=message) as caught:
        lab.build(f"FROM base AS one\nFROM base\nRUN \\\n  --mount={flag} use\n", context, secrets={"zero": b"\0"})
    caret = "^" * len(f"--mount={flag}")
    assert str(caught.value).endswith(f"  4 |   --mount={flag} use\n    |   {caret}")


def test_without_a_context_nothing_of_it_can_be_mounted(lab: Lab) -> None:
    with pytest.raises(DockerfileError, match="this build has no context"):
        lab.build("FROM base\nRUN --mount=target=/x use\n")


def test_variables_in_mounts(lab: Lab) -> None:
    text = "FROM base\nARG T=cache\nENV D=/d\nRUN --mount=type=$T,target=$D use\n"
    lab.build(text)
    assert mounts(lab)[0].destination == "/d"
    with pytest.raises(DockerfileError, match='4: unsupported mount type "nfs"'):
        lab.build(text, args={"T": "nfs"})


@pytest.mark.parametrize("name", ["2", "later", "self"])
def test_only_stages_before_can_be_mounted(lab: Lab, name: str) -> None:
    text = f"FROM base AS self\nRUN --mount=from={name},target=/x use\nFROM base AS later\nFROM self\n"
    with pytest.raises(DockerfileError, match=rf"2: from={name} (is|names)|only stages before this one can be used"):
        lab.build(text)
