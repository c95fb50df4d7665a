"""An image in the JSON shape of `docker image inspect`."""

from __future__ import annotations

import json
from typing import Any

from dockmagic.image.store import Image
from dockmagic.oci.image_json import dump_image_config


def document(image: Image) -> dict[str, Any]:
    """All that is known of the image, under Docker's names."""
    config = json.loads(dump_image_config(image.config))
    return {
        "Id": image.id,
        "RepoTags": [reference.familiar for reference in image.references if reference.tag],
        "RepoDigests": [f"{repository}@{image.manifest_digest}" for repository in _repositories(image)],
        "Created": config.get("created", ""),
        "Author": image.config.author,
        "Architecture": image.config.architecture,
        "Variant": image.config.variant,
        "Os": image.config.os,
        "Size": image.size_bytes,
        "Config": config.get("config", {}),
        "RootFS": {"Type": "layers", "Layers": list(image.config.diff_ids)},
        "Metadata": {},
    }


def _repositories(image: Image) -> list[str]:
    """The familiar names of the image's repositories, each once."""
    return list(dict.fromkeys(reference.familiar.partition("@")[0].rsplit(":", 1)[0] for reference in image.references))
