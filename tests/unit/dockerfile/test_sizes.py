from __future__ import annotations

import pytest

from dockmagic.dockerfile.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("512", 512), ("1K", 1024), ("1.5m", 3 << 19), ("2GiB", 2 << 30), (" 3 kb ", 3072)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "1x", "-1", "1 2", "٣"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="isn't a size"):
        parse_size(text)
