from __future__ import annotations

import pytest

from dockmagic.errors import NotFound
from dockmagic.oci.reference import Reference
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import IMAGE_ID, FakeEngine, FakeImage, FakeImages, change, node

BOTH = FakeImage(references=(Reference.parse("hello"), Reference.parse("ghcr.io/me/hello:1")))


def test_commands_call_the_engine() -> None:
    engine = FakeEngine()
    assert call(engine, "tag", "hello", "hello:2") == ()
    assert call(engine, "rmi", "-f", "hello", "other") == ("Untagged: hello", "Untagged: other")
    assert str(call(engine, "image", "bootstrap", "debian")) == "debian:latest"
    assert engine.images.calls == [
        ("tag", "hello", "hello:2"),
        ("rm", "hello", True),
        ("rm", "other", True),
        ("bootstrap", "debian"),
    ]


def test_inspect() -> None:
    engine = FakeEngine(images=FakeImages({"hello": BOTH}))
    assert call(engine, "image", "inspect", "hello") == [{"Id": IMAGE_ID}]
    assert call(engine, "inspect", "hello") == [{"Id": IMAGE_ID}]
    with pytest.raises(NotFound, match="no such image: x"):
        call(engine, "inspect", "--type", "image", "x")


NODES = (
    node("ADD rootfs.tar /", size_bytes=4_000_000, added=2, largest=(change("/bin/sh", size_bytes=1000),)),
    node(f'CMD ["{"x" * 60}"]', created="", empty=True),
)


def test_history_has_the_last_instruction_first() -> None:
    table = call(FakeEngine(images=FakeImages(nodes=NODES)), "history", "hello")
    assert [row[0] for row in table.rows] == [IMAGE_ID.short, "<missing>"]
    assert table.rows[0][1] == "N/A"
    assert table.rows[0][2].endswith("…")
    assert table.rows[1][3] == "4MB"
    whole = call(FakeEngine(images=FakeImages(nodes=NODES)), "history", "--no-trunc", "hello")
    assert whole.rows[0][2].endswith('x"]')


def test_history_in_other_forms() -> None:
    engine = FakeEngine(images=FakeImages(nodes=NODES))
    assert str(call(engine, "history", "-q", "hello")) == f"{IMAGE_ID.short}\n<missing>"
    assert str(call(engine, "history", "-q", "--no-trunc", "hello")) == f"{IMAGE_ID}\n<missing>"
    for words in (("-H=false",), ("--human=false",), ("-H", "--human=false")):
        exact = call(engine, "history", *words, "hello")
        assert exact.columns[1] == "CREATED AT"
        assert exact.rows[1][1::2] == ("2024-01-01T00:00:00Z", "4000000")
    assert call(engine, "history", "--human=true", "hello").rows[1][3] == "4MB"
    assert call(engine, "history", "-H", "hello").rows[1][3] == "4MB"


def test_the_tree_is_a_value_with_both_forms() -> None:
    layers = call(FakeEngine(images=FakeImages(nodes=NODES)), "image", "tree", "hello")
    assert len(layers) == 2
    assert layers[0].added == 2
    assert "/bin/sh" in str(layers)
    assert "/bin/sh" in layers._repr_html_()
