"""Caches written by one state root and used by another."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.builder.cache_transfer import CACHE_CONFIG, INLINE, CacheTarget
from dockmagic.builder.seam import OnOutput, RunStep
from dockmagic.errors import StoreError
from dockmagic.events import BuildWarning, StepState
from dockmagic.image.push import push
from dockmagic.image.registry import RegistryClient
from dockmagic.oci.descriptor import OCI_INDEX, OCI_MANIFEST
from dockmagic.oci.reference import Reference
from tests.unit.builder.lab import Lab, fill
from tests.unit.image.fake_registry import accepting

TEXT = """\
FROM scratch AS tools
COPY a /tool
RUN make tool
FROM scratch
COPY --link a /linked
COPY --from=tools /made /copied
WORKDIR /w
RUN use
"""


def command(step: RunStep, output: OnOutput) -> int:
    """Something that says what was run."""
    (step.upper / "made").write_text(step.options.command[-1])
    return 0


@pytest.fixture
def labs(tmp_path: Path, context: Path) -> Callable[[str], Lab]:
    fill(context, {"a": "text"})
    return lambda name: Lab(tmp_path / name, command)


def warnings(lab: Lab) -> list[str]:
    return [event.message for event in lab.events if isinstance(event, BuildWarning)]


def blobs(directory: Path) -> list[Path]:
    return [path for path in directory.glob("blobs/sha256/*") if path.read_bytes()[:1] != b"{"]


def test_another_state_root_runs_nothing(labs: Callable[[str], Lab], context: Path, tmp_path: Path) -> None:
    one, two, three = labs("one"), labs("two"), labs("three")
    image = one.build(TEXT, context, cache_to=(CacheTarget(tmp_path / "cache", all_stages=True),))
    assert len(one.runs) == 2
    other = two.build(TEXT, context, cache_from=(tmp_path / "cache",))
    assert two.runs == []
    assert other.config.diff_ids == image.config.diff_ids
    assert two.listing(other) == one.listing(image)
    assert set(two.ended()) == {StepState.CACHED}
    shutil.rmtree(tmp_path / "cache")
    again = two.build(TEXT, context, cache_to=(CacheTarget(tmp_path / "cache", all_stages=True),))
    assert (two.runs, again.id) == ([], other.id)
    three.build(TEXT, context, cache_from=(tmp_path / "cache",))
    assert three.runs == []
    assert [lab.left() for lab in (one, two, three)] == [[], [], []]


def test_by_default_only_what_is_in_the_image_is_written(
    labs: Callable[[str], Lab], context: Path, tmp_path: Path
) -> None:
    one, two = labs("one"), labs("two")
    one.build(TEXT, context, cache_to=(CacheTarget(tmp_path / "cache"),))
    assert len(blobs(tmp_path / "cache")) == 4
    two.build(TEXT, context, cache_from=(tmp_path / "cache",))
    assert [run.options.command[-1] for run in two.runs] == ["make tool"]
    one.build("FROM scratch\nCOPY a /\n", context, cache_to=(CacheTarget(tmp_path / "cache"),))
    two.build(TEXT + "RUN more\n", context, cache_from=(tmp_path / "cache",))
    assert [run.options.command[-1] for run in two.runs] == ["more"]


def test_only_what_is_needed_is_copied(labs: Callable[[str], Lab], context: Path, tmp_path: Path) -> None:
    one, two = labs("one"), labs("two")
    one.build(TEXT, context, cache_to=(CacheTarget(tmp_path / "cache", all_stages=True),))
    two.build("FROM scratch\nCOPY a /tool\n", context, cache_from=(tmp_path / "cache",))
    assert set(two.ended()) == {StepState.CACHED}
    assert len(blobs(two.root)) == 1


def test_through_a_registry(labs: Callable[[str], Lab], context: Path) -> None:
    one, two, three = labs("one"), labs("two"), labs("three")
    with accepting() as registry:
        place = Reference.parse(f"{registry.host}/team/cache:main")
        image = one.build(TEXT, context, cache_to=(CacheTarget(place, all_stages=True),))
        media_type, manifest = registry.manifests["team/cache", "main"]
        assert (media_type, json.loads(manifest)["config"]["mediaType"]) == (OCI_MANIFEST, CACHE_CONFIG)
        other = two.build(TEXT, context, cache_from=(place,))
        assert (two.runs, two.listing(other)) == ([], one.listing(image))
        before = len(registry.server.requests)
        three.build("FROM scratch\nCOPY a /tool\n", context, cache_from=(place,))
        assert set(three.ended()) == {StepState.CACHED}
        fetched = [request.path for request in registry.server.requests[before:] if "/blobs/" in request.path]
        assert len(fetched) == 2  # what the cache has, and one layer
    assert [lab.left() for lab in (one, two, three)] == [[], [], []]


def test_a_cache_inside_of_the_image(labs: Callable[[str], Lab], context: Path) -> None:
    one, two = labs("one"), labs("two")
    with accepting() as registry:
        name = Reference.parse(f"{registry.host}/app:1")
        image = one.build(TEXT, context, cache_to=(CacheTarget(None),), tag=str(name))
        assert INLINE in image.config.extra
        client = RegistryClient()
        push([(name, image)], client=client, store=one.store)
        client.close()
        other = two.build(TEXT, context, cache_from=(name,), cache_to=(CacheTarget(None),))
        assert [run.options.command[-1] for run in two.runs] == ["make tool"]
        assert other.config.diff_ids == image.config.diff_ids
        assert INLINE not in one.build(f"FROM {name.familiar}\nLABEL a=b\n", context).config.extra
        plain = one.build(TEXT, context, tag=str(name))
        client = RegistryClient()
        push([(name, plain)], client=client, store=one.store)
        client.close()
        two.build(TEXT, context, cache_from=(name,))
        assert "it is an image that --cache-to type=inline gave no cache" in warnings(two)[0]
    assert [lab.left() for lab in (one, two)] == [[], []]


def test_a_registry_without_the_cache(labs: Callable[[str], Lab], context: Path) -> None:
    lab = labs("one")
    with accepting() as registry:
        place = Reference.parse(f"{registry.host}/cache")
        lab.build(TEXT, context, cache_from=(place,))
        (warning,) = warnings(lab)
        assert f"registry cache import of {place.familiar} not found due to err: manifest for" in warning
        registry.manifests["cache", "latest"] = (OCI_INDEX, b'{"schemaVersion": 2, "manifests": []}')
        lab.build(TEXT, context, cache_from=(place,))
        assert "it isn't a cache that --cache-to wrote" in warnings(lab)[0]
    assert len(lab.runs) == 0
    assert lab.left() == []


def test_no_cache_reads_none(labs: Callable[[str], Lab], context: Path, tmp_path: Path) -> None:
    one, two = labs("one"), labs("two")
    one.build(TEXT, context, cache_to=(CacheTarget(tmp_path / "cache"),))
    two.build(TEXT, context, cache_from=(tmp_path / "cache",), no_cache=True)
    assert len(two.runs) == 2


def test_a_cache_that_cannot_be_written_is_an_error(labs: Callable[[str], Lab], context: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/cache: Not a directory"):
        labs("one").build(TEXT, context, cache_to=(CacheTarget(tmp_path / "file/cache"),))


def _missing(cache: Path) -> None:
    shutil.rmtree(cache)


def _file(cache: Path) -> None:
    shutil.rmtree(cache)
    cache.write_text("file")


def _no_json(cache: Path) -> None:
    (cache / "index.json").write_text("{")


def _foreign(cache: Path) -> None:
    (path,) = [path for path in cache.glob("blobs/sha256/*") if CACHE_CONFIG.encode() in path.read_bytes()]
    path.write_bytes(path.read_bytes().replace(CACHE_CONFIG.encode(), b"x" * len(CACHE_CONFIG)))


def _empty_index(cache: Path) -> None:
    index = json.loads((cache / "index.json").read_bytes())
    (cache / "index.json").write_text(json.dumps(index | {"manifests": []}))


def _link(cache: Path) -> None:
    (cache / "index.json").unlink()
    (cache / "index.json").symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_missing, "No such file"),
        (_file, "Not a directory"),
        (_no_json, "not a JSON document"),
        (_foreign, "digest mismatch|expected"),
        (_empty_index, "it isn't a cache that --cache-to wrote"),
        (_link, "can't read"),
    ],
)
def test_a_cache_that_cannot_be_read_is_a_warning(
    labs: Callable[[str], Lab], context: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    one, two = labs("one"), labs("two")
    one.build(TEXT, context, cache_to=(CacheTarget(tmp_path / "cache"),))
    damage(tmp_path / "cache")
    two.build(TEXT, context, cache_from=(tmp_path / "cache",))
    assert len(two.runs) == 2
    (warning,) = warnings(two)
    assert re.search(f"local cache import at {tmp_path}/cache not found due to err: .*({message})", warning), warning
    assert two.left() == []


@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_a_damaged_layer_is_a_warning_and_its_step_runs(
    labs: Callable[[str], Lab], context: Path, tmp_path: Path, content: bytes | None
) -> None:
    one, two = labs("one"), labs("two")
    image = one.build(TEXT, context, cache_to=(CacheTarget(tmp_path / "cache", all_stages=True),))
    for path in blobs(tmp_path / "cache"):
        path.unlink() if content is None else path.write_bytes(content)
    other = two.build(TEXT, context, cache_from=(tmp_path / "cache",))
    assert len(two.runs) == 2
    assert two.listing(other) == one.listing(image)
    assert all("can't be used, so its step runs" in warning for warning in warnings(two))
    assert warnings(two)
    assert two.left() == []
