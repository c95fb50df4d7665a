from __future__ import annotations

import json

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.image.remote import RemoteImage
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, History, ImageConfig
from dockmagic.oci.image_json import dump_image_config
from dockmagic.oci.manifest import Manifest
from dockmagic.oci.reference import Reference
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import IMAGE_ID, FakeConsole, FakeEngine, FakeImage, FakeImages

LAYER = Descriptor(OCI_LAYER_GZIP, Digest.of(b"layer"), 4_200_000)
CONFIG = ImageConfig(
    "arm64",
    "linux",
    ContainerConfig(cmd=("sh",), labels={"kind": "test"}),
    history=(History("2024-01-01T00:00:00Z", "ADD <rootfs>\x1b[2J /"), History("", 'CMD ["sh"]', empty_layer=True)),
)
ENTRY = Descriptor(OCI_MANIFEST, Digest.of(b"manifest"), 500, platform=Platform("linux", "arm64"))
IMAGE = RemoteImage(
    Reference.parse("app"),
    Digest.of(b"index"),
    OCI_INDEX,
    (ENTRY, Descriptor(OCI_MANIFEST, Digest.of(b"x"), 1, platform=Platform("unknown", "unknown"))),
    ENTRY.digest,
    Manifest(Descriptor(OCI_CONFIG, Digest.of(b"config"), 2), (LAYER,)),
    CONFIG,
    raw=b"{}",
    raw_config=dump_image_config(CONFIG),
)


def engine(image: RemoteImage = IMAGE) -> FakeEngine:
    return FakeEngine(images=FakeImages({"hello": FakeImage()}, looked_at=(image,)))


def test_an_image_in_a_registry_as_a_table() -> None:
    shown = call(engine(), "image", "inspect", "--remote", "app")
    assert str(shown).splitlines() == [
        "Name:       app:latest",
        f"Digest:     {IMAGE.digest}",
        f"Media type: {OCI_INDEX}",
        "Platforms:  linux/arm64",
        f"Image:      linux/arm64, {ENTRY.digest}",
        "Size:       4.2 MB in 1 layer, as they are in the registry",
        "Layers:",
        f"  {LAYER.digest.short}    4.2 MB  tar+gzip",
    ]
    html = shown._repr_html_()
    assert "ADD &lt;rootfs&gt;\\x1b[2J /" in html
    assert "unknown/unknown" in html


def test_an_index_without_an_image_for_this_machine_says_so() -> None:
    bare = RemoteImage(IMAGE.reference, IMAGE.digest, OCI_INDEX, IMAGE.entries, raw=b"{}")
    shown = call(engine(bare), "image", "inspect", "--remote", "app")
    assert "none for this machine; choose one with --platform" in str(shown)
    assert shown._repr_html_()
    assert json.loads(str(call(engine(bare), "image", "inspect", "--remote", "-f", "json", "app")))["Layers"] == []


def test_templates_of_both() -> None:
    assert call(engine(), "image", "inspect", "--remote", "-f", "{{.Architecture}} {{.Labels}}", "app") == (
        "arm64 map[kind:test]",
    )
    whole = json.loads(str(call(engine(), "image", "inspect", "--remote", "--format", "json", "app")))
    assert (whole["Name"], whole["Tag"], whole["Size"]) == ("docker.io/library/app", "latest", 4_200_000)
    assert whole["Platforms"] == ["linux/arm64"]
    assert call(engine(), "image", "inspect", "-f", "{{.Id}}", "hello", "hello") == (IMAGE_ID, IMAGE_ID)


def test_the_platform_is_passed_on() -> None:
    asked = engine()
    call(asked, "image", "tree", "--remote", "--platform", "linux/arm64", "app")
    assert asked.images.calls == [("remote", "app", Platform("linux", "arm64"))]


def test_the_tree_of_an_image_in_a_registry() -> None:
    tree = call(engine(), "image", "tree", "--remote", "app")
    assert (len(tree), tree[0].size_bytes) == (2, 4_200_000)
    assert str(tree).splitlines() == [
        "app:latest  4.2 MB in 1 layer, as they are in the registry",
        f"├─    4.2 MB  ADD <rootfs>\\x1b[2J /  ({LAYER.digest.short})",
        '└─            CMD ["sh"]',
    ]
    assert "ADD &lt;rootfs&gt;" in tree._repr_html_()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("image inspect --remote a b", "one NAME at a time"),
        ("image inspect --platform linux/arm64 a", "add --remote"),
        ("image tree --platform linux/arm64 a", "add --remote"),
        ("image inspect -s a", "containers only"),
        ("image rm --remote -f a", "leave it out"),
    ],
)
def test_what_is_refused(words: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        call(engine(), *words.split())


def test_what_is_deleted_in_registries_is_told() -> None:
    asked = engine()
    assert call(asked, "image", "rm", "--remote", "app:1", "app:2") == ("Untagged: app:1", "Untagged: app:2")
    assert asked.images.calls == [("delete_remote", "app:1"), ("delete_remote", "app:2")]


def test_a_raw_document_is_written_byte_for_byte() -> None:
    from dockmagic.commands.catalogue import find

    command, _, _ = find("buildx imagetools inspect app".split())
    console = FakeConsole()
    command.show(call(engine(), "buildx", "imagetools", "inspect", "--raw", "app"), console)
    assert console.streams["stdout"] == b"{}"
    command.show(call(engine(), "buildx", "imagetools", "inspect", "app"), console)
    assert console.streams["stdout"].endswith(b"  Platform:  unknown/unknown\n")
