"""The registry that is served here, with the clients of others: skopeo, podman, buildah, and our own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from dockmagic.engine import Engine
from dockmagic.events import Event, RegistryRequest
from dockmagic.image.bootstrap import bootstrap_busybox
from dockmagic.image.registries import Registries
from dockmagic.image.store import Image
from dockmagic.oci.descriptor import DOCKER_MANIFEST
from dockmagic.registry.directory import Directory
from dockmagic.registry.server import RegistryServer
from tests.conformance.registry_asking import ACCEPT, OCI_MANIFEST, OCTETS, Asking, digest_of
from tests.conformance.registry_checks import assert_document, check_push, fresh
from tests.conformance.registry_data import LAYER, Data
from tests.integration.registry_fixture import StateRoot, make_layout, skopeo, state_root

pytestmark = pytest.mark.root
PROGRAM = [sys.executable, "-m", "dockmagic", "registry", "serve", "-p", "0"]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateRoot]:
    """Where the image comes from that is pushed."""
    with state_root(tmp_path_factory.mktemp("origin")) as root:
        yield root


@pytest.fixture(scope="module")
def busybox(origin: StateRoot) -> Image:
    return bootstrap_busybox(origin.store, origin.snapshots)


@pytest.fixture(scope="module")
def layout(origin: StateRoot, busybox: Image, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image as skopeo calls it, in an OCI layout."""
    return f"oci:{make_layout(busybox, origin.store, tmp_path_factory.mktemp('layout'))}:image"


@pytest.fixture
def served(engine: Engine) -> Iterator[RegistryServer]:
    with engine.registry.serve() as server:
        yield server


@pytest.fixture
def ask(served: RegistryServer) -> Iterator[Asking]:
    ask = Asking(served.host)
    yield ask
    ask.close()


