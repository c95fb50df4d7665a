from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.builder.cache_transfer import CacheTarget
from dockmagic.commands.build_cache import cache_sources, cache_targets
from dockmagic.errors import InvalidOption, InvalidReference
from dockmagic.oci.reference import Reference


def test_where_caches_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cache_targets(["type=local,dest=c", '"dest=/a,b",mode=max,type=local']) == (
        CacheTarget(tmp_path / "c"),
        CacheTarget(Path("/a,b"), all_stages=True),
    )
    assert cache_sources(["type=local,src=c"]) == (tmp_path / "c",)
    assert cache_targets(["type=inline"]) == (CacheTarget(None),)
    name = Reference.parse("r.example/cache:1")
    assert cache_targets(["type=registry,ref=r.example/cache:1,mode=max", "r.example/cache:1"]) == (
        CacheTarget(name, all_stages=True),
        CacheTarget(name),
    )
    assert cache_sources(["type=registry,ref=r.example/cache:1", "r.example/cache:1"]) == (name, name)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("type=registry", "it has no ref; write type=local,dest=DIR or type=registry,ref=NAME or type=inline"),
        ("type=registry,ref=x,compression=zstd", "type=registry takes ref or mode, not 'compression'"),
        ("type=inline,mode=max", "type=inline takes nothing more, not 'mode'"),
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
    with pytest.raises(InvalidOption, match="use type=local,src=DIR or type=registry,ref=NAME"):
        cache_sources(["type=gha"])
    with pytest.raises(InvalidOption, match="an image that has its cache inside is named as any other; use"):
        cache_sources(["type=inline"])
    with pytest.raises(InvalidReference, match="UPPER"):
        cache_sources(["UPPER"])
