"""Pushing to a real registry, and images that cross between us and other engines through it, in both directions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from dockmagic.builder.cache_transfer import CACHE_CONFIG
from dockmagic.engine import Engine
from dockmagic.events import Event, PushFinished, PushProgress
from dockmagic.image.pull import LAYER_TYPES
from dockmagic.image.registries import Registries
from dockmagic.image.store import Image
from dockmagic.oci.descriptor import DOCKER_MANIFEST, OCI_MANIFEST
from tests.integration.cutting import cutting
from tests.integration.peers import Command, files_of, make_image, run, storage
from tests.integration.registry_fixture import Registry, StateRoot, make_layout, running_registry, skopeo, state_root
from tests.integration.trees import describe

pytestmark = pytest.mark.root
_PROJECT = Path(__file__).parents[2]
_SMALL = Registries(chunk_bytes=100_000)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateRoot]:
    """A state root with an image of two layers with files of every kind."""
    with state_root(tmp_path_factory.mktemp("origin")) as root:
        yield root


@pytest.fixture(scope="module")
def image(origin: StateRoot) -> Image:
    return make_image(origin).image


@pytest.fixture(scope="module")
def files(origin: StateRoot, image: Image, tmp_path_factory: pytest.TempPathFactory) -> object:
    return files_of(origin, image, tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def layout(origin: StateRoot, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layout(image, origin.store, tmp_path_factory.mktemp("layout"))


@pytest.fixture
def repository(registry: Registry, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower()).strip("-")
    return f"{registry.host}/{'-'.join(filter(None, name.split('-')))}"


@pytest.fixture
def engine(tmp_path: Path, layout: Path) -> Iterator[Engine]:
    """An engine that has loaded the image, and pushes in small pieces."""
    with Engine(tmp_path / "root", registries=_SMALL) as engine:
        engine.images.load(layout)
        yield engine


@pytest.fixture
def other(tmp_path: Path) -> Iterator[StateRoot]:
    with state_root(tmp_path / "other") as root:
        yield root


def push(engine: Engine, image: Image, name: str) -> list[Event]:
    """Name the image so, and push it; what was said meanwhile."""
    said: list[Event] = []
    engine.images.tag(image.id, name)
    (pushed,) = engine.images.push(name, said.append)
    assert pushed.digest == engine.images.get(name).manifest_digest
    return said


def statuses(said: list[Event]) -> set[str]:
    """In which states layers ended."""
    last = {event.digest: event.status for event in said if isinstance(event, PushProgress)}
    return set(last.values())


def ask(registry: Registry, method: str, path: str) -> int:
    """The status of the registry's answer."""
    accept = {"Accept": f"{OCI_MANIFEST}, {DOCKER_MANIFEST}"}
    try:
        with build_opener(ProxyHandler({})).open(
            Request(f"{registry.url}/v2/{path}", None, accept, method=method)
        ) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def inspect(name: str, *options: str) -> str:
    return skopeo("inspect", "--tls-verify=false", *options, f"docker://{name}")


def tree_of(root: Path, image: Image, directory: Path) -> object:
    """What the files of an image in this state root are."""
    with state_root(root) as state:
        return files_of(state, image, directory)


def test_what_is_pushed_is_there(engine: Engine, image: Image, repository: str) -> None:
    said = push(engine, image, f"{repository}:1")
    assert statuses(said) == {"pushed"}
    size = engine.store.blob_path(image.manifest_digest).stat().st_size
    assert said[-1] == PushFinished(f"{repository}:1", image.manifest_digest, size)
    seen = json.loads(inspect(f"{repository}:1"))
    assert (seen["Digest"], seen["RepoTags"]) == (image.manifest_digest, ["1"])
    assert seen["Layers"] == [layer.digest for layer in image.manifest.layers]
    assert inspect(f"{repository}:1", "--raw").encode() == engine.store.read_blob(image.manifest_digest)
    assert statuses(push(engine, image, f"{repository}:1")) == {"exists"}


