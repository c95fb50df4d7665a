"""Where a build's files come from: standard input, archives, repositories, named contexts; and what is never read."""

from __future__ import annotations

import io
import json
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import BuildError, DockerfileError, DockmagicError, InvalidManifest, InvalidOption
from tests.integration.build_words import build, dockerfile, said, warned
from tests.integration.git_server import Work, serving_git

pytestmark = [
    pytest.mark.root,
    pytest.mark.usefixtures("busybox"),
    pytest.mark.needs("git", "tar", "bzip2", "xz", "zstd"),
]
TEXT = "FROM busybox\nCOPY . /x/\nRUN cd /x && find . -type f | sort && cat a\n"
FILES = {"Dockerfile": TEXT, "a": "A\n", "ignored": "no\n", ".dockerignore": "ignored\nDockerfile\n.dockerignore\n"}
SEEN = "./a\nA\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A context with a file that is ignored."""
    for name, text in FILES.items():
        dockerfile(tmp_path / "source", text, name)
    return tmp_path / "source"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory that a web server shows, and its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    (tmp_path / "www").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www")))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield tmp_path / "www", f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def packed(source: Path, *flags: str) -> bytes:
    """The directory as an archive."""
    return subprocess.run(["tar", *flags, "-C", str(source), "-cf", "-", "."], check=True, capture_output=True).stdout


def given(patch: pytest.MonkeyPatch, data: bytes) -> None:
    """Put it on standard input."""
    patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize("flag", ["", "-z", "-j", "-J", "--zstd"])
