"""What --remote gives: an image in its registry as a value that shows itself, and its fields for --format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockmagic.commands.table import Pretty
from dockmagic.image.platform import describe
from dockmagic.widgets import remote as views

if TYPE_CHECKING:
    from dockmagic.image.remote import RemoteImage, RemoteLayer
    from dockmagic.oci.descriptor import Descriptor


@dataclass(frozen=True)
class Remote:
    """An image as it is in its registry; `image` has all that was found."""

    image: RemoteImage

    def __str__(self) -> str:
        """What it is, and its layers."""
        return views.remote_text(self.image)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same as a table."""
        return views.remote_html(self.image)


@dataclass(frozen=True)
class RemoteLayers:
    """The layers of an image in its registry, lowest first, with what made them. As a sequence it gives them."""

    image: RemoteImage

    def __len__(self) -> int:
        """Number of instructions."""
        return len(self.image.history)

    def __getitem__(self, index: int) -> RemoteLayer:
        """An instruction and its layer."""
        return self.image.history[index]

    def __str__(self) -> str:
        """The tree as text."""
        return views.tree_text(self.image)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The tree as rows with bars."""
        return views.tree_html(self.image)


def document(remote: RemoteImage) -> dict[str, Any]:
    """All that is known of it, under the names that `skopeo inspect` gives, with some more."""
    raw = json.loads(remote.raw_config) if remote.raw_config else {}
    config = raw.get("config") or {}
    return {
        "Name": remote.reference.name,
        "Tag": remote.reference.tag,
        "Digest": remote.digest,
        "MediaType": remote.media_type,
        "ArtifactType": remote.artifact_type,
        "Platforms": [describe(platform) for platform in remote.platforms],
        "Created": raw.get("created", ""),
        "DockerVersion": raw.get("docker_version", ""),
        "Labels": config.get("Labels"),
        "Architecture": raw.get("architecture", ""),
        "Variant": raw.get("variant", ""),
        "Os": raw.get("os", ""),
        "Layers": [layer.digest for layer in remote.layers],
        "LayersData": [_layer(layer) for layer in remote.layers],
        "Env": config.get("Env"),
        "Size": remote.size_bytes,
        "ManifestDigest": remote.manifest_digest,
        "Manifest": json.loads(remote.raw),
        "Config": raw or None,
    }


def _layer(layer: Descriptor) -> dict[str, Any]:
    """A layer's descriptor."""
    return {
        "MIMEType": layer.media_type,
        "Digest": layer.digest,
        "Size": layer.size,
        "Annotations": dict(layer.annotations) or None,
    }
