"""Layers against the tools that everybody else uses: what they write is read, and what is written they read, alike."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dockmagic.errors import StoreError
from dockmagic.image import layer
from dockmagic.image.compression import LayerWriter, open_layer
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST
from tests.integration.registry_fixture import skopeo
from tests.integration.trees import BASE_NS, CAPABILITY, LONG, Description, describe, make_rich_tree, settle_times

_PROJECT = Path(__file__).parents[2]
_POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
_UNPACK = """
import sys, pathlib
from dockmagic.errors import StoreError
from dockmagic.image import layer
try:
    layer.unpack(sys.stdin.buffer, pathlib.Path(sys.argv[1]))
except StoreError as error:
    print(error)
"""

pytestmark = pytest.mark.root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a file of every kind."""
    return make_rich_tree(tmp_path / "tree")


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """Makes empty directories."""
    numbers = iter(range(100))

    def make() -> Path:
        directory = tmp_path / f"fresh{next(numbers)}"
        directory.mkdir()
        return directory

    return make


def run(*command: str | Path, data: bytes = b"") -> bytes:
    """What a command prints, which must succeed."""
    done = subprocess.run(command, check=False, input=data, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def pack(tree: Path) -> bytes:
    """The tree's plain archive."""
    out = io.BytesIO()
    layer.pack(tree, out)
    return out.getvalue()


def unpack(data: bytes, directory: Path, *lower: Path) -> Path:
    """The tree of an archive, compressed or not."""
    with open_layer(io.BytesIO(data)) as plain:
        layer.unpack(plain, directory, lower=lower)
    return directory


class Layout:
    """An OCI image layout made by hand, with one image of the layers of these trees, lowest first."""

    def __init__(self, directory: Path, *trees: Path) -> None:
        self.path = directory
        (directory / "blobs/sha256").mkdir(parents=True)
        layers = [self._layer(tree) for tree in trees]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [writer.diff_id for writer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self._json(OCI_CONFIG, config),
            "layers": [
                {"mediaType": OCI_LAYER_GZIP, "digest": writer.digest, "size": writer.size} for writer in layers
            ],
        }
        entry = self._json(OCI_MANIFEST, manifest)
        entry["annotations"] = {"org.opencontainers.image.ref.name": "image"}
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))

    def blob(self, digest: str) -> bytes:
        """The bytes with this digest."""
        return (self.path / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()

    def top_layer(self, name: str) -> bytes:
        """The uppermost layer's blob of the image with this name."""
        for entry in json.loads((self.path / "index.json").read_text())["manifests"]:
            if entry["annotations"]["org.opencontainers.image.ref.name"] == name:
                return self.blob(json.loads(self.blob(entry["digest"]))["layers"][-1]["digest"])
        raise AssertionError(f"no image {name}")

    def _layer(self, tree: Path) -> LayerWriter:
        path = self.path / "layer"
        with path.open("wb") as out:
            writer = LayerWriter(out)
            layer.pack(tree, writer)
            writer.close()
        path.rename(self.path / "blobs/sha256" / writer.digest.hex)
        return writer

    def _json(self, media_type: str, value: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        (self.path / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


@contextmanager
def overlay(target: Path, *lower: Path, upper: Path | None = None, work: Path | None = None) -> Iterator[Path]:
    """An overlay of these directories, the topmost first."""
    options = "lowerdir=" + ":".join(map(str, lower))
    if upper is not None:
        options += f",upperdir={upper},workdir={work},redirect_dir=off,metacopy=off"
    run("mount", "-t", "overlay", "overlay", "-o", options, target)
    try:
        yield target
    finally:
        run("umount", target)


def change(root: Path) -> None:
    """Add, change, replace and remove files of the rich tree."""
    (root / "link").unlink()
    (root / "large").unlink()
    (root / "large").mkdir()
    (root / "large/inside").write_text("a directory in place of a file")
    shutil.rmtree(root / "usr")
    (root / "usr").mkdir(0o711)
    (root / "usr/new").write_text("in place of a whole directory")
    shutil.rmtree(root / "empty")
    (root / "empty").symlink_to("nowhere")
    (root / "etc").write_text("changed")
    (root / "fifo").chmod(0o600)
    (root / "added/deep").mkdir(parents=True)
    (root / "added/deep/file").write_text("added")
    (root / LONG / "name").unlink()


def has_holes(path: Path) -> bool:
    """Whether most of a file takes no space."""
    status = path.stat()
    return status.st_blocks * 512 < status.st_size // 10


def without_time_of_day(found: dict[str, Description]) -> dict[str, Description]:
    """The description with whole seconds and without attributes: what GNU tar's own format holds."""
    return {name: item._replace(mtime_ns=item.mtime_ns // 10**9 * 10**9, xattrs=()) for name, item in found.items()}


def test_everything_comes_back(tree: Path, fresh: Callable[[], Path]) -> None:
    data = pack(tree)
    copy = unpack(data, fresh())
    assert describe(copy) == describe(tree)
    assert os.getxattr(copy / "usr/bin/ping", "security.capability") == CAPABILITY
    assert pack(copy) == data


@pytest.mark.needs("tar")
def test_gnu_tar_lists_what_is_packed(tree: Path) -> None:
    listed = run("env", "LC_ALL=C", "tar", "--quoting-style=escape", "-tf", "-", data=pack(tree)).decode()
    assert {line.rstrip("/") for line in listed.splitlines()} == {_escaped(name) for name in describe(tree)}


def _escaped(name: str) -> str:
    """A name as GNU tar shows it where it knows ASCII only."""
    return "".join(chr(byte) if byte < 128 else f"\\{byte:03o}" for byte in name.replace("\n", "\\n").encode())


@pytest.mark.needs("tar")
def test_gnu_tar_unpacks_what_is_packed(tree: Path, fresh: Callable[[], Path]) -> None:
    copy = fresh()
    run("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", "-", "-C", copy, data=pack(tree))
    assert describe(copy) == describe(tree)


@pytest.mark.needs("tar")
@pytest.mark.parametrize(
    "options",
    [
        ["--format=pax"],
        ["--format=pax", "--sparse", "--sparse-version=0.0"],
        ["--format=pax", "--sparse", "--sparse-version=0.1"],
        ["--format=pax", "--sparse", "--sparse-version=1.0"],
        ["--format=pax", "--sort=name", "--no-recursion", "--null", "-T"],
    ],
)
def test_what_gnu_tar_packs_in_pax_format(options: list[str], tree: Path, fresh: Callable[[], Path]) -> None:
    names: list[str | Path] = ["."]
    if options[-1] == "-T":  # the files only: their parents have to be made, and get no attributes
        names = [fresh() / "names"]
        Path(names[0]).write_text(
            "\0".join(name for name, item in describe(tree).items() if not stat.S_ISDIR(item.mode))
        )
    data = run("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", tree, "-cf", "-", *options, *names)
    found, expected = describe(unpack(data, fresh())), describe(tree)
    if options[-1] == "-T":
        found = {name: item for name, item in found.items() if not stat.S_ISDIR(item.mode)}
        expected = {name: item for name, item in expected.items() if not stat.S_ISDIR(item.mode)}
    assert found == expected


@pytest.mark.needs("tar")
@pytest.mark.parametrize("options", [[], ["--sparse"]])
def test_what_gnu_tar_packs_in_its_own_format(options: list[str], tree: Path, fresh: Callable[[], Path]) -> None:
    data = run("tar", "--format=gnu", "--numeric-owner", "-C", tree, "-cf", "-", *options, ".")
    copy = unpack(data, fresh())
    assert without_time_of_day(describe(copy)) == without_time_of_day(describe(tree))
    if options:
        assert has_holes(copy / "sparse")


@pytest.mark.needs("tar")
@pytest.mark.parametrize("version", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_files_with_many_holes(version: str, fresh: Callable[[], Path]) -> None:
    tree = fresh()
    with (tree / "sparse").open("wb") as file:
        for index in range(300):
            file.seek(index * 65536)
            file.write(b"%d" % index * 100)
        file.truncate(400 * 65536)
    options = ["--format=gnu"] if version == "gnu" else ["--format=pax", f"--sparse-version={version}"]
    copy = unpack(run("tar", "--sparse", *options, "-C", tree, "-cf", "-", "sparse"), fresh())
    assert (copy / "sparse").read_bytes() == (tree / "sparse").read_bytes()
    assert has_holes(copy / "sparse")


@pytest.mark.needs("tar", "gzip", "xz", "bzip2", "zstd")
@pytest.mark.parametrize("program", ["gzip", "xz", "bzip2", "zstd"])
def test_what_compressors_write(program: str, tree: Path, fresh: Callable[[], Path]) -> None:
    data = run(program, "-c", data=pack(tree))
    assert describe(unpack(data, fresh())) == describe(tree)


@pytest.mark.needs("umoci")
def test_umoci_unpacks_what_is_packed(tree: Path, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout", tree)
    run("umoci", "unpack", "--image", f"{layout.path}:image", tmp_path / "bundle")
    assert describe(tmp_path / "bundle/rootfs") == describe(tree)


@pytest.mark.needs("umoci")
def test_umoci_applies_changes_as_the_kernel_does(tree: Path, tmp_path: Path, fresh: Callable[[], Path]) -> None:
    upper, target = fresh(), fresh()
    with overlay(target, tree, upper=upper, work=fresh()) as merged:
        change(merged)
    settle_times(upper)
    with overlay(target, upper, tree) as merged:
        expected = describe(merged)
    layout = Layout(tmp_path / "layout", tree, upper)
    run("umoci", "unpack", "--image", f"{layout.path}:image", tmp_path / "bundle")
    assert describe(tmp_path / "bundle/rootfs") == expected


@pytest.mark.needs("umoci")
def test_changes_that_umoci_packs(tree: Path, tmp_path: Path, fresh: Callable[[], Path]) -> None:
    layout = Layout(tmp_path / "layout", tree)
    bundle = tmp_path / "bundle"
    run("umoci", "unpack", "--image", f"{layout.path}:image", bundle)
    change(bundle / "rootfs")
    for path in (bundle / "rootfs").rglob("*"):  # umoci rounds times to seconds
        seconds = path.lstat().st_mtime_ns // 10**9
        if seconds > BASE_NS // 10**9 + 1000:
            os.utime(path, (seconds, seconds), follow_symlinks=False)
    run("umoci", "repack", "--image", f"{layout.path}:changed", bundle)
    upper = unpack(layout.top_layer("changed"), fresh(), tree)
    with overlay(fresh(), upper, tree) as merged:
        found = describe(merged)
    expected = describe(bundle / "rootfs")
    assert found.keys() == expected.keys()
    assert without_time_of_day(found) == without_time_of_day(expected)


def test_changes_come_back(tree: Path, fresh: Callable[[], Path]) -> None:
    upper, target = fresh(), fresh()
    with overlay(target, tree, upper=upper, work=fresh()) as merged:
        change(merged)
    settle_times(upper)
    data = pack(upper)
    copy = unpack(data, fresh())
    assert pack(copy) == data
    with overlay(target, upper, tree) as merged:
        expected = describe(merged)
    with overlay(target, copy, unpack(pack(tree), fresh())) as merged:
        assert describe(merged) == expected


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("options", [["--dest-decompress"], ["--dest-compress", "--dest-compress-format=zstd"]])
def test_skopeo_changes_the_compression(options: list[str], tree: Path, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout", tree)
    skopeo("copy", *options, f"oci:{layout.path}:image", f"dir:{tmp_path / 'copy'}")
    manifest = json.loads((tmp_path / "copy/manifest.json").read_text())
    blob = (tmp_path / "copy" / manifest["layers"][0]["digest"].removeprefix("sha256:")).read_bytes()
    with open_layer(io.BytesIO(blob)) as plain:
        assert plain.read() == pack(tree)


@pytest.mark.needs("podman", "skopeo")
def test_podman_loads_what_is_packed(
    tree: Path, tmp_path: Path, fresh: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    upper, target = fresh(), fresh()
    with overlay(target, tree, upper=upper, work=fresh()) as merged:
        change(merged)
    settle_times(upper)
    with overlay(target, upper, tree) as merged:
        expected = describe(merged)
    layout = Layout(tmp_path / "layout", tree, upper)
    archive = tmp_path / "image.tar"
    skopeo("copy", f"oci:{layout.path}:image", f"docker-archive:{archive}:image:latest")
    base = tmp_path_factory.mktemp("p")  # podman wants a short path
    podman: list[str | Path] = [
        "podman",
        "--root",
        base / "root",
        "--runroot",
        base / "run",
        "--storage-driver=overlay",
    ]
    run(*podman, "load", "-i", archive)
    mounted = Path(run(*podman, "image", "mount", "image").decode().strip())
    try:
        found = describe(mounted)
    finally:
        run(*podman, "image", "umount", "image")
    assert found == expected


def test_a_full_disk(tree: Path, fresh: Callable[[], Path]) -> None:
    small = fresh()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small)
    try:
        with pytest.raises(StoreError, match="No space left"):
            unpack(pack(tree), small)
        with (small / "blob").open("wb", buffering=0) as out, pytest.raises(StoreError, match="No space left"):
            layer.pack(tree, out)
    finally:
        run("umount", small)


@pytest.mark.needs("setpriv", "tar")
@pytest.mark.parametrize("name", ["usr/null", "empty", "usr/bin/su"])
def test_without_privileges(name: str, tree: Path, fresh: Callable[[], Path]) -> None:
    """Devices, other people's files and directories take root's capabilities, and the error says so."""
    data = run("tar", "--numeric-owner", "-C", tree, "-cf", "-", name)
    command: list[str | Path] = [*_POWERLESS, sys.executable, "-c", _UNPACK, fresh()]
    done = subprocess.run(command, cwd=_PROJECT, input=data, capture_output=True, timeout=100, check=True)
    assert "can't unpack" in done.stdout.decode()
    assert "it takes root" in done.stdout.decode()
