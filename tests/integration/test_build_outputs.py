"""What builds write beside the store, as other tools read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import InvalidOption, RunFailed
from dockmagic.image.flatten import flatten_into
from dockmagic.image.layout import plan_layout, saved
from dockmagic.magics.dockerfile import dockerfile as cell
from dockmagic.magics.session import Session
from tests.integration.build_words import build, dockerfile
from tests.integration.registry_fixture import skopeo
from tests.integration.trees import describe
from tests.unit.commands.fakes import FakeConsole

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]
_PROJECT = Path(__file__).parents[2]
BINARY = "FROM busybox AS make\nRUN echo made > /tool && chmod 755 /tool\nFROM scratch\nCOPY --from=make /tool /bin/\n"
RICH = """\
FROM busybox
RUN mkdir -m 1777 /d && ln -s /bin/sh /d/soft && echo x > /d/hard && ln /d/hard /d/harder && chmod 4755 /d/hard
RUN rm /bin/vi && mkfifo /d/fifo && chown 5:6 /d && rm -r /home; mkdir /home
"""


def run(*command: str | Path) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(command, check=False, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def terminal(root: Path, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    """The command line, on this state root."""
    command = [sys.executable, "-m", "dockmagic", *words]
    environment = {**os.environ, "DOCKMAGIC_ROOT": str(root), "PYTHONPATH": str(_PROJECT)}
    return subprocess.run(command, check=False, capture_output=True, timeout=100, env=environment)


def test_a_binary_from_scratch(engine: Engine, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = {image.id for image in engine.images.ls()}
    build(engine, "-o", str(out), str(dockerfile(tmp_path / "c", BINARY)))
    assert [str(path.relative_to(out)) for path in sorted(out.rglob("*"))] == ["bin", "bin/tool"]
    assert ((out / "bin/tool").read_text(), (out / "bin/tool").stat().st_mode & 0o777) == ("made\n", 0o755)
    assert {image.id for image in engine.images.ls()} == before


def test_nothing_from_scratch(engine: Engine, tmp_path: Path) -> None:
    build(engine, "-o", f"type=local,dest={tmp_path}/out", "-o", f"type=tar,dest={tmp_path}/t",
          str(dockerfile(tmp_path / "c", "FROM scratch\nENV A=1\n")))  # fmt: skip
    assert list((tmp_path / "out").iterdir()) == []
    assert run("tar", "-tf", tmp_path / "t") == ""


def test_local_and_tar_are_the_images_tree(engine: Engine, tmp_path: Path) -> None:
    words = ["-o", str(tmp_path / "local"), "-o", f"type=tar,dest={tmp_path}/t.tar", "-t", "rich"]
    image, _ = build(engine, *words, str(dockerfile(tmp_path / "c", RICH)))
    lower = engine.snapshots.lower(image.config.diff_ids)
    flatten_into(lower, tmp_path / "kept")
    flatten_into(lower, tmp_path / "owned", (os.geteuid(), os.getegid()))
    (tmp_path / "untarred").mkdir()
    run("tar", "-C", tmp_path / "untarred", "--numeric-owner", "--delay-directory-restore", "-xpf", tmp_path / "t.tar")
    assert describe(tmp_path / "untarred") == describe(tmp_path / "kept")
    assert describe(tmp_path / "local") == describe(tmp_path / "owned")
    assert engine.images.get("rich").id == image.id


def test_files_that_are_there_are_replaced_or_stay(engine: Engine, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    out = dockerfile(tmp_path / "out", "mine")
    (out / "bin").symlink_to(outside)
    build(engine, "-o", str(out), str(dockerfile(tmp_path / "c", BINARY)))
    assert (list(outside.iterdir()), (out / "Dockerfile").read_text()) == ([], "mine")
    assert (out / "bin/tool").read_text() == "made\n"


def test_what_skopeo_reads(engine: Engine, tmp_path: Path) -> None:
    words = ["-t", "n:1", "-o", f"type=oci,dest={tmp_path}/o.tar", "-o", f"type=docker,dest={tmp_path}/d.tar",
             "-o", f"type=oci,dest={tmp_path}/layout,tar=false", "--metadata-file", f"{tmp_path}/meta",
             "--iidfile", f"{tmp_path}/iid"]  # fmt: skip
    image, _ = build(engine, *words, str(dockerfile(tmp_path / "c", RICH)))
    for name in (f"oci-archive:{tmp_path}/o.tar", f"oci:{tmp_path}/layout"):
        assert json.loads(skopeo("inspect", name))["Digest"] == image.manifest_digest
    config = skopeo("inspect", "--config", "--raw", f"docker-archive:{tmp_path}/d.tar:n:1")
    assert json.loads(config)["rootfs"]["diff_ids"] == list(image.config.diff_ids)
    metadata = json.loads((tmp_path / "meta").read_text())
    assert metadata["containerimage.digest"] == image.manifest_digest
    assert ((tmp_path / "iid").read_text(), metadata["image.name"]) == (image.id, "docker.io/library/n:1")


@pytest.mark.needs("umoci")
def test_what_umoci_unpacks(engine: Engine, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    words = ["-o", f"type=oci,dest={layout},tar=false,name=x:1", "-o", f"type=tar,dest={tmp_path}/t.tar"]
    build(engine, *words, str(dockerfile(tmp_path / "c", RICH)))
    run("umoci", "unpack", "--image", f"{layout}:1", tmp_path / "bundle")
    (tmp_path / "tree").mkdir()
    run("tar", "-C", tmp_path / "tree", "--numeric-owner", "--delay-directory-restore", "-xpf", tmp_path / "t.tar")
    ours, theirs = describe(tmp_path / "tree"), describe(tmp_path / "bundle/rootfs")
    assert {name: file._replace(xattrs=()) for name, file in theirs.items()} == {
        name: file._replace(xattrs=()) for name, file in ours.items()
    }


@pytest.mark.needs("podman")
@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_what_podman_loads(kind: str, engine: Engine, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("p")
    podman: list[str | Path] = [
        "podman",
        "--root",
        base / "root",
        "--runroot",
        base / "run",
        "--storage-driver=overlay",
    ]
    image, _ = build(engine, "-o", f"type={kind},dest={tmp_path}/a.tar,name=n:1",
                     str(dockerfile(tmp_path / "c", BINARY)))  # fmt: skip
    run(*podman, "load", "-i", tmp_path / "a.tar")
    found = run(*podman, "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").split()
    assert found[0].endswith("/n:1")
    assert found[1] == image.id


def test_images_stored_by_their_outputs(engine: Engine, tmp_path: Path) -> None:
    context = dockerfile(tmp_path / "c", BINARY)
    words = ["-o", 'type=image,"name=a,b:2",push=false', "-o", "type=docker,name=c", "-o", str(tmp_path / "out")]
    image, _ = build(engine, *words, "--metadata-file", f"{tmp_path}/meta", str(context))
    assert {str(engine.images.get(name).id) for name in ("a", "b:2", "c")} == {image.id}
    names = json.loads((tmp_path / "meta").read_text())["image.name"]
    assert names == "docker.io/library/a:latest,docker.io/library/b:2,docker.io/library/c:latest"
    with engine.images.kept():
        assert plan_layout([saved(engine.store, engine.images.get("a"))])


def test_an_archive_on_standard_output(engine: Engine, tmp_path: Path) -> None:
    context = dockerfile(tmp_path / "c", BINARY)
    done = terminal(engine.root, "build", "-o", "-", context)
    assert done.returncode == 0, done.stderr
    assert (
        subprocess.run(["tar", "-t"], input=done.stdout, capture_output=True, check=True).stdout == b"bin/\nbin/tool\n"
    )
    (tmp_path / "oci.tar").write_bytes(terminal(engine.root, "build", "-o", "type=oci", "-t", "x", context).stdout)
    assert json.loads(skopeo("inspect", f"oci-archive:{tmp_path}/oci.tar"))["Digest"]


def test_a_failed_build_writes_nothing(engine: Engine, tmp_path: Path) -> None:
    context = dockerfile(tmp_path / "c", "FROM busybox\nRUN false\n")
    (tmp_path / "old.tar").write_text("old")
    with pytest.raises(RunFailed):
        build(engine, "-o", f"{tmp_path}/out", "-o", f"type=tar,dest={tmp_path}/old.tar", str(context))
    (tmp_path / "c/Dockerfile").write_text(BINARY)
    with pytest.raises(InvalidOption, match=r"can't write .*none/t.tar: No such file"):
        build(engine, "-o", f"type=tar,dest={tmp_path}/none/t.tar", str(context))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name in {"out", "old.tar", "none"}) == ["old.tar"]
    assert (tmp_path / "old.tar").read_text() == "old"


def test_a_cell(engine: Engine, tmp_path: Path) -> None:
    session, console = cast("Session", SimpleNamespace(engine=engine)), FakeConsole()
    described = cell(session, ["--call", "targets"], "# a is first\nFROM scratch AS a\n", console)
    assert str(described) == "TARGET      DESCRIPTION\na (default) is first"
    cell(session, ["-o", f"{tmp_path}/out"], BINARY, console)
    assert (tmp_path / "out/bin/tool").exists()
    with pytest.raises(InvalidOption, match="an archive isn't written to the screen"):
        cell(session, ["-o", "-"], BINARY, console)