def test_an_archive_on_standard_input(engine: Engine, source: Path, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    given(monkeypatch, packed(source, *([flag] if flag else [])))
    assert said(build(engine, "-")[1]) == SEEN
    assert list(engine.workspaces.directory.iterdir()) == []


def test_a_dockerfile_inside_of_an_archive(engine: Engine, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dockerfile(source / "sub", "FROM busybox\nCOPY a /\nRUN cat /a; echo other\n", "Other")
    given(monkeypatch, packed(source))
    assert said(build(engine, "-f", "sub/Other", "-")[1]) == "A\nother\n"
    given(monkeypatch, packed(source))
    with pytest.raises(InvalidOption, match="the context has no none; name the Dockerfile in it with -f"):
        build(engine, "-f", "none", "-")


def test_links_in_an_archive_lead_nowhere_else(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("FROM secret\n")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/Dockerfile").symlink_to(tmp_path / "secret")
    given(monkeypatch, packed(tmp_path / "bad"))
    with pytest.raises(InvalidOption, match="the context has no Dockerfile"):
        build(engine, "-")


def test_a_dockerfile_on_standard_input(engine: Engine, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, b"FROM busybox\nRUN echo alone\n")
    assert said(build(engine, "-")[1]) == "alone\n"
    given(monkeypatch, TEXT.encode())
    assert said(build(engine, "-f", "-", str(source))[1]) == SEEN
    given(monkeypatch, b"FROM busybox\nCOPY a /\n")
    with pytest.raises(BuildError, match="this build has no context"):
        build(engine, "-")
    given(monkeypatch, b"\xff\xfe\x00 nothing")
    with pytest.raises(BuildError, match="neither a tar archive nor UTF-8 text"):
        build(engine, "-")


def test_a_dockerfile_elsewhere_and_its_own_rules(engine: Engine, source: Path, tmp_path: Path) -> None:
    other = dockerfile(tmp_path / "other", TEXT)
    assert "./ignored" not in said(build(engine, "-f", str(other / "Dockerfile"), str(source))[1])
    dockerfile(other, "Dockerfile\n.dockerignore\n", "Dockerfile.dockerignore")
    assert said(build(engine, "-f", str(other / "Dockerfile"), str(source))[1]) == "./a\n./ignored\nA\n"


def test_an_archive_and_a_dockerfile_at_a_url(engine: Engine, source: Path, served: tuple[Path, str]) -> None:
    directory, url = served
    (directory / "context.tar.gz").write_bytes(packed(source, "-z"))
    (directory / "plain").write_text("FROM busybox\nRUN echo plain\n")
    assert said(build(engine, f"{url}/context.tar.gz")[1]) == SEEN
    assert said(build(engine, f"{url}/plain")[1]) == "plain\n"
    with pytest.raises(BuildError, match="404 Not Found"):
        build(engine, f"{url}/none")
    with pytest.raises(InvalidOption, match="leave -f out"):
        build(engine, "-f", "x", f"{url}/plain")


def test_a_repository(engine: Engine, tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.commit({f"deep/{name}": text for name, text in FILES.items()}, "v1")
    work.commit({"deep/a": "later\n"})
    with serving_git(tmp_path) as url:
        assert said(build(engine, f"{url}/repo.git#v1:deep")[1]) == SEEN
        assert said(build(engine, f"{url}/repo.git#main:deep")[1]) == "./a\nlater\n"
        text = dockerfile(tmp_path / "c", "FROM busybox\nRUN --mount=from=lib,target=/l ls -A /l; cat /l/a\n")
        words = ["--build-context", f"lib={url}/repo.git#v1:deep", str(text)]
        assert said(build(engine, *words)[1]).endswith("A\n")
        dockerfile(tmp_path / "c", "FROM busybox\nRUN --mount=from=lib,target=/l ls -A /l | grep git; true\n")
        keep = ["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", "--build-context", f"lib={url}/repo.git", str(text)]
        assert said(build(engine, *keep)[1]) == ".git\n"
        with pytest.raises(BuildError, match="nowhere isn't a directory of the repository"):
            build(engine, f"{url}/repo.git#main:nowhere")


def test_named_contexts(engine: Engine, source: Path, served: tuple[Path, str], tmp_path: Path) -> None:
    directory, url = served
    (directory / "c.tar").write_bytes(packed(source))
    text = "FROM alias AS one\nRUN echo image\nFROM scratch AS lib\nFROM one\nCOPY --from=lib a /\nRUN cat /a\n"
    context = dockerfile(tmp_path / "c", text)
    flags = ["--build-context", "alias=docker-image://busybox", "--build-context", f"lib={url}/c.tar"]
    assert said(build(engine, *flags, str(context))[1]) == "image\nA\n"
    assert list(engine.workspaces.directory.iterdir()) == []


@pytest.mark.needs("skopeo")
def test_images_of_a_layout(engine: Engine, tmp_path: Path) -> None:
    engine.build("FROM busybox\nRUN echo layout > /mine\n", tags=["mine"])
    with (tmp_path / "mine.tar").open("wb") as file:
        engine.images.save(["mine"], file)
    engine.images.rm("mine", force=True)
    layout = tmp_path / "layout"
    command = ["skopeo", "copy", "--quiet", f"docker-archive:{tmp_path}/mine.tar", f"oci:{layout}:1.0"]
    subprocess.run(command, check=True)
    digest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    text = "FROM base\nRUN cat /mine\nCOPY --from=base /mine /copy\nRUN cat /copy\n"
    context, before = str(dockerfile(tmp_path / "c", text)), engine.images.ls()
    for address in (f"oci-layout://{layout}:1.0", f"oci-layout://{layout}@{digest}"):
        _, console = build(engine, "--no-cache", "--pull", "--build-context", f"base={address}", context)
        assert said(console) == "layout\nlayout\n"
    named = [image.references for image in engine.images.ls() if image.references]
    assert named == [image.references for image in before if image.references], "no name came with it"
    with pytest.raises(InvalidManifest, match=r"oci-layout:///.*: the OCI layout has no image latest; it has 1\.0"):
        build(engine, "--build-context", f"base=oci-layout://{layout}", context)
    with pytest.raises(InvalidManifest, match=r"there is no OCI layout: index\.json is missing"):
        build(engine, "--build-context", f"base=oci-layout://{tmp_path}", context)
    with pytest.raises(DockerfileError, match="oci-layout"):
        engine.build(f"FROM oci-layout://{layout}:1.0\n")
    assert list(engine.workspaces.directory.iterdir()) == []


def test_contexts_that_are_not_used_are_not_fetched(engine: Engine, tmp_path: Path) -> None:
    text = "FROM busybox\nRUN echo no files\n"
    nowhere = "http://127.0.0.1:1/x.tar"
    engine.build(text, context=nowhere, build_contexts={"lib": nowhere, "dir": tmp_path / "none"})
    with pytest.raises(DockmagicError, match=r"127\.0\.0\.1"):
        engine.build("FROM busybox\nCOPY a /\n", context=nowhere)
    missing = tmp_path / "not-there"
    image = engine.build("FROM busybox\nENV A=1\n", context=missing)
    assert image.config.config.env_map()["A"] == "1"


def test_no_warning_where_all_is_used(engine: Engine, source: Path) -> None:
    assert warned(build(engine, str(source))[1]) == []