@pytest.fixture
def storage(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags that give podman and buildah a storage of their own, whose path has to be short."""
    base = tmp_path_factory.mktemp("p")
    return ["--root", str(base / "root"), "--runroot", str(base / "run"), "--storage-driver=overlay"]


def run(*command: str | Path) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def digest_at(ask: Asking, repository: str, reference: str) -> str:
    """Digest of what the registry has there."""
    return digest_of(ask("GET", f"/v2/{repository}/manifests/{reference}", headers=ACCEPT).body)


@pytest.mark.needs("skopeo")
def test_skopeo_brings_and_takes(ask: Asking, layout: str, busybox: Image, tmp_path: Path) -> None:
    there = f"docker://{ask.host}/team/box:1"
    skopeo("copy", "--dest-tls-verify=false", "--preserve-digests", layout, there)
    assert digest_at(ask, "team/box", "1") == busybox.manifest_digest
    skopeo("copy", "--src-tls-verify=false", "--preserve-digests", there, f"oci:{tmp_path}/back:image")
    blobs = {path.name for path in (tmp_path / "back/blobs/sha256").iterdir()}
    assert blobs == {part.hex for part in (busybox.manifest_digest, busybox.id, busybox.manifest.layers[0].digest)}
    assert busybox.manifest_digest in skopeo("inspect", "--tls-verify=false", there)
    assert '"1"' in skopeo("list-tags", "--tls-verify=false", f"docker://{ask.host}/team/box")
    skopeo("delete", "--tls-verify=false", there)
    assert ask("GET", "/v2/team/box/tags/list").json()["tags"] == []


@pytest.mark.needs("skopeo")
def test_looked_at_and_deleted_by_ours(ask: Asking, layout: str, engine: Engine) -> None:
    """An image of Docker's form, as skopeo converts it."""
    for tag in ("1", "2"):
        skopeo("copy", "--dest-tls-verify=false", "--format=v2s2", layout, f"docker://{ask.host}/team/box:{tag}")
    assert engine.images.catalog(ask.host) == ("team/box",)
    assert engine.images.tags(f"{ask.host}/team/box") == ("1", "2")
    pulled = engine.images.pull(f"{ask.host}/team/box:1")
    assert (pulled.manifest.media_type, pulled.manifest_digest) == (DOCKER_MANIFEST, digest_at(ask, "team/box", "1"))
    subject = {"mediaType": DOCKER_MANIFEST, "digest": str(pulled.manifest_digest), "size": 1}
    data = Data()
    data.artifact(subject=subject)
    check_push(ask, data, "team/box")
    [found] = engine.images.referrers(f"{ask.host}/team/box:1")
    assert [found.digest] == list(data.documents)
    engine.images.delete_remote(f"{ask.host}/team/box:1")
    assert engine.images.tags(f"{ask.host}/team/box") == ("2",)


def test_our_own_push_comes_back_byte_for_byte(ask: Asking, engine: Engine, tmp_path: Path) -> None:
    image = bootstrap_busybox(engine.store, engine.snapshots)
    for name in ("team/box:1", "team/box:2", "other/box:1"):
        engine.images.tag("busybox", f"{ask.host}/{name}")
        [pushed] = engine.images.push(f"{ask.host}/{name}")
        assert pushed.digest == digest_at(ask, name.partition(":")[0], name.partition(":")[2]) == image.manifest_digest
    with Engine(tmp_path / "other", registries=Registries()) as other:
        pulled = other.images.pull(f"{ask.host}/other/box:1")
    assert (pulled.id, pulled.manifest_digest) == (image.id, image.manifest_digest)


@pytest.mark.needs("skopeo", "podman", "buildah")
def test_podman_and_buildah(
    ask: Asking, layout: str, busybox: Image, storage: list[str], tmp_path: Path, engine: Engine
) -> None:
    skopeo("copy", "--dest-tls-verify=false", layout, f"docker://{ask.host}/box:1")
    run("podman", *storage, "pull", "-q", "--tls-verify=false", f"{ask.host}/box:1")
    for program in ("podman", "buildah"):
        file = tmp_path / program
        target = f"{ask.host}/{program}/box:2"
        source = f"{ask.host}/box:1"
        run(program, *storage, "push", "-q", "--tls-verify=false", f"--digestfile={file}", source, f"docker://{target}")
        assert digest_at(ask, f"{program}/box", "2") == file.read_text().strip()
        assert engine.images.pull(target).id == busybox.id


@pytest.mark.needs("skopeo")
def test_tls_and_users(engine: Engine, layout: str, busybox: Image, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    authority.cert_pem.write_to_path(str(certificates / "ca.crt"))
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with engine.registry.serve(auth="ada:lovelace", certificate=certificate) as server:
        there = f"docker://{server.host}/box:1"
        secure = f"--dest-cert-dir={certificates}"
        skopeo("copy", secure, "--dest-creds=ada:lovelace", "--preserve-digests", layout, there)
        with pytest.raises(AssertionError, match=r"unauthorized|authentication required|log in"):
            skopeo("copy", secure, "--dest-creds=ada:byron", layout, there)
        found = skopeo("inspect", f"--cert-dir={certificates}", "--creds=ada:lovelace", there)
        assert busybox.manifest_digest in found


def test_what_is_here_is_given_away(engine: Engine, busybox: Image, tmp_path: Path, origin: StateRoot) -> None:
    """From one engine's store to another's, by a mirror of Docker Hub and by its own name."""
    events: list[Event] = []
    bootstrap_busybox(engine.store, engine.snapshots)
    with engine.registry.serve(from_store=True, on_event=events.append) as server:
        mirrors = Registries({"docker.io": (server.url,)})
        with Engine(tmp_path / "other", registries=mirrors) as other:
            pinned = f"{server.host}/library/busybox@{busybox.manifest_digest}"
            for name in ("busybox", f"{server.host}/busybox", pinned):
                image = other.images.pull(name)
                assert (image.id, image.manifest_digest) == (busybox.id, busybox.manifest_digest)
        ask = Asking(server.host)
        for part in (busybox.manifest.config, *busybox.manifest.layers):
            assert digest_of(ask("GET", f"/v2/busybox/blobs/{part.digest}").body) == part.digest
        assert ask("POST", "/v2/busybox/blobs/uploads/").status == 405
        ask.close()
    paths = [event.path for event in events if isinstance(event, RegistryRequest)]
    assert paths[0] == "/v2/library/busybox/manifests/latest?ns=docker.io"


def test_many_push_at_once(served: RegistryServer, engine: Engine) -> None:
    """Eight threads push images that share a layer, and one tag; all of it is there, and the layer once."""
    shared, repository, failed = os.urandom(1 << 20), fresh(), list[BaseException]()

    def push(number: int) -> None:
        ask = Asking(served.host)
        try:
            for _ in range(3):
                data = Data()
                layers = [data.blob(LAYER, shared)]
                data.document(OCI_MANIFEST, {"config": data.blob(LAYER), "layers": layers}, f"tag-{number}")
                data.tags["latest"] = data.tags[f"tag-{number}"]
                for content in data.blobs.values():
                    ask.push_blob(repository, content)
                for digest in data.documents:
                    for tag in (digest, f"tag-{number}", "latest"):
                        media_type, content = data.documents[digest]
                        reply = ask("PUT", f"/v2/{repository}/manifests/{tag}", content, {"Content-Type": media_type})
                        assert reply.status == 201
                    assert_document(ask, f"/v2/{repository}/manifests/tag-{number}", data, digest)
        except BaseException as error:
            failed.append(error)
        finally:
            ask.close()

    threads = [threading.Thread(target=push, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    ask = Asking(served.host)
    tags = ask("GET", f"/v2/{repository}/tags/list").json()["tags"]
    assert tags == ["latest", *(f"tag-{number}" for number in range(8))]
    ask.close()
    contents = list((engine.root / "registry/blobs/sha256").iterdir())
    assert sum(path.stat().st_size == len(shared) for path in contents) == 1
    assert len(contents) == 1 + 8 * 3 * 2
    assert list((engine.root / "registry/uploads").iterdir()) == []


@contextmanager
def in_a_terminal(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A registry that another process serves, and its HOST:PORT."""
    command = [*PROGRAM, "--directory", str(directory)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        assert first.startswith("a registry is served at http://"), first
        yield process, first.partition("http://")[2].partition(":")[0] + ":" + first.split(":")[2]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_serves_until_it_is_told(state_root: Path, tmp_path: Path, number: int) -> None:
    with in_a_terminal(tmp_path / "r") as (process, host):
        assert process.stderr is not None
        ask = Asking(host)
        assert ask("GET", "/v2/", headers={"User-Agent": "somebody/1"}).status == 200
        assert " 127.0.0.1 somebody/1 GET /v2/ 200 0B in, 2B out, " in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
        ask.close()


def test_killed_in_an_upload(state_root: Path, tmp_path: Path) -> None:
    """What was pushed is there after the next start, what was on its way isn't, and can be pushed anew."""
    directory = tmp_path / "r"
    data, repository, half = Data(), fresh(), os.urandom(1 << 20)
    data.image("whole")
    with in_a_terminal(directory) as (process, host):
        ask = Asking(host)
        check_push(ask, data, repository)
        assert ask("PATCH", ask.begin(repository), half[: 1 << 19], OCTETS).status == 202
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        ask.close()
    assert [path.stat().st_size for path in (directory / "uploads").iterdir()] == [1 << 19]
    Directory(directory).close()
    assert list((directory / "uploads").iterdir()) == []
    with in_a_terminal(directory) as (_, host):
        ask = Asking(host)
        [digest] = data.documents
        assert_document(ask, f"/v2/{repository}/manifests/whole", data, digest, ("GET", "HEAD"))
        ask.push_blob(repository, half)
        ask.close()


def test_an_engine_that_closes_stops_what_it_serves(engine: Engine) -> None:
    before = threading.active_count()
    server = engine.registry.serve()
    ask = Asking(server.host)
    assert ask("GET", "/v2/").status == 200
    engine.close()
    assert server.stopped
    assert threading.active_count() <= before
    ask.close()
