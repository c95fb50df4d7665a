"""Builds here and by buildah: the same config, the same files; a table says where BuildKit's rule is another."""

from __future__ import annotations

import json
import tarfile
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest

from dockmagic.engine import Engine
from dockmagic.image.store import Image
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.image_json import dump_image_config
from dockmagic.oci.reference import Reference
from tests.integration.builder_cases import CONFIG, REASONS, STAGES, Case
from tests.integration.builder_cases_files import ADD, COPY, IGNORED
from tests.integration.builder_peers import Buildah, Peer, make_base, make_context, trees
from tests.unit.image.fake_server import Reply, serving

pytestmark = [pytest.mark.root, pytest.mark.needs("buildah")]

BASE: Final = "localhost/base"
FIELDS: Final = (
    "User", "Env", "Cmd", "Entrypoint", "WorkingDir", "ExposedPorts", "Volumes", "Labels", "StopSignal", "Shell",
    "Healthcheck", "OnBuild",
)  # fmt: skip
CASES: Final = (*CONFIG, *STAGES, *COPY, *ADD, *IGNORED)


class Bench:
    """Our engine's state root and buildah's storage, with the same base image."""

    def __init__(self, directory: Path) -> None:
        root = directory / "base"
        root.mkdir()
        make_base(root)
        (directory / "peer").mkdir()
        self.peer = Buildah(directory / "peer")
        context = directory / "basecontext"
        context.mkdir()
        with tarfile.open(context / "base.tar", "w") as tar:
            tar.add(root, ".")
        self.peer.build('FROM scratch\nADD base.tar /\nENV PATH=/bin\nCMD ["sh"]\n', context, ("-t", BASE))
        self.root = directory / "state"
        with Engine(self.root) as engine:
            _add_base(engine, root)


def _add_base(engine: Engine, root: Path) -> None:
    """Make an image of the directory."""
    with engine.workspaces.new() as workspace:
        root.rename(workspace / "upper")
        layer = engine.snapshots.commit(None, workspace / "upper")
    config = ContainerConfig(env=("PATH=/bin",), cmd=("sh",))
    image = ImageConfig("amd64", "linux", config, (layer.diff_id,))
    engine.store.add_image(image, [layer.descriptor], references=[Reference.parse(BASE)])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_image_is_the_one_that_buildah_builds(case: Case, bench: Bench, tmp_path: Path) -> None:
    text, context = _text(case.dockerfile), make_context(tmp_path / "context", case.files)
    flags = [flag.replace("CONTEXT", str(context)) for flag in case.flags]
    for name, dockerfile in case.bases.items():
        bench.peer.build(_text(dockerfile), context, ("-t", f"localhost/{name}"))
    peer = bench.peer.build(text if case.peer is None else _text(case.peer), context, flags)
    with Engine(bench.root) as engine:
        for name, dockerfile in case.bases.items():
            engine.build(_text(dockerfile), tags=[name, f"localhost/{name}"])
        image = engine.build(text, context=context, **case.options)
        ours, theirs = _both(engine, image, peer, tmp_path)
    different = {key: (ours.get(key), theirs.get(key)) for key in ours | theirs if ours.get(key) != theirs.get(key)}
    assert different.keys() == case.differences.keys(), different


def test_there_is_a_reason_for_every_difference() -> None:
    assert {reason for case in CASES for reason in case.differences.values()} == set(REASONS)
    assert len({case.name for case in CASES}) == len(CASES) >= 60


def test_downloads_and_named_contexts_are_those_of_buildah(bench: Bench, tmp_path: Path) -> None:
    lib, context = (make_context(tmp_path / name, {"x|640": "x", "d/y": "y"}) for name in ("lib", "context"))
    with serving() as server, Engine(bench.root) as engine:
        body = Reply(200, b"body", {"Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT"})
        server.routes = {"/a/f.txt": body, "/a/g": body}
        text = _text(f"""
            ADD {server.url}/a/f.txt /one/
            ADD {server.url}/a/f.txt /two
            ADD --chown=1:2 {server.url}/a/f.txt {server.url}/a/g x /three/
            COPY --from=lib . /lib/
            COPY --from=lib d/y /
        """)
        image = engine.build(text, context=context, build_contexts={"lib": lib})
        peer = bench.peer.build(text, context, (f"--build-context=lib={lib}",))
        ours, theirs = _both(engine, image, peer, tmp_path)
    assert ours == theirs


def _text(dockerfile: str) -> str:
    """The Dockerfile, which starts from the base unless it says from what."""
    text = textwrap.dedent(dockerfile).lstrip()
    begun = any(line.startswith("FROM ") for line in text.splitlines())
    return (text if begun else f"FROM BASE\n{text}").replace("BASE", BASE)


def _both(engine: Engine, image: Image, peer: Peer, workspace: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """All that is compared of our image, and of buildah's: files by path, and fields of the config."""
    ours, theirs = trees([engine.snapshots.lower(image.config.diff_ids), peer.lower], workspace)
    return ours | _config(json.loads(dump_image_config(image.config))), theirs | _config(peer.config)


def _config(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of an image's config that are set."""
    config = document["config"]
    config.get("Labels", {}).pop("io.buildah.version", None)
    found = {f"config {name}": config[name] for name in FIELDS if config.get(name)}
    return found | ({"config author": document["author"]} if document.get("author") else {})
