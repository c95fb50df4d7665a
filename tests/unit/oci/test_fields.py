from __future__ import annotations

from typing import Any

import pytest

from dockmagic.errors import InvalidManifest
from dockmagic.oci.digest import Digest
from dockmagic.oci.fields import Fields


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a JSON document"),
        (b"\xff", "not a JSON document"),
        (b"{", "not a JSON document"),
        (b'{"a": NaN}', "NaN is not a JSON value"),
        (b'{"a": "\\ud800"}', "surrogates not allowed"),
        (b"[" * 100_000, "not a JSON document"),
        (b"[]", "expected an object, got a list"),
        (b"null", "expected an object, got null"),
    ],
)
def test_text_that_is_no_object(data: bytes, says: str) -> None:
    with pytest.raises(InvalidManifest, match="thing") as caught:
        Fields.parse(data, "thing")
    assert says in str(caught.value)


def test_surrogate_pair_is_text() -> None:
    assert Fields.parse(b'{"a": "\\ud83d\\ude00"}', "thing").text("a") == "\N{GRINNING FACE}"


def test_null_is_absent() -> None:
    fields = Fields({"a": None}, "thing")
    assert "a" not in fields
    assert (fields.text("a"), fields.number("a"), fields.flag("a")) == ("", 0, False)
    assert (fields.texts("a"), fields.optional_texts("a"), fields.labels("a")) == ((), None, {})
    assert (fields.names("a"), list(fields.objects("a"))) == ((), [])


@pytest.mark.parametrize(
    ("accessor", "value", "says"),
    [
        ("text", 1, "thing.a: expected a string, got an integer"),
        ("number", True, "thing.a: expected an integer, got true or false"),
        ("number", 1.5, "thing.a: expected an integer, got a number"),
        ("flag", 1, "thing.a: expected true or false, got an integer"),
        ("texts", "x", "thing.a: expected a list, got a string"),
        ("texts", ["x", None], "thing.a[1]: expected a string, got null"),
        ("labels", {"k": 1}, "thing.a.k: expected a string, got an integer"),
        ("names", {"k": 1}, "thing.a.k: expected an object, got an integer"),
        ("object", [], "thing.a: expected an object, got a list"),
        ("required_text", "", "thing.a: is missing"),
    ],
)
def test_wrong_types_are_named_with_their_place(accessor: str, value: Any, says: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        getattr(Fields({"a": value}, "thing"), accessor)("a")
    assert str(caught.value) == says


def test_items_that_are_no_objects() -> None:
    with pytest.raises(InvalidManifest, match=r"thing\.a\[0\]: expected an object, got a string"):
        list(Fields({"a": ["x"]}, "thing").objects("a"))


def test_conversion_keeps_the_place() -> None:
    with pytest.raises(InvalidManifest, match=r"thing\.a: not a digest"):
        Fields({"a": "x"}, "thing").convert("a", Digest)


def test_others_are_what_nobody_knows() -> None:
    assert Fields({"a": 1, "b": None}, "thing").others({"a"}) == {"b": None}
