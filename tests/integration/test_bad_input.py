"""What users get wrong: each is an error that says what, where and what to do, and leaves nothing behind."""

from __future__ import annotations

import io
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import (
    BuildError,
    DigestMismatch,
    DockerfileError,
    DockmagicError,
    InvalidLayer,
    InvalidReference,
    NotFound,
    RegistryError,
    RunFailed,
)
from dockmagic.image.registries import Registries
from dockmagic.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP
from dockmagic.oci.digest import Digest
from tests.integration.containers import run

pytestmark = pytest.mark.root


def test_an_empty_store_and_no_registry_name_the_way_out(state_root: Path) -> None:
    """A mirror that refuses connections stands for a network without registries."""
    with Engine(state_root, registries=Registries({"docker.io": ("http://127.0.0.1:9",)})) as engine:
        with pytest.raises(DockmagicError, match="dockmagic image bootstrap busybox"):
            engine.build("FROM busybox")
        with pytest.raises(RegistryError, match="dockmagic image bootstrap busybox"):
            run(engine, "true")


@pytest.mark.parametrize(
    "line",
    [
        "FROM 127.0.0.1:9/no/box",
        "COPY --from=127.0.0.1:9/no/box /a /",
        "RUN --mount=from=127.0.0.1:9/no/box,target=/m x",
    ],
)
def test_an_image_that_no_registry_has_is_shown_where_it_is_named(engine: Engine, busybox: object, line: str) -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9 can't be reached") as caught:
        engine.build(f"FROM busybox\n# the next line is at fault\n{line}\n")
    assert str(caught.value).startswith("Dockerfile:3: ")
    assert str(caught.value).endswith(f"\n  3 | {line}\n    | {'^' * len(line.split()[0])}")
    assert caught.value.url.startswith("http")


def test_unknown_images_and_tags(engine: Engine, busybox: object) -> None:
    with pytest.raises(NotFound, match="no such image: nothing"):
        engine.images.get("nothing")
    with pytest.raises(NotFound):
        engine.images.tag("nothing", "something")
    with pytest.raises(InvalidReference, match="lower case"):
        engine.images.tag("busybox", "BusyBox")


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        ("FOO bar", "unknown instruction: FOO"),
        ("RUN true", "FROM"),
        ("", "FROM|empty"),
        ("FROM busybox\nCOPY missing /", "missing"),
        ("FROM busybox\nCOPY ../outside /", "outside"),
        ("FROM busybox\nCOPY link /", "link"),
        ("FROM busybox\nCOPY link/passwd /", "link"),
        ("FROM busybox\nCOPY one", "at least two arguments"),
        ("FROM busybox\nENV", "ENV"),
        ("FROM busybox\nRUN --mountain=x true", "mountain"),
    ],
)
def test_wrong_dockerfiles_show_the_line(
    engine: Engine, busybox: object, tmp_path: Path, dockerfile: str, words: str
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "outside").write_text("secret")
    (context / "link").symlink_to("/etc")
    with pytest.raises(DockmagicError, match=words) as caught:
        engine.build(dockerfile, context=context, tags=["never"])
    assert isinstance(caught.value, (DockerfileError, BuildError))
    if dockerfile:
        assert dockerfile.splitlines()[-1] in str(caught.value)
        assert "^" in str(caught.value)
    assert engine.store.find("never") is None


def test_a_failing_step_tells_line_status_and_last_output(engine: Engine, busybox: object) -> None:
    with pytest.raises(RunFailed) as caught:
        engine.build("FROM busybox\nRUN echo working; echo trouble >&2; exit 9", tags=["never"])
    assert caught.value.exit_status == 9
    assert "trouble" in caught.value.output
    assert "exit code: 9" in str(caught.value)
    assert "RUN echo working" in str(caught.value)


def test_a_step_whose_command_isn_t_there(engine: Engine, busybox: object) -> None:
    with pytest.raises(DockmagicError, match="no-such-program"):
        engine.build('FROM busybox\nRUN ["no-such-program"]')
    with pytest.raises(RunFailed) as caught:
        engine.build("FROM busybox\nRUN no-such-program")
    assert caught.value.exit_status == 127


def archive(*entries: tuple[str, bytes, str]) -> bytes:
    """A tar of these entries: name, type, and what it holds or points to."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content.encode()))
            else:
                info.linkname = content
                info.devmajor, info.devminor = 1, 3
                tar.addfile(info)
    return stream.getvalue()


HOSTILE = {
    "dots": archive(("../outside", tarfile.REGTYPE, "x")),
    "dots inside": archive(("a/../../outside", tarfile.REGTYPE, "x")),
    "link to outside": archive(("link", tarfile.LNKTYPE, "../outside")),
    "truncated": archive(("file", tarfile.REGTYPE, "x" * 5000))[:2000],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layers_are_refused(engine: Engine, name: str) -> None:
    descriptor = engine.store.put_blob(HOSTILE[name], OCI_LAYER)
    with pytest.raises(InvalidLayer):
        engine.snapshots.unpack(None, descriptor, Digest.of(HOSTILE[name]))
    assert list((engine.root / "layers").iterdir()) == []


def test_a_link_can_t_take_a_later_entry_outside(engine: Engine, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    data = archive(("out", tarfile.SYMTYPE, str(victim)), ("out/file", tarfile.REGTYPE, "x"))
    descriptor = engine.store.put_blob(data, OCI_LAYER)
    with suppress(InvalidLayer):  # refused, or put where the link leads inside the root
        engine.snapshots.unpack(None, descriptor, Digest.of(data))
    assert list(victim.iterdir()) == []


def test_absolute_names_stay_inside(engine: Engine, tmp_path: Path) -> None:
    target = tmp_path / "absolute"
    data = archive((str(target), tarfile.REGTYPE, "x"))
    descriptor = engine.store.put_blob(data, OCI_LAYER)
    layer = engine.snapshots.unpack(None, descriptor, Digest.of(data))
    assert not target.exists()
    assert (engine.snapshots.path(layer.chain_id) / str(target).lstrip("/")).read_text() == "x"


def test_a_layer_that_isn_t_what_it_says(engine: Engine) -> None:
    data = archive(("file", tarfile.REGTYPE, "x"))
    descriptor = engine.store.put_blob(data, OCI_LAYER)
    with pytest.raises(DigestMismatch):
        engine.snapshots.unpack(None, descriptor, Digest.of(b"something else"))
    damaged = engine.store.put_blob(b"\x1f\x8b\x08\x00garbage", OCI_LAYER_GZIP)
    with pytest.raises(InvalidLayer):
        engine.snapshots.unpack(None, damaged, Digest.of(b""))
    assert list((engine.root / "layers").iterdir()) == []


def test_device_nodes_of_an_image_can_t_be_used(engine: Engine, busybox: object) -> None:
    """Docker unpacks device nodes too; what keeps a container from using them is its list of devices."""
    made = "FROM busybox\nRUN mknod /disk b 254 0"
    engine.build(made, tags=["nodes"])
    outcome = run(engine, "head", "-c", "1", "/disk", image="nodes")
    assert "Operation not permitted" in outcome.stderr
