from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from dockmagic.builder.build import build_dockerfile
from dockmagic.builder.flags import build_options
from dockmagic.builder.outputs import Output, OutputType
from dockmagic.errors import InvalidOption
from dockmagic.image.platform import host_platform
from dockmagic.image.store import Image
from dockmagic.oci.reference import Reference
from tests.unit.builder.lab import Lab, fill

TEXT = "FROM scratch\nCOPY a /x/\n"


def write(lab: Lab, context: Path, *outputs: Output, tags: tuple[str, ...] = (), epoch: str = "") -> Image:
    """The image of TEXT, with these outputs."""
    fill(context, {"a": "text"})
    options = build_options(
        {"outputs": outputs, "tags": tags, "build_args": {"SOURCE_DATE_EPOCH": epoch}}, host_platform()
    )
    return build_dockerfile(TEXT, context, options, lab.parts)


def stored(lab: Lab, image: Image) -> bool:
    """Whether the image can be found."""
    return lab.store.find(image.id) is not None


def test_files_of_the_image(lab: Lab, context: Path, tmp_path: Path) -> None:
    dest, out = tmp_path / "out", io.BytesIO()
    dest.mkdir()
    (dest / "stays").touch()
    outputs = Output(OutputType.LOCAL, dest), Output(OutputType.TAR, out), Output(OutputType.TAR, tmp_path / "t.tar")
    image = write(lab, context, *outputs, epoch="1000")
    assert sorted(str(path.relative_to(dest)) for path in dest.rglob("*")) == ["stays", "x", "x/a"]
    assert ((dest / "x/a").read_text(), (dest / "x/a").stat().st_mtime) == ("text", 1000)
    assert out.getvalue() == (tmp_path / "t.tar").read_bytes()
    with tarfile.open(tmp_path / "t.tar") as archive:
        assert [(member.name, member.mtime) for member in archive] == [("x", 1000), ("x/a", 1000)]
    assert not stored(lab, image)


def test_archives_have_all_names(lab: Lab, context: Path, tmp_path: Path) -> None:
    names = (Reference.parse("other"),)
    layout = tmp_path / "layout"
    outputs = (
        Output(OutputType.OCI, layout, is_tar=False, names=names),
        Output(OutputType.OCI, tmp_path / "oci.tar"),
        Output(OutputType.DOCKER, tmp_path / "docker.tar", names=names),
    )
    image = write(lab, context, *outputs, tags=("mine",))
    index = json.loads((layout / "index.json").read_text())
    assert {entry["digest"] for entry in index["manifests"]} == {image.manifest_digest}
    assert [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]] == [
        "docker.io/library/mine:latest", "docker.io/library/other:latest",
    ]  # fmt: skip
    with tarfile.open(tmp_path / "docker.tar") as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)[0]["RepoTags"] == ["mine:latest", "other:latest"]
    assert lab.store.get("mine").id == image.id
    assert lab.store.find("other") is None


@pytest.mark.parametrize(
    ("outputs", "tags", "expected"),
    [
        ((), (), True),
        ((Output(OutputType.IMAGE),), (), True),
        ((Output(OutputType.DOCKER),), (), True),
        ((Output(OutputType.CACHE_ONLY),), (), False),
        ((Output(OutputType.CACHE_ONLY),), ("t",), True),
        ((Output(OutputType.CACHE_ONLY), Output(OutputType.IMAGE, names=(Reference.parse("n"),))), (), True),
    ],
)
def test_what_puts_the_image_into_the_store(
    outputs: tuple[Output, ...], tags: tuple[str, ...], expected: bool, lab: Lab, context: Path
) -> None:
    image = write(lab, context, *outputs, tags=tags)
    assert stored(lab, image) == expected
    assert (lab.store.find("n") is not None) == any(output.names for output in outputs)
    lab.store.collect()
    again = write(lab, context)
    assert (again.id, stored(lab, again)) == (image.id, True)


def test_an_image_that_was_there_stays(lab: Lab, context: Path) -> None:
    first = write(lab, context, tags=("t",))
    assert write(lab, context, Output(OutputType.CACHE_ONLY)) == first
    assert stored(lab, first)


@pytest.mark.parametrize(
    ("kind", "dest", "is_tar", "message"),
    [
        (OutputType.IMAGE, Path("x"), True, "type=image has no dest"),
        (OutputType.LOCAL, None, True, "type=local needs a dest"),
        (OutputType.LOCAL, io.BytesIO(), True, "has to be a directory"),
        (OutputType.DOCKER, Path("x"), False, "type=docker has no tar=false"),
        (OutputType.OCI, io.BytesIO(), False, "has to be a directory"),
    ],
)
def test_what_does_not_go_together(kind: OutputType, dest: Path | None, is_tar: bool, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        Output(kind, dest, is_tar)


def test_a_failure_leaves_nothing(lab: Lab, context: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidOption, match="file isn't a directory"):
        write(lab, context, Output(OutputType.LOCAL, tmp_path / "file"), tags=("t",))
    with pytest.raises(InvalidOption, match="rewriting times needs a time: --build-arg SOURCE_DATE_EPOCH=SECONDS"):
        build_options({"rewrite_timestamp": True}, host_platform())


def test_names_to_push() -> None:
    a, b, c = (Reference.parse(name) for name in ("a", "b", "c"))
    outputs = (
        Output(OutputType.IMAGE, names=(b,), push=True),
        Output(OutputType.IMAGE, names=(c,)),
        Output(OutputType.IMAGE, push=True),
    )
    options = build_options({"outputs": outputs, "tags": ["a"]}, host_platform())
    assert (options.pushes, options.tags) == ((a, b), (a, b, c))
    with pytest.raises(InvalidOption, match="tag is needed when pushing to registry; name the image with -t"):
        build_options({"outputs": outputs}, host_platform())
    with pytest.raises(InvalidOption, match="type=oci isn't pushed; use type=registry"):
        Output(OutputType.OCI, Path("x"), push=True)
