from __future__ import annotations

from pathlib import Path

from dockmagic.image.offline import Offer
from dockmagic.oci.descriptor import OCI_MANIFEST, Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeEngine, FakeImages


def test_wheel_says_what_it_wrote() -> None:
    engine = FakeEngine()
    assert str(call(engine, "image", "wheel", "-o", "out", "--name", "n", "--version", "1", "a", "b:2")) == "out/x.whl"
    assert str(call(engine, "image", "wheel", "a")) == "x.whl"
    assert engine.images.calls == [
        ("wheel", ["a", "b:2"], Path("out"), "n", "1"),
        ("wheel", ["a"], Path(), "", ""),
    ]


def test_offline_lists_what_packages_offer() -> None:
    digest = Digest.of(b"x")
    images = [
        Offer(Reference.parse("busybox"), Descriptor(OCI_MANIFEST, digest, 1), "course", "1.0", Path()),
        Offer(
            Reference.parse("ghcr.io/a/b:c"),
            Descriptor(OCI_MANIFEST, digest, 1, platform=Platform("linux", "arm", "v7")),
            "course",
            "1.0",
            Path(),
        ),
    ]
    table = call(FakeEngine(images=FakeImages(offered=images)), "image", "offline")
    assert table.rows == (
        ("busybox", "latest", digest.short, "", "course", "1.0"),
        ("ghcr.io/a/b", "c", digest.short, "linux/arm/v7", "course", "1.0"),
    )
    assert table[0] is images[0]
    assert "no installed package offers an image" in call(FakeEngine(), "image", "offline")._repr_html_()
