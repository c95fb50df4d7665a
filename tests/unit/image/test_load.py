from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard

from dockmagic.database import Database
from dockmagic.errors import DigestMismatch, DockmagicError, InvalidManifest
from dockmagic.events import Event, PullProgress
from dockmagic.image.archive_write import save_docker, save_oci, write_layout
from dockmagic.image.layout import saved
from dockmagic.image.limits import Limits
from dockmagic.image.load import Loaded, load
from dockmagic.image.platform import platform_option
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.unit.image.archives import END, member
from tests.unit.image.conftest import MakeImage, MakeLayer

Take = Callable[..., list[Loaded]]
_COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.fixture
def other(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "other", Database(tmp_path / "other/state.db"))


@pytest.fixture
def take(other: ImageStore) -> Take:
    """Loads into another store; after an error that must be as empty as before."""

    def act(source: bytes | Path, **options: Any) -> list[Loaded]:
        snapshots = Snapshots(other.root, other._database, other, other.workspaces)
        opened = source if isinstance(source, Path) else io.BytesIO(source)
        try:
            return load(opened, store=other, snapshots=snapshots, **options)
        except DockmagicError:
            other.collect()
            assert other.list_images() == []
            assert [path for path in (other.root / "blobs").rglob("*") if path.is_file()] == []
            assert list((other.root / "layers").iterdir()) == []
            raise
        finally:
            assert list((other.root / "tmp").iterdir()) == []

    return act


@pytest.fixture
def image(make_layer: MakeLayer, make_image: MakeImage) -> Image:
    lower = make_layer(a="a")
    return make_image("app:1", "localhost:5000/team/app:2", layers=(lower, make_layer(lower, b="b")))


def layer_tar(text: str = "text") -> bytes:
    """A layer archive of one file, its owner being whoever runs this."""
    status = Path.cwd().stat()
    return member("file", text.encode(), owner=(status.st_uid, status.st_gid)) + END


