from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.builder.cache_transfer import CacheTarget
from dockmagic.commands.build_cache import cache_sources, cache_targets
from dockmagic.errors import InvalidOption


def test_where_caches_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cache_targets(["type=local,dest=c", '"dest=/a,b",mode=max,type=local']) == (
        CacheTarget(tmp_path / "c"),
        CacheTarget(Path("/a,b"), all_stages=True),
    )
    assert cache_sources(["type=local,src=c"]) == (tmp_path / "c",)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("type=registry,ref=x", "images aren't pushed yet; use type=local,dest=DIR"),
        ("example.com/cache", "images aren't pushed yet"),
        ("type=inline", "it is for images that are pushed"),
        ("type=gha", "GitHub Actions"),
        ("type=s3,bucket=x", "no object store"),
        ("type=disk", "there is no type 'disk'"),
        ("dest=x", "it has no type"),
        ("type=local", "it has no dest; write type=local,dest=DIR"),
        ("type=local,dest=x,mode=most", "mode can be min or max, not 'most'"),
        ("type=local,dest=x,compression=zstd", "type=local takes dest or mode, not 'compression'"),
        ('type=local,"dest', "unexpected end of data"),
    ],
)
def test_what_is_no_target(flag: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        cache_targets([flag])


def test_what_is_no_source() -> None:
    with pytest.raises(InvalidOption, match="type=local takes src, not 'dest'"):
        cache_sources(["type=local,dest=x"])
    with pytest.raises(InvalidOption, match="use type=local,src=DIR"):
        cache_sources(["busybox"])
