"""Which images `save` means, and under which names. Source: Docker's reference of `image save`."""

from __future__ import annotations

from collections.abc import Sequence

from dockmagic.errors import InvalidOption, InvalidReference
from dockmagic.image.layout import Saved, saved
from dockmagic.image.platform import describe, suits
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.reference import Reference


def select(store: ImageStore, names: Sequence[str], platform: Platform | None = None) -> list[Saved]:
    """The images of these names, in their order. A repository without a tag means all its tags; an ID, no name.

    Raises NotFound, and InvalidOption for an image that doesn't run on `platform`.
    """
    chosen = [item for name in names for item in _of_name(store, name)]
    for item in chosen:
        _check(item.image, platform)
    return chosen


def _of_name(store: ImageStore, name: str) -> list[Saved]:
    """What one name means."""
    reference = _reference(name)
    if reference is not None and reference.digest is None and not name.endswith(f":{reference.tag}"):
        tagged = [
            saved(store, image, [each])
            for image in store.list_images()
            for each in image.references
            if each.name == reference.name and each.tag
        ]
        if tagged:
            return sorted(tagged, key=lambda item: str(item.references[0]))
    image = store.get(name)
    return [saved(store, image, [each for each in image.references if each == reference])]


def _reference(name: str) -> Reference | None:
    """The name as a reference, None where it can't be one."""
    try:
        return Reference.parse(name)
    except InvalidReference:
        return None


def _check(image: Image, platform: Platform | None) -> None:
    """Raise InvalidOption for an image of another platform."""
    config = image.config
    offered = Platform(config.os, config.architecture, config.variant)
    if platform is not None and not suits(offered, platform):
        raise InvalidOption(f"image {image.id.short} is for {describe(offered)}, not for {describe(platform)}")
