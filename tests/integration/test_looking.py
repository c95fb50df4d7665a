"""Looking at a real registry: what is shown agrees with what was put there, and with what skopeo shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dockmagic.commands.progress import PlainProgress
from dockmagic.engine import Engine
from dockmagic.errors import InvalidManifest, RegistryError, Unsupported
from dockmagic.image.referrers import fallback_tag
from dockmagic.image.remote import RemoteImage
from dockmagic.oci.descriptor import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.options import RunOptions
from tests.integration.registry_content import Content, Described, writing
from tests.integration.registry_fixture import running_registry, skopeo
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole

pytestmark = [pytest.mark.root, pytest.mark.needs("docker-registry", "skopeo")]

SBOM = "application/vnd.example.sbom"
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")


@dataclass(frozen=True)
class Shelf:
    """A registry, and the descriptors of what is in its repository team/app, by tag."""

    content: Content
    has: dict[str, Described]

    def name(self, tag: str) -> str:
        return f"{self.content.host}/team/app:{tag}"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with ExitStack() as stack:
        registry = stack.enter_context(running_registry(tmp_path_factory.mktemp("registry")))
        content = stack.enter_context(writing(registry.host))
        yield Shelf(content, fill(content, "team/app"))


def fill(content: Content, repository: str) -> dict[str, Described]:
    """Put one of each kind into a repository."""
    images = [content.image(repository, platform=platform) for platform in PLATFORMS]
    attestation = content.image(repository, platform="unknown/unknown") | {
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"}
    }
    inner = content.index(repository, "", images)
    empty = content.blob(repository, b"{}", "application/vnd.oci.empty.v1+json")
    has = {
        "oci": content.image(repository, "oci"),
        "docker": content.image(repository, "docker", docker=True),
        "many": content.index(repository, "many", [attestation, *images]),
        "list": content.index(
            repository,
            "list",
            [content.image(repository, platform=platform, docker=True) for platform in PLATFORMS],
            DOCKER_LIST,
        ),
        "nested": content.index(repository, "nested", [inner, content.image(repository, platform="linux/s390x")]),
        "foreign": content.image(repository, "foreign", "linux/s390x"),
    }
    artifact = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": SBOM,
        "config": empty,
        "layers": [content.blob(repository, b"components: none", "text/plain")],
        "subject": {key: has["oci"][key] for key in ("mediaType", "digest", "size")},
    }
    has["artifact"] = content.manifest(repository, "artifact", artifact) | {"artifactType": SBOM}
    content.index(repository, fallback_tag(has["oci"]["digest"]), [has["artifact"]])
    return has


def inspected(shelf: Shelf, tag: str, *flags: str) -> str:
    """What skopeo inspect prints."""
    return skopeo("inspect", "--tls-verify=false", *flags, f"docker://{shelf.name(tag)}")


@pytest.mark.parametrize("tag", ["oci", "docker", "many", "list"])
def test_what_is_shown_agrees_with_skopeo(shelf: Shelf, engine: Engine, tag: str) -> None:
    ours = json.loads(str(call_real(engine, "image", "inspect", "--remote", "-f", "json", shelf.name(tag))))
    theirs = json.loads(inspected(shelf, tag))
    theirs.pop("RepoTags")
    assert {key: ours[key] for key in theirs} == theirs
    assert ours["Size"] > 0


@pytest.mark.parametrize("tag", ["oci", "docker", "many", "nested", "artifact"])
def test_documents_are_those_of_skopeo_byte_for_byte(shelf: Shelf, engine: Engine, tag: str) -> None:
    remote = engine.images.remote(shelf.name(tag))
    assert remote.raw.decode() == inspected(shelf, tag, "--raw")
    assert remote.digest == shelf.has[tag]["digest"]
    if tag in ("oci", "docker"):
        assert remote.raw_config.decode() == inspected(shelf, tag, "--config", "--raw")


def call_real(engine: Engine, *words: str, console: FakeConsole | None = None) -> Any:
    """What the command returns on a real engine."""
    return call(engine, *words, console=console)  # type: ignore[arg-type]


def test_an_index_has_its_platforms_and_an_image_for_each(shelf: Shelf, engine: Engine) -> None:
    remote = engine.images.remote(shelf.name("many"), platform=Platform("linux", "arm", "v7"))
    assert remote.media_type == OCI_INDEX
    assert len(remote.entries) == 4
    assert [f"{platform.os}/{platform.architecture}" for platform in remote.platforms] == [
        "linux/amd64",
        "linux/arm64",
        "linux/arm",
    ]
    assert remote.config is not None
    assert (remote.config.architecture, remote.config.variant) == ("arm", "v7")
    assert remote.size_bytes == sum(layer.size for layer in remote.layers)
    with pytest.raises(InvalidManifest, match=r"no matching manifest for linux/386 .* it has linux/amd64, linux/arm64"):
        engine.images.remote(shelf.name("many"), platform=Platform("linux", "386"))


def test_indexes_in_an_index_are_followed(shelf: Shelf, engine: Engine) -> None:
    remote = engine.images.remote(shelf.name("nested"), platform=Platform("linux", "arm64"))
    assert len(remote.entries) == 4
    assert remote.config is not None
    assert remote.config.architecture == "arm64"


def test_an_artifact_is_shown_and_found_by_what_it_refers_to(shelf: Shelf, engine: Engine) -> None:
    remote = engine.images.remote(shelf.name("artifact"))
    assert (remote.artifact_type, remote.config) == (SBOM, None)
    for name in (shelf.name("oci"), f"{shelf.content.host}/team/app@{shelf.has['oci']['digest']}"):
        found = engine.images.referrers(name)
        assert [entry.digest for entry in found] == [remote.digest]
    assert engine.images.referrers(shelf.name("oci"), SBOM) == found
    assert engine.images.referrers(shelf.name("oci"), "text/plain") == ()
    assert engine.images.referrers(shelf.name("docker")) == ()
    table = call_real(engine, "image", "referrers", "--artifact-type", SBOM, shelf.name("oci"))
    assert table.rows[0][:2] == (remote.digest, SBOM)


def test_the_tree_has_instructions_and_sizes(shelf: Shelf, engine: Engine) -> None:
    layers = call_real(engine, "image", "tree", "--remote", shelf.name("oci"))
    assert [node.instruction for node in layers] == ["ADD rootfs.tar /", "ENV WHO=world", "RUN make"]
    assert [node.empty for node in layers] == [False, True, False]
    assert sum(node.size_bytes for node in layers) == engine.images.remote(shelf.name("oci")).size_bytes
    assert engine.images.ls() == []


def test_tags_are_those_of_skopeo(shelf: Shelf, engine: Engine) -> None:
    ours = json.loads(str(call_real(engine, "image", "tags", "--format", "json", f"{shelf.content.host}/team/app")))
    theirs = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{shelf.content.host}/team/app"))
    assert ours["Repository"] == theirs["Repository"]
    assert sorted(ours["Tags"]) == sorted(theirs["Tags"])


def test_a_thousand_tags(shelf: Shelf, engine: Engine) -> None:
    image = shelf.content.image("team/numbers", "v0")
    data = engine.images.remote(f"{shelf.content.host}/team/numbers:v0").raw
    headers = {"Content-Type": image["mediaType"]}
    for number in range(1, 1000):
        assert shelf.content.send("PUT", f"/v2/team/numbers/manifests/v{number}", data, headers)[0] == 201
    name = f"{shelf.content.host}/team/numbers"
    assert engine.images.tags(name) == tuple(f"v{number}" for number in range(1000))
    listed = call_real(engine, "image", "tags", "-f", "v99*", "--limit", "3", name)
    assert tuple(listed) == ("v99", "v990", "v991")


def test_the_catalog_comes_in_pages(shelf: Shelf, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        shelf.content.image(f"shelf/row{number}", "1")
    monkeypatch.setattr("dockmagic.image.tags.PAGE_SIZE", 2)
    names = engine.images.catalog(shelf.content.host)
    assert {f"shelf/row{number}" for number in range(5)} <= set(names)
    found = call_real(engine, "search", f"{shelf.content.host}/row")
    assert [one.name for one in found] == [f"{shelf.content.host}/shelf/row{number}" for number in range(5)]


def test_manifest_inspect_in_dockers_shape(shelf: Shelf, engine: Engine) -> None:
    text = str(call_real(engine, "manifest", "inspect", shelf.name("docker")))
    assert text.startswith('{\n\t"schemaVersion": 2,\n\t"mediaType"')
    shown = call_real(engine, "manifest", "inspect", shelf.name("list"))
    assert str(shown).startswith('{\n   "schemaVersion": 2,')
    assert len(shown["manifests"]) == 3
    entries = call_real(engine, "manifest", "inspect", "-v", shelf.name("list")).value
    assert [entry["Descriptor"]["platform"]["architecture"] for entry in entries] == ["amd64", "arm64", "arm"]
    assert entries[0]["Ref"] == f"{shelf.name('list')}@{entries[0]['Descriptor']['digest']}"
    assert "layers" in entries[0]["SchemaV2Manifest"]
    one = call_real(engine, "manifest", "inspect", "--verbose", shelf.name("oci")).value
    assert one["Descriptor"]["platform"] == {"architecture": "amd64", "os": "linux"}
    assert "layers" in one["OCIManifest"]


def test_imagetools_inspect(shelf: Shelf, engine: Engine) -> None:
    name = shelf.name("many")
    lines = str(call_real(engine, "buildx", "imagetools", "inspect", name)).splitlines()
    assert lines[:3] == [
        f"Name:      {name}",
        f"MediaType: {OCI_INDEX}",
        f"Digest:    {shelf.has['many']['digest']}",
    ]
    assert lines.count("  Platform:  linux/arm64") == 1
    assert "    vnd.docker.reference.type: attestation-manifest" in lines
    raw = call_real(engine, "buildx", "imagetools", "inspect", "--raw", name)
    assert Digest.of(raw.data) == shelf.has["many"]["digest"]
    text = str(call_real(engine, "buildx", "imagetools", "inspect", "--format", "{{json .Image}}", name))
    assert set(json.loads(text)) == set(PLATFORMS)
    digest = call_real(engine, "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", name)
    assert str(digest) == shelf.has["many"]["digest"]


def test_delete_then_look(shelf: Shelf, engine: Engine) -> None:
    image = shelf.content.image("team/gone", "1", "linux/riscv64")
    name = f"{shelf.content.host}/team/gone"
    with pytest.raises(RegistryError, match=r"doesn't delete single tags; delete .*/team/gone@DIGEST"):
        engine.images.delete_remote(f"{name}:1")
    assert engine.images.remote(f"{name}:1").digest == image["digest"]
    done = call_real(engine, "image", "rm", "--remote", f"{name}@{image['digest']}")
    assert done == (f"Deleted: {name}@{image['digest']}",)
    with pytest.raises(RegistryError, match=r"manifest for .* not found") as caught:
        engine.images.remote(f"{name}:1")
    assert caught.value.status == 404
    with pytest.raises(RegistryError) as again:
        engine.images.delete_remote(f"{name}@{image['digest']}")
    assert again.value.status == 404


def test_an_image_of_another_platform_is_pulled_inspected_and_saved_but_not_run(
    shelf: Shelf, engine: Engine, tmp_path: Path
) -> None:
    name = shelf.name("many")
    stored = call_real(engine, "pull", "-q", "--platform", "linux/arm/v7", name)
    assert str(stored) == name
    document = engine.images.inspect(name)
    assert (document["Architecture"], document["Variant"]) == ("arm", "v7")
    with (tmp_path / "image.tar").open("wb") as out:
        engine.images.save([name], out)
    assert (tmp_path / "image.tar").stat().st_size > 0
    call_real(engine, "pull", "-q", shelf.name("foreign"), "--platform", "linux/s390x")
    with pytest.raises(Unsupported, match=r"foreign is for linux/s390x: this machine, .* no emulation"):
        engine.containers.run(shelf.name("foreign"), RunOptions(command=("true",)))
    with pytest.raises(InvalidManifest, match=r"no matching manifest for linux/ppc64le .* it has linux/amd64"):
        call_real(engine, "pull", "--platform", "linux/ppc64le", name)


def test_a_pull_says_what_docker_says(shelf: Shelf, engine: Engine) -> None:
    console = FakeConsole()
    for tag in ("latest", "2"):
        shelf.content.image("team/said", tag)
    name = f"{shelf.content.host}/team/said"
    stored = call_real(engine, "pull", name, console=console)
    assert console.streams["stdout"] == b"Using default tag: latest\n"
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    for event in console.events:
        progress(event)
    assert lines[0] == "latest: Pulling from team/said"
    assert lines[-2].startswith("Digest: sha256:")
    assert lines[-1] == f"Status: Downloaded newer image for {name}:latest"
    assert str(stored) == f"{name}:latest"
    every = call_real(engine, "pull", "-a", name)
    assert (str(every), len(every)) == (name, 2)
    assert {reference.familiar for image in engine.images.ls() for reference in image.references} == {
        f"{name}:latest",
        f"{name}:2",
    }


def test_a_tag_with_a_digest_is_pulled_by_the_digest(shelf: Shelf, engine: Engine) -> None:
    digest = shelf.has["oci"]["digest"]
    stored = call_real(engine, "pull", f"{shelf.name('docker')}@{digest}")
    assert str(stored) == f"{shelf.content.host}/team/app@{digest}"
    assert stored.image.manifest_digest == digest


def test_the_terminal_s_door(shelf: Shelf, state_root: Path) -> None:
    name = shelf.name("many")
    raw = in_terminal("buildx", "imagetools", "inspect", "--raw", name)
    assert Digest.of(raw) == shelf.has["many"]["digest"]
    assert b"oci\n" in in_terminal("image", "tags", f"{shelf.content.host}/team/app")
    assert in_terminal("pull", shelf.name("docker")) == f"{shelf.name('docker')}\n".encode()


def in_terminal(*words: str) -> bytes:
    """What a command line that succeeds writes to standard output."""
    done = subprocess.run([sys.executable, "-m", "dockmagic", *words], check=True, capture_output=True, timeout=60)
    return done.stdout


def test_what_is_shown_is_a_table_in_a_notebook(shelf: Shelf, engine: Engine) -> None:
    shown = call_real(engine, "image", "inspect", "--remote", shelf.name("many"))
    assert isinstance(shown.image, RemoteImage)
    assert "linux/amd64, linux/arm64, linux/arm/v7" in str(shown)
    assert "2 layers" in str(shown)
    html = shown._repr_html_()
    assert "linux/arm/v7" in html
    assert "attestation-manifest" in html
    assert "RUN make" in html
    assert "RUN make" in call_real(engine, "image", "tree", "--remote", shelf.name("many"))._repr_html_()
