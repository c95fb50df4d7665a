"""Two builds of the same inputs, elsewhere, later, and with the files in another order, give the same bytes."""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from dockmagic.engine import Engine
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


def export(engine: Engine, directory: Path, *words: str) -> tuple[str, bytes]:
    """The manifest's digest, and the bytes of the archive, of a build with everything made anew."""
    engine.images.bootstrap("busybox")
    dest = directory.with_suffix(".tar")
    epoch = ("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH_S}")
    image, _ = build(engine, *epoch, "--no-cache", "-o", f"type=oci,dest={dest},rewrite-timestamp=true", *words,
                     str(directory))  # fmt: skip
    return image.manifest_digest, dest.read_bytes()


def test_two_state_roots_give_the_same_bytes(engine: Engine, tmp_path: Path) -> None:
    names = ["b", "a", "d", "c"]
    first = export(engine, context(tmp_path / "first", names, EPOCH_S + 5000))
    time.sleep(1.1)
    with Engine(tmp_path / "elsewhere") as other:
        later = context(tmp_path / "second/in/a/deeper/place", names[::-1], EPOCH_S + 9000)
        second = export(other, later)
    assert second[0] == first[0]
    assert second[1] == first[1]
