"""Two builds of the same inputs, elsewhere, later, and with the files in another order, give the same bytes."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.oci.digest import Digest
from tests.integration.build_words import build, dockerfile

pytestmark = pytest.mark.root
EPOCH_S = 1_700_000_000
TEXT = """\
FROM busybox AS tools
WORKDIR /made/by/workdir
RUN mkdir -p sub/deep && for i in 5 3 1 4 2; do echo $i > sub/$i; done && ln sub/1 sub/deep/hard && ln -s 1 sub/soft
RUN rm -r /etc/gone; chmod 700 /etc; date > /stamp-not-kept; rm /stamp-not-kept; touch -d @86400 /old
COPY <<one <<two /here/
first
one
second
two

FROM busybox
ARG SOURCE_DATE_EPOCH
ENV A=1
RUN mkdir -p /etc/gone /opt/big && touch /etc/gone/file && echo $SOURCE_DATE_EPOCH > /epoch
RUN truncate -s 300k /sparse && echo end >> /sparse
RUN rm -rf /opt/big /etc/gone/file && mkdir /opt/big && touch /opt/big/new && mv /home /house || mv /root /house
COPY --from=tools /made /made
COPY --from=tools --chown=3:4 /here /old /mixed/
COPY tree /tree/
COPY --link tree/b /linked/
ADD tree.tar.gz /unpacked/
RUN <<end
#!/bin/sh
set -e
cd /tree
rm -r dir
echo more >> b
mkfifo fifo
end
RUN --mount=type=cache,target=/var/cache/x --mount=type=bind,source=tree,target=/mnt/bound ls /mnt/bound > /listing
USER 1000:1000
WORKDIR /tmp/mine
RUN echo x > file
LABEL a=b
"""


def context(directory: Path, names: list[str], mtime_s: int) -> Path:
    """A context whose files were made in this order; nothing but times of directories tells it from others."""
    dockerfile(directory, TEXT)
    (directory / "tree/dir").mkdir(parents=True)
    for name in names:
        (directory / "tree" / name).write_text(name)
        (directory / "tree/dir" / name).write_text(name)
        for path in (directory / "tree" / name, directory / "tree/dir" / name):
            os.utime(path, (mtime_s, mtime_s))
    with tarfile.open(directory / "tree.tar.gz", "w:gz") as archive:
        for name in ("x/one", "x/two", "y/three"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(name), 1_600_000_000
            archive.addfile(info, io.BytesIO(name.encode()))
    return directory


def export(engine: Engine, directory: Path, *words: str, epoch: bool = True) -> tuple[str, bytes]:
    """The manifest's digest, and the bytes of the archives, of a build that is to be reproduced."""
    engine.images.bootstrap("busybox")
    dests = {kind: directory.with_suffix(f".{kind}") for kind in ("oci", "docker", "tar")}
    outputs = [word for kind, dest in dests.items() for word in ("-o", f"type={kind},dest={dest}")]
    times = ["--build-arg", f"SOURCE_DATE_EPOCH={EPOCH_S}", "--rewrite-timestamp"] if epoch else []
    image, _ = build(engine, *times, *outputs, *words, str(directory))
    return image.manifest_digest, b"".join(dest.read_bytes() for dest in dests.values())


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory on a file system that lists its files in another order than the usual ones."""
    with tempfile.TemporaryDirectory(prefix="dockmagic-test-", dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.fixture
def narrow_mask() -> Iterator[Callable[[], None]]:
    """What makes new files private until the end of the test."""
    before = os.umask(0o022)
    yield lambda: (os.umask(0o077), None)[1]
    os.umask(before)


def test_two_state_roots_give_the_same_bytes(
    engine: Engine, tmp_path: Path, in_memory: Path, narrow_mask: Callable[[], None]
) -> None:
    names = ["b", "a", "d", "c"]
    first = export(engine, context(tmp_path / "first", names, EPOCH_S + 5000))
    later = context(tmp_path / "second/in/a/deeper/place", names[::-1], EPOCH_S + 9000)
    time.sleep(1.1)
    narrow_mask()
    with Engine(in_memory / "elsewhere") as other:
        second = export(other, later, "--no-cache")
    assert second[0] == first[0]
    assert second[1] == first[1]
    assert export(engine, tmp_path / "first") == first
    assert export(engine, tmp_path / "first", "--no-cache") == first
    with tarfile.open(tmp_path / "first.tar") as archive:
        assert {member.mtime for member in archive} == {EPOCH_S}


def test_new_layers_hold_nothing_younger(engine: Engine, tmp_path: Path) -> None:
    export(engine, context(tmp_path / "c", ["a", "b"], EPOCH_S + 5000), "-t", "made")
    image = engine.images.get("made")
    base = len(engine.images.get("busybox").config.diff_ids)
    times = {member.mtime for layer in image.manifest.layers[base:] for member in members(engine, layer.digest)}
    assert max(times) == EPOCH_S
    assert 86400 in times
    assert image.config.created == "2023-11-14T22:13:20Z"
    assert {line.created for line in image.config.history[1:]} == {image.config.created}


def members(engine: Engine, digest: Digest) -> list[tarfile.TarInfo]:
    """What a layer's blob holds."""
    with tarfile.open(engine.store.blob_path(digest)) as archive:
        return archive.getmembers()


def test_a_step_on_nothing_leaves_only_what_it_made(engine: Engine, tmp_path: Path) -> None:
    text = "FROM scratch\nCOPY --from=busybox /bin /bin\nWORKDIR /w\nRUN echo x > x\n"
    first = export(engine, dockerfile(tmp_path / "c", text), "-t", "made")
    assert [member.name for member in members(engine, engine.images.get("made").manifest.layers[-1].digest)] == [
        "w", "w/x",
    ]  # fmt: skip
    time.sleep(1.1)
    assert export(engine, tmp_path / "c", "--no-cache", "-t", "made") == first


def test_without_a_time_only_times_differ(engine: Engine, tmp_path: Path) -> None:
    directory = dockerfile(tmp_path / "c", "FROM busybox\nRUN echo x > /x\n")
    first = export(engine, directory, epoch=False)
    time.sleep(1.1)
    assert export(engine, directory, epoch=False) == first
    assert export(engine, directory, "--no-cache", epoch=False) != first


def test_what_was_built_without_a_time_has_no_part_in_it(engine: Engine, tmp_path: Path) -> None:
    directory = dockerfile(tmp_path / "c", "FROM busybox\nRUN echo x > /x\n")
    export(engine, directory, epoch=False)
    time.sleep(1.1)
    second = export(engine, directory)
    with Engine(tmp_path / "elsewhere") as other:
        assert export(other, directory) == second