def test_it_is_pulled_by_its_digest(
    engine: Engine, image: Image, repository: str, files: object, tmp_path: Path
) -> None:
    push(engine, image, f"{repository}:1")
    with Engine(tmp_path / "third") as third:
        pulled = third.images.pull(f"{repository}@{image.manifest_digest}")
    assert (pulled.id, pulled.manifest_digest) == (image.id, image.manifest_digest)
    assert tree_of(tmp_path / "third", pulled, tmp_path / "files") == files


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    "options",
    [
        ["--preserve-digests"],
        ["--format=v2s2", "--dest-compress", "--dest-compress-format=gzip"],
        ["--dest-compress", "--dest-compress-format=zstd"],
        ["--dest-decompress"],
    ],
)
def test_pull_and_push_keep_the_digest(
    options: list[str], registry: Registry, repository: str, layout: Path, tmp_path: Path
) -> None:
    registry.push(layout, repository.partition("/")[2], "theirs", *options)
    with Engine(tmp_path / "engine", registries=_SMALL) as engine:
        pulled = engine.images.pull(f"{repository}:theirs")
        assert {layer.media_type for layer in pulled.manifest.layers} <= set(LAYER_TYPES)
        push(engine, pulled, f"{repository}-again:ours")
    assert inspect(f"{repository}-again:ours", "--raw") == inspect(f"{repository}:theirs", "--raw")
    again, theirs = (json.loads(inspect(name)) for name in (f"{repository}-again:ours", f"{repository}:theirs"))
    assert again["Digest"] == theirs["Digest"] == pulled.manifest_digest


def test_what_another_repository_has_is_mounted(
    engine: Engine, image: Image, registry: Registry, repository: str
) -> None:
    push(engine, image, f"{repository}:1")
    assert statuses(push(engine, image, f"{repository}/copy:2")) == {"mounted"}
    uploads = registry.directory / "docker/registry/v2/repositories" / repository.partition("/")[2] / "copy/_uploads"
    assert not uploads.exists()
    assert json.loads(inspect(f"{repository}/copy:2"))["Digest"] == image.manifest_digest


def test_what_was_pulled_from_another_repository_is_mounted(
    engine: Engine, image: Image, repository: str, tmp_path: Path
) -> None:
    push(engine, image, f"{repository}:1")
    with Engine(tmp_path / "third") as third:
        pulled = third.images.pull(f"{repository}:1")
        assert statuses(push(third, pulled, f"{repository}/copy:2")) == {"mounted"}


def test_all_tags_and_a_tag_that_moves(engine: Engine, image: Image, registry: Registry, repository: str) -> None:
    other = engine.build(f"FROM {image.id.hex[:12]}\nLABEL a=b", tags=[f"{repository}:b"])
    engine.images.tag(image.id, f"{repository}:a")
    said: list[Event] = []
    pushed = engine.images.push(repository, said.append, all_tags=True)
    assert [(each.reference.tag, each.digest) for each in pushed] == [
        ("a", image.manifest_digest),
        ("b", other.manifest_digest),
    ]
    assert sorted(json.loads(inspect(f"{repository}:a"))["RepoTags"]) == ["a", "b"]
    push(engine, other, f"{repository}:a")
    assert json.loads(inspect(f"{repository}:a"))["Digest"] == other.manifest_digest
    assert ask(registry, "HEAD", f"{repository.partition('/')[2]}/manifests/{image.manifest_digest}") == 200


def test_what_the_registry_deleted_comes_back(
    engine: Engine, image: Image, registry: Registry, repository: str
) -> None:
    push(engine, image, f"{repository}:1")
    path = repository.partition("/")[2]
    lower = image.manifest.layers[0].digest
    assert ask(registry, "DELETE", f"{path}/manifests/{image.manifest_digest}") == 202
    assert ask(registry, "DELETE", f"{path}/blobs/{lower}") == 202
    assert ask(registry, "HEAD", f"{path}/manifests/1") == 404
    said = push(engine, image, f"{repository}:1")
    ends = {event.digest: event.status for event in said if isinstance(event, PushProgress)}
    assert ends == {lower: ends[lower], image.manifest.layers[1].digest: "exists"}
    assert ends[lower] in ("pushed", "mounted")
    assert ask(registry, "HEAD", f"{path}/manifests/1") == 200


