from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dockmagic.builder.cache import BuildCache, Download
from dockmagic.image.snapshot import Layer
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, History, ImageConfig
from tests.unit.builder.lab import Lab, fill


def layer(lab: Lab, text: str, parent: Digest | None = None) -> Layer:
    with lab.workspaces.new() as workspace:
        lab.snapshots.prepare(parent, workspace / "upper")
        fill(workspace / "upper", {"f": text})
        return lab.snapshots.commit(parent, workspace / "upper")


def row(lab: Lab, key: str) -> dict[str, object]:
    return dict(lab.database.query("SELECT * FROM build_cache WHERE key = ?", (key,))[0])


def test_a_layer_is_found_by_its_key_on_its_parent(lab: Lab) -> None:
    cache, made = lab.parts.cache, layer(lab, "1")
    assert cache.find("k", None) is None
    cache.record("k", made, "COPY a b")
    assert cache.find("k", None) == made
    assert cache.find("k", made.chain_id) is None
    assert cache.find("other", None) is None


def test_the_last_record_counts(lab: Lab) -> None:
    cache, one, two = lab.parts.cache, layer(lab, "1"), layer(lab, "2")
    cache.record("k", one, "")
    cache.record("k", two, "")
    assert cache.find("k", None) == two


def test_another_process_sees_it_and_so_does_the_next_start(lab: Lab) -> None:
    made = layer(lab, "1")
    lab.parts.cache.record("k", made, "")
    again = Lab(lab.root)
    assert BuildCache(again.database, again.snapshots).find("k", None) == made


def test_a_layer_that_is_gone_is_not_found(lab: Lab) -> None:
    made = layer(lab, "1")
    lab.parts.cache.record("k", made, "")
    shutil.rmtree(lab.snapshots.path(made.chain_id))
    assert lab.parts.cache.find("k", None) is None


def test_use_is_noted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.parts.cache.record("k", layer(lab, "1"), "words")
    before = row(lab, "k")
    monkeypatch.setattr(time, "time_ns", lambda: 2 * 10**18)
    lab.parts.cache.find("k", None)
    after = row(lab, "k")
    assert after == {**before, "used_ns": 2 * 10**18}
    assert before["description"] == "words"


def test_an_image_is_found_whatever_its_times(lab: Lab) -> None:
    history = (History("2024-01-01T00:00:00Z", "RUN x"), History("2024-01-01T00:00:01Z", "CMD y", empty_layer=True))
    image = ImageConfig("amd64", "linux", ContainerConfig(cmd=("y",)), history=history, created="2024-01-01T00:00:01Z")
    assert lab.parts.cache.find_image(image) is None
    lab.parts.cache.record_image(image)
    later = replace(
        image, created="2025-01-01T00:00:00Z", history=tuple(replace(each, created="x") for each in history)
    )
    assert lab.parts.cache.find_image(later) == image
    assert lab.parts.cache.find_image(replace(image, config=ContainerConfig())) is None


def test_layers_in_the_cache_are_not_collected(lab: Lab, tmp_path: Path) -> None:
    kept, lost = layer(lab, "1"), layer(lab, "2")
    lab.parts.cache.record("k", kept, "")
    assert lost.chain_id in lab.store.collect()
    assert lab.parts.cache.find("k", None) == kept


def test_a_layer_that_lies_on_any_other(lab: Lab) -> None:
    below, made = layer(lab, "below"), layer(lab, "1")
    assert lab.parts.cache.find_rebased("k", None, "") is None
    lab.parts.cache.record("k", made, "")
    assert lab.parts.cache.find_rebased("k", None, "") == made
    rebased = lab.parts.cache.find_rebased("k", below.chain_id, "words")
    assert rebased is not None
    assert (rebased.parent, rebased.diff_id, rebased.descriptor) == (below.chain_id, made.diff_id, made.descriptor)
    assert row(lab, "k")["chain_id"] == rebased.chain_id  # what was used last is kept


def test_downloads(lab: Lab) -> None:
    known = Download("00", '"1"', "Sun")
    assert lab.parts.cache.find_download("https://a/b") is None
    lab.parts.cache.record_download("https://a/b", Download("11"))
    lab.parts.cache.record_download("https://a/b", known)
    assert lab.parts.cache.find_download("https://a/b") == known
    assert lab.parts.cache.find_download("https://a/c") is None
