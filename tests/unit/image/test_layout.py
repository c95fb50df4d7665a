from __future__ import annotations

import json
from typing import Any

from dockmagic.image.layout import plan_docker, plan_layout, saved
from dockmagic.image.store import ImageStore
from dockmagic.oci.descriptor import Descriptor
from tests.unit.image.conftest import MakeImage, MakeLayer


def _json(content: bytes | Descriptor) -> Any:
    assert isinstance(content, bytes)
    return json.loads(content)


def test_a_layout_has_every_blob_once_and_names_in_its_index(
    store: ImageStore, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    layer = make_layer(file="text")
    image = make_image("app:1", "localhost:5000/team/app:2", layers=(layer,))
    other = make_image(layers=(layer,), cmd="other")
    plan = plan_layout([saved(store, image, image.references), saved(store, other)])
    blobs = [path for path in plan if path.startswith("blobs/sha256/")]
    assert len(blobs) == 5  # two manifests, two configs, one layer
    assert list(plan)[-2:] == ["index.json", "oci-layout"]
    entries = _json(plan["index.json"])["manifests"]
    assert [entry["digest"] for entry in entries] == [image.manifest_digest] * 2 + [other.manifest_digest]
    assert entries[0]["annotations"] == {
        "io.containerd.image.name": "docker.io/library/app:1",
        "org.opencontainers.image.ref.name": "1",
    }
    assert entries[1]["annotations"]["io.containerd.image.name"] == "localhost:5000/team/app:2"
    assert "annotations" not in entries[2]
    assert entries[2]["platform"] == {"architecture": "amd64", "os": "linux"}
    assert _json(plan["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_what_docker_reads_beside_the_layout(store: ImageStore, make_layer: MakeLayer, make_image: MakeImage) -> None:
    lower = make_layer(a="a")
    upper = make_layer(lower, b="b")
    image = make_image("app:1", layers=(lower, upper))
    other = make_image(layers=(lower,))
    plan = plan_docker([saved(store, image, image.references), saved(store, other)])
    assert _json(plan["manifest.json"]) == [
        {
            "Config": f"blobs/sha256/{image.id.hex}",
            "RepoTags": ["app:1"],
            "Layers": [f"blobs/sha256/{layer.descriptor.digest.hex}" for layer in (lower, upper)],
        },
        {
            "Config": f"blobs/sha256/{other.id.hex}",
            "RepoTags": None,
            "Layers": [f"blobs/sha256/{lower.descriptor.digest.hex}"],
        },
    ]
    assert _json(plan["repositories"]) == {"app": {"1": upper.descriptor.digest.hex}}


def test_an_image_saved_twice_is_there_once_with_all_names(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app:1", "app:2")
    twice = [saved(store, image, [name]) for name in image.references]
    plan = plan_docker([*twice, twice[0]])
    assert [entry["RepoTags"] for entry in _json(plan["manifest.json"])] == [["app:1", "app:2"]]
    assert len(_json(plan["index.json"])["manifests"]) == 2


def test_archives_without_names_have_no_repositories(store: ImageStore, make_image: MakeImage) -> None:
    assert "repositories" not in plan_docker([saved(store, make_image())])