def test_what_was_built_is_pushed(engine: Engine, image: Image, repository: str, tmp_path: Path) -> None:
    engine.build(f"FROM {image.id.hex[:12]}\nCOPY new /new\nENV A=b", context=_context(tmp_path), tags=[repository])
    (pushed,) = engine.images.push(repository)
    with Engine(tmp_path / "third") as third:
        pulled = third.images.pull(repository)
    assert pulled.manifest_digest == pushed.digest
    assert pulled.config.config.env[-1] == "A=b"
    assert pulled.manifest.layers[:2] == image.manifest.layers


def _context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "new").write_text("new")
    return directory


@pytest.mark.parametrize("flags", [["--push"], ["-o", "type=registry"], ["-o", "type=image,push=true"]])
def test_builds_that_push(flags: list[str], engine: Engine, image: Image, repository: str, tmp_path: Path) -> None:
    context = _context(tmp_path)
    (context / "Dockerfile").write_text(f"FROM {image.id.hex[:12]}\nCOPY new /\n")
    done = dockmagic(engine, "build", *flags, "-t", f"{repository}:1", "-t", f"{repository}/more:2", str(context))
    assert done.returncode == 0, done.stderr
    digest = engine.images.get(f"{repository}:1").manifest_digest
    assert json.loads(inspect(f"{repository}:1"))["Digest"] == digest
    assert json.loads(inspect(f"{repository}/more:2"))["Digest"] == digest
    assert f"The push refers to repository [{repository}]" in done.stderr
    refused = dockmagic(engine, "build", *flags, str(context))
    assert "tag is needed when pushing to registry" in refused.stderr


def test_a_cache_in_the_registry(engine: Engine, image: Image, repository: str, tmp_path: Path) -> None:
    context = _context(tmp_path)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY new /new\nWORKDIR /here\n")
    cache = f"type=registry,ref={repository}"
    assert dockmagic(engine, "build", "--cache-to", f"{cache},mode=max", str(context)).returncode == 0
    assert json.loads(inspect(repository, "--raw"))["artifactType"] == CACHE_CONFIG
    with Engine(tmp_path / "third") as third:
        done = dockmagic(third, "build", "--cache-from", repository, "--progress=plain", str(context))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("CACHED") == 3