def config_of(*layers: bytes, architecture: str = "amd64") -> bytes:
    """The config of an image of these plain layers."""
    diff_ids = [f"sha256:{sha256(layer).hexdigest()}" for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    return json.dumps({"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs}).encode()


def tar_of(files: Mapping[str, bytes | tuple[bytes, str]]) -> bytes:
    """An archive of these files; a pair is a link's kind and target."""
    members = [
        member(name, content) if isinstance(content, bytes) else member(name, kind=content[0], linkname=content[1])
        for name, content in files.items()
    ]
    return b"".join(members) + END


class Blobs(dict[str, bytes | tuple[bytes, str]]):
    """Files of a layout in the making."""

    def blob(self, data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        """The descriptor of a blob that is in it now."""
        digest = sha256(data).hexdigest()
        self[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data), **more}

    def image(self, text: str = "text", architecture: str = "amd64", **more: Any) -> dict[str, Any]:
        """The descriptor of an image's manifest."""
        layer = layer_tar(text)
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.blob(config_of(layer, architecture=architecture), OCI_CONFIG),
            "layers": [self.blob(layer, OCI_LAYER)],
        }
        platform = {"os": "linux", "architecture": architecture}
        return self.blob(json.dumps(manifest).encode(), OCI_MANIFEST, platform=platform, **more)

    def index(self, *entries: dict[str, Any]) -> bytes:
        """An index's text."""
        return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()

    def layout(self, *entries: dict[str, Any]) -> bytes:
        """The archive of the layout with these entries in its index."""
        self["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
        self["index.json"] = self.index(*entries)
        return tar_of(self)


def docker_files(*, tags: object = ("app:1",)) -> dict[str, bytes | tuple[bytes, str]]:
    """Files of an archive as Docker wrote it before version 25."""
    layer = layer_tar()
    entry = {"Config": "config.json", "RepoTags": tags, "Layers": ["abc/layer.tar"]}
    return {
        "abc/VERSION": b"1.0",
        "abc/json": b"{}",
        "abc/layer.tar": layer,
        "config.json": config_of(layer),
        "manifest.json": json.dumps([entry]).encode(),
        "repositories": b'{"app":{"1":"abc"}}',
    }


@pytest.mark.parametrize("compression", _COMPRESSORS)
@pytest.mark.parametrize("save", [save_docker, save_oci])
def test_what_is_saved_comes_back(
    save: Callable[..., None], compression: str, image: Image, store: ImageStore, take: Take
) -> None:
    out = io.BytesIO()
    save([saved(store, image, image.references)], store, out)
    (loaded,) = take(_COMPRESSORS[compression](out.getvalue()))
    assert loaded.image == image
    assert loaded.references == image.references


def test_layouts_in_directories(image: Image, store: ImageStore, take: Take, tmp_path: Path) -> None:
    write_layout([saved(store, image)], store, tmp_path / "layout")
    (loaded,) = take(tmp_path / "layout")
    assert (loaded.image.id, loaded.image.manifest_digest) == (image.id, image.manifest_digest)
    assert loaded.references == loaded.image.references == ()


def test_archives_of_older_dockers(take: Take) -> None:
    (loaded,) = take(tar_of(docker_files()))
    assert [str(name) for name in loaded.image.references] == ["docker.io/library/app:1"]
    assert loaded.image.manifest.layers[0].digest == loaded.image.config.diff_ids[0]


@pytest.mark.parametrize("tags", [None, []])
def test_images_without_tags(tags: object, take: Take) -> None:
    (loaded,) = take(tar_of(docker_files(tags=tags)))
    assert loaded.references == ()


def test_archives_of_kaniko(take: Take) -> None:
    layer = layer_tar()
    entry = {"Config": "sha256:c", "RepoTags": ["app"], "Layers": ["l.tar.gz", "l.tar.gz"]}
    files = {"sha256:c": config_of(layer, layer), "l.tar.gz": gzip.compress(layer, mtime=0)}
    (loaded,) = take(tar_of({**files, "manifest.json": json.dumps([entry]).encode()}))
    assert [layer.media_type for layer in loaded.image.manifest.layers] == [f"{OCI_LAYER}+gzip"] * 2


def test_layers_that_are_links(take: Take) -> None:
    files = docker_files()
    files["layer.tar"] = files["abc/layer.tar"]
    files["abc/layer.tar"] = (tarfile.SYMTYPE, "../layer.tar")
    take(tar_of(files))
    files["abc/layer.tar"] = (tarfile.LNKTYPE, "layer.tar")
    take(tar_of(files))


def test_indexes_within_an_index(take: Take) -> None:
    blobs = Blobs()
    unknown = {"os": "unknown", "architecture": "unknown"}
    attestation = blobs.blob(b"{}", OCI_MANIFEST, platform=unknown)
    arm, amd = blobs.image("arm", "arm64"), blobs.image("amd")
    name = {"org.opencontainers.image.ref.name": "docker.io/library/app:1"}
    inner = blobs.blob(blobs.index(arm, attestation, amd), OCI_INDEX, annotations=name)
    data = blobs.layout(inner, attestation)
    (loaded,) = take(data, platform=platform_option("linux/arm64"))
    assert (loaded.image.config.architecture, loaded.references[0].familiar) == ("arm64", "app:1")


def test_several_images_of_one_name_are_one_for_each_platform(take: Take) -> None:
    blobs = Blobs()
    name = {"org.opencontainers.image.ref.name": "app:1"}
    data = blobs.layout(blobs.image("a", "arm64", annotations=name), blobs.image("b", annotations=name))
    (loaded,) = take(data, platform=platform_option("linux/amd64"))
    assert loaded.image.config.architecture == "amd64"


def _broken(name: str) -> bytes:
    """An archive with something wrong in it."""
    blobs = Blobs()
    good = blobs.image()
    layer = layer_tar()
    layer_path = f"blobs/sha256/{sha256(layer).hexdigest()}"
    files = docker_files()
    match name:
        case "nothing":
            return END
        case "no archive":
            return b"this is no archive" * 100
        case "cut":
            return tar_of(files)[:2000]
        case "cut gzip":
            return gzip.compress(tar_of(files))[:-20]
        case "missing layer":
            del files["abc/layer.tar"]
        case "missing config":
            del files["config.json"]
        case "missing blob":
            data = blobs.layout(good)
            del blobs[layer_path]
            return tar_of(blobs) if data else b""
        case "wrong blob":
            blobs[layer_path] = layer.replace(b"text", b"tent")
            return blobs.layout(good)
        case "wrong size":
            return blobs.layout({**good, "size": 5})
        case "wrong layer":
            files["abc/layer.tar"] = layer_tar("other")
        case "wrong compressed layer":
            files["abc/layer.tar"] = gzip.compress(layer_tar("other"))
        case "second image wrong":
            files["other.json"] = config_of(layer) + b" "
            bad = {"Config": "other.json", "RepoTags": ["bad"], "Layers": ["bad.tar.gz"]}
            manifest = files["manifest.json"]
            assert isinstance(manifest, bytes)
            files["bad.tar.gz"] = gzip.compress(layer_tar("bad"))
            files["manifest.json"] = json.dumps([*json.loads(manifest), bad]).encode()
        case "counts":
            files["config.json"] = config_of(layer, layer)
        case "twice":
            return tar_of(files)[: -len(END)] + member("config.json", b"{}") + END
        case "large manifest":
            files["manifest.json"] = b"[" + b" " * 2000 + b"]"
        case "outside":
            files["../../etc/passwd"] = b""
        case "path outside":
            files["manifest.json"] = b'[{"Config": "../../etc/passwd", "Layers": []}]'
        case "link outside":
            files["abc/layer.tar"] = (tarfile.SYMTYPE, "../../etc/passwd")
        case "circle":
            files["abc/layer.tar"] = (tarfile.SYMTYPE, "layer.tar")
        case "device":
            files["tty"] = (tarfile.CHRTYPE, "")
        case "tag":
            files = docker_files(tags=["app:no tag"])
        case "version":
            blobs["oci-layout"] = b'{"imageLayoutVersion": "2.0"}'
            blobs["index.json"] = blobs.index(good)
            return tar_of(blobs)
        case "other platform":
            return blobs.layout(blobs.blob(blobs.index(blobs.image("s", "s390x")), OCI_INDEX))
        case "deep":
            entry = good
            for _ in range(5):
                entry = blobs.blob(blobs.index({**entry, "platform": good["platform"]}), OCI_INDEX)
            return blobs.layout(entry)
        case "artifact":
            manifest_json = {"schemaVersion": 2, "config": blobs.blob(b"{}", "application/x"), "layers": []}
            return blobs.layout(blobs.blob(json.dumps(manifest_json).encode(), OCI_MANIFEST))
    return tar_of(files)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nothing", InvalidManifest, "holds no image"),
        ("no archive", InvalidManifest, "damaged"),
        ("cut", InvalidManifest, "ends too early"),
        ("cut gzip", InvalidManifest, "archive's gzip stream"),
        ("missing layer", InvalidManifest, "lacks abc/layer.tar"),
        ("missing config", InvalidManifest, "lacks config.json"),
        ("missing blob", InvalidManifest, "lacks blobs/sha256"),
        ("wrong blob", DigestMismatch, "blob"),
        ("wrong size", DigestMismatch, "5 bytes"),
        ("wrong layer", DigestMismatch, "layer"),
        ("wrong compressed layer", DigestMismatch, "layer"),
        ("second image wrong", DigestMismatch, "layer"),
        ("counts", InvalidManifest, "1 layers, but its config names 2"),
        ("twice", InvalidManifest, "twice"),
        ("large manifest", InvalidManifest, "at most 1500"),
        ("outside", InvalidManifest, "leads out"),
        ("path outside", InvalidManifest, "leads out"),
        ("link outside", InvalidManifest, "leads out"),
        ("circle", InvalidManifest, "circle"),
        ("device", InvalidManifest, "device"),
        ("tag", InvalidManifest, "RepoTags"),
        ("version", InvalidManifest, "imageLayoutVersion"),
        ("other platform", InvalidManifest, "it has linux/s390x"),
        ("deep", InvalidManifest, "more than 4 deep"),
        ("artifact", InvalidManifest, "artifact"),
    ],
)
def test_bad_archives_change_nothing(name: str, error: type[DockmagicError], message: str, take: Take) -> None:
    with pytest.raises(error, match=message):
        take(_broken(name), limits=Limits(max_document_bytes=1500), platform=platform_option("linux/amd64"))


def test_limits_of_archives(take: Take) -> None:
    data = gzip.compress(tar_of(docker_files()))
    for limits in (Limits(max_archive_files=3), Limits(max_bytes=1000), Limits(ratio_from_bytes=1000, max_ratio=2)):
        with pytest.raises(InvalidManifest, match="more than"):
            take(data, limits=limits)


def test_links_in_a_directory_lead_nowhere_else(image: Image, store: ImageStore, take: Take, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    write_layout([saved(store, image)], store, layout)
    blob = layout / "blobs/sha256" / image.id.hex
    blob.rename(tmp_path / "secret")
    blob.symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidManifest, match="can't read"):
        take(layout)


def test_progress_is_told_layer_by_layer(image: Image, store: ImageStore, take: Take, tmp_path: Path) -> None:
    events: list[Event] = []
    write_layout([saved(store, image)], store, tmp_path / "layout")
    take(tmp_path / "layout", on_event=events.append)
    assert all(isinstance(event, PullProgress) and event.current_bytes <= event.total_bytes for event in events)
    told = [(event.digest, event.status) for event in events if isinstance(event, PullProgress)]
    lower, upper = (layer.digest for layer in image.manifest.layers)
    assert list(dict.fromkeys(told)) == [
        (lower, "waiting"),
        (upper, "waiting"),
        (lower, "extracting"),
        (lower, "loaded"),
        (upper, "extracting"),
        (upper, "loaded"),
    ]