@pytest.mark.needs("podman")
def test_what_podman_pulls(
    engine: Engine, image: Image, repository: str, files: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    push(engine, image, f"{repository}:1")
    podman = storage("podman", tmp_path_factory.mktemp("p"))
    assert run(*podman, "pull", "--quiet", "--tls-verify=false", f"{repository}:1").strip() == image.id.hex
    digests = run(*podman, "image", "inspect", "--format", "{{.Digest}}", image.id.hex).strip()
    assert digests == image.manifest_digest
    mounted = Path(run(*podman, "image", "mount", image.id.hex).strip())
    try:
        assert describe(mounted) == files
    finally:
        run(*podman, "image", "umount", image.id.hex)


@pytest.mark.needs("podman", "buildah", "skopeo")
@pytest.mark.parametrize("program", ["podman", "buildah"])
@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_what_other_engines_push(
    program: str,
    form: str,
    layout: Path,
    image: Image,
    repository: str,
    files: object,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    engine: Command = storage(program, tmp_path_factory.mktemp("e"))
    image_id = run(*engine, "pull", "--quiet", f"oci:{layout}:image").strip()
    run(*engine, "push", "--quiet", "--tls-verify=false", f"--format={form}", image_id, f"{repository}:1")
    with Engine(tmp_path / "third", registries=_SMALL) as third:
        pulled = third.images.pull(f"{repository}:1")
        assert pulled.manifest_digest == json.loads(inspect(f"{repository}:1"))["Digest"]
        assert pulled.manifest.media_type == (OCI_MANIFEST if form == "oci" else DOCKER_MANIFEST)
        assert pulled.config.diff_ids == image.config.diff_ids
        push(third, pulled, f"{repository}/back:1")
    assert inspect(f"{repository}/back:1", "--raw") == inspect(f"{repository}:1", "--raw")
    assert tree_of(tmp_path / "third", pulled, tmp_path / "files") == files


def test_what_skopeo_copies_from_what_we_pushed(
    engine: Engine, image: Image, repository: str, files: object, other: StateRoot, tmp_path: Path
) -> None:
    push(engine, image, f"{repository}:1")
    skopeo(
        "copy", "--src-tls-verify=false", "--preserve-digests", f"docker://{repository}:1", f"oci:{tmp_path / 'l'}:1"
    )
    with Engine(tmp_path / "third") as third:
        (loaded,) = third.images.load(tmp_path / "l")
    assert loaded.image.manifest_digest == image.manifest_digest
    assert tree_of(tmp_path / "third", loaded.image, tmp_path / "files") == files


def test_on_the_command_line(engine: Engine, image: Image, repository: str) -> None:
    engine.images.tag(image.id, f"{repository}:latest")
    done = dockmagic(engine, "push", repository)
    assert (done.stdout, done.returncode) == ("Using default tag: latest\n", 0)
    size = engine.store.blob_path(image.manifest_digest).stat().st_size
    lines = done.stderr.splitlines()
    assert lines[0] == f"The push refers to repository [{repository}]"
    assert lines[-1] == f"latest: digest: {image.manifest_digest} size: {size}"
    for layer in image.manifest.layers:
        assert f"{layer.digest.hex[:12]}: Pushed" in lines
    quiet = dockmagic(engine, "image", "push", "-q", repository)
    assert (quiet.stdout, quiet.stderr) == (f"{repository}\n", "")


def dockmagic(engine: Engine, *words: str) -> subprocess.CompletedProcess[str]:
    """A finished command on the engine's state root."""
    environment = os.environ | {"DOCKMAGIC_ROOT": str(engine.root), "PYTHONPATH": str(_PROJECT)}
    command = [sys.executable, "-m", "dockmagic", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)


def large(engine: Engine, name: str, tmp_path: Path) -> Image:
    """An image with a layer of 2 MB that can't be compressed."""
    (_context(tmp_path) / "new").write_bytes(os.urandom(2_000_000))
    return engine.build("FROM scratch\nCOPY new /", context=tmp_path / "context", tags=[name])


@pytest.mark.parametrize("chunk_bytes", [150_000, 1 << 24])
def test_broken_connections(chunk_bytes: int, registry: Registry, tmp_path: Path) -> None:
    with cutting(registry, [400_000, 300_000, 700_000]) as cutter:
        name = f"{cutter.host}/broken-{chunk_bytes}:1"
        with Engine(tmp_path / "root", registries=Registries(chunk_bytes=chunk_bytes)) as engine:
            image = large(engine, name, tmp_path)
            said: list[Event] = []
            engine.images.push(name, said.append)
        assert cutter.limits == []
        assert [event.status for event in said if isinstance(event, PushProgress)].count("retrying") == 3
        assert json.loads(inspect(name))["Digest"] == image.manifest_digest
        with Engine(tmp_path / "third") as third:
            assert third.images.pull(name).id == image.id


def test_an_interrupt_ends_a_push_that_hangs(registry: Registry, tmp_path: Path) -> None:
    with cutting(registry, [400_000], hold=True) as cutter, Engine(tmp_path / "root") as engine:
        name = f"{cutter.host}/hangs:1"
        large(engine, name, tmp_path)
        environment = os.environ | {"DOCKMAGIC_ROOT": str(engine.root), "PYTHONPATH": str(_PROJECT)}
        command = [sys.executable, "-m", "dockmagic", "push", name]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert cutter.held.wait(30)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=10)
        assert process.returncode == 130
        assert "Traceback" not in told
    assert ask(registry, "HEAD", "hangs/manifests/1") == 404


def test_a_push_that_is_given_up_leaves_no_upload(engine: Engine, registry: Registry, repository: str) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, PushProgress) and event.status == "uploading":
            raise KeyboardInterrupt

    path = repository.partition("/")[2]
    built = engine.build("FROM scratch\nWORKDIR /new", tags=[repository])
    engine.images.push(repository)
    assert ask(registry, "DELETE", f"{path}/blobs/{built.manifest.layers[0].digest}") == 202
    with pytest.raises(KeyboardInterrupt):
        engine.images.push(repository, interrupt)
    uploads = registry.directory / "docker/registry/v2/repositories" / path / "_uploads"
    assert list(uploads.glob("*/data")) == []
    (pushed,) = engine.images.push(repository)
    assert pushed.digest == built.manifest_digest
