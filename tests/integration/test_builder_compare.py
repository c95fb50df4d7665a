from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.reference import Reference
from tests.integration.builder_peers import Buildah, chroot_runner, make_base, make_context, our_tree
from tests.unit.builder.lab import Lab
from tests.unit.image.fake_server import Reply, serving

pytestmark = pytest.mark.root

BASE = "localhost/base"


def _archive() -> bytes:
    """A tar with owners, a link, a hard link, a directory that is there already and one that only its files name."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, mode, text in (
            ("t", tarfile.DIRTYPE, 0o750, ""),
            ("t/file", tarfile.REGTYPE, 0o4755, "from the archive"),
            ("t/link", tarfile.SYMTYPE, 0o777, "file"),
            ("t/hard", tarfile.LNKTYPE, 0o4755, "t/file"),
            ("implied/deep/x", tarfile.REGTYPE, 0o600, "x"),
            ("fifo", tarfile.FIFOTYPE, 0o640, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = kind, mode, 1_000_000_000
            member.uid, member.gid = 1000, 50
            member.linkname = text if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            content = text.encode() if kind == tarfile.REGTYPE else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


@dataclass(frozen=True)
class Case:
    name: str
    dockerfile: str
    files: dict[str, str | bytes] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    args: dict[str, str] = field(default_factory=dict)


CASES = (
    Case(
        "tutorial",
        """
        WORKDIR /app
        COPY ./ ./
        ENV WHO=world
        RUN echo "built by $WHO" > built.txt
        CMD ["sh", "-c", "echo hello $WHO; cat built.txt"]
        """,
        {"a.txt": "a", "sub/b.txt": "b", "run.sh|755": "#!/bin/sh\n", "empty/": ""},
    ),
    Case(
        "contents not the directory",
        """
        COPY d /one
        COPY d/ /two/
        COPY d /etc
        COPY d/inner /three/four/
        """,
        {"d/x": "x", "d/inner/y": "y", "d/inner/|700": "", "d/.hidden": "h"},
    ),
    Case(
        "files and slashes",
        """
        COPY a b /dir/
        COPY a /newname
        COPY a /deep/er/newname
        COPY a /tmp
        COPY a /etc/old
        COPY ["with space", "/dir/with space"]
        """,
        {"a|600": "a", "b|755": "b", "with space": "s"},
    ),
    Case(
        "wildcards",
        r"""
        COPY *.txt /txt/
        COPY s?b/*.c /c/
        COPY d*/ /dirs/
        """,
        {"a.txt": "a", "b.txt": "b", "no.c": "n", "sub/m.c": "m", "sub/n.h": "h", "d1/f": "1"},
    ),
    Case(
        "links in the context",
        """
        COPY d /d
        COPY link /followed
        COPY dirlink /fromdirlink/
        COPY dirlink/f /through
        """,
        {
            "d/f": "f",
            "d/l": "-> f",
            "d/broken": "-> nowhere",
            "d/abs": "-> /etc/passwd",
            "link": "-> d/f",
            "dirlink": "-> d",
        },
    ),
    Case(
        "links in the image",
        """
        COPY a /data/
        COPY d /data/
        WORKDIR /data/sub
        COPY a .
        RUN ln -s /srv/data /etc/way && ln -s ../../etc /srv/back
        COPY a /etc/way/again
        COPY a /srv/back/here
        """,
        {"a": "a", "d/x": "x"},
    ),
    Case(
        "copy-up of directories",
        """
        COPY a /srv/data/new
        COPY d /
        RUN stat -c %a /srv/data
        """,
        {"a": "a", "d/var/lib/f": "f", "d/root/secret|600": "s"},
    ),
    Case(
        "hard links and modes",
        """
        COPY . /all/
        """,
        {"one": "same", "two": "= one", "sub/three": "= one", "exec|711": "s", "sticky/|1777": ""},
    ),
    Case(
        "chown and chmod",
        """
        COPY --chown=bob a /o/bob
        COPY --chown=bob:staff d /o/d
        COPY --chown=7:8 a /o/seven
        COPY --chown=9 a /nine/
        COPY --chmod=751 a /o/mode
        """,
        {"a": "a", "d/x": "x", "d/e/": ""},
    ),
    Case(
        "dockerignore",
        """
        COPY . /c/
        """,
        {
            ".dockerignore": "*.log\n!keep.log\nsecret\nvendor/*\n!vendor/one\n**/cache\n# comment\n",
            "a.log": "",
            "keep.log": "k",
            "secret/x": "x",
            "vendor/one/f": "1",
            "vendor/two/f": "2",
            "deep/er/cache/f": "c",
            "deep/er/file": "f",
            "Dockerfile.x": "d",
        },
    ),
    Case(
        "archives",
        """
        ADD plain.tar /plain/
        ADD gz.tar.gz /gz
        ADD misnamed /bz/
        ADD x.tar.xz /srv
        ADD notes.tar /notes/
        COPY plain.tar /copied/
        """,
        {
            "plain.tar": _archive(),
            "gz.tar.gz": gzip.compress(_archive()),
            "misnamed": bz2.compress(_archive()),
            "x.tar.xz": lzma.compress(_archive()),
            "notes.tar": "not an archive at all",
        },
    ),
    Case(
        "metadata",
        """
        ENV A=1 B="two words" C=$A
        ENV legacy a b  c
        ENV A=changed
        LABEL k=v "quoted key"="x y" env=$A
        EXPOSE 80 443/tcp 5000/udp
        VOLUME /v1 ["/v2"]
        VOLUME ["/v3", "/v 4"]
        STOPSIGNAL SIGUSR1
        USER bob:staff
        WORKDIR work
        WORKDIR ../elsewhere/$A
        ENTRYPOINT ["/bin/echo", "-n"]
        CMD hello $A
        HEALTHCHECK --interval=30s --timeout=3s --retries=2 CMD test -f /x
        MAINTAINER somebody
        """,
    ),
    Case(
        "arguments",
        """
        ARG A=default
        ARG B
        ARG C=c-$A
        ENV C=env
        RUN echo "$A,$B,$C" > /values
        LABEL b=$B a=${A:-x} n=${nothing:-none}
        """,
        flags=("--build-arg", "B=given"),
        args={"B": "given"},
    ),
    Case(
        "entry point resets the base's command",
        """
        ENTRYPOINT exec echo
        SHELL ["/bin/sh", "-ec"]
        RUN echo hi > /shell
        """,
    ),
    Case(
        "stages",
        f"""
        AS first
        RUN mkdir -p /out/sub && echo made > /out/made && chown 1000:50 /out/made && ln -s made /out/link && rm /etc/old
        WORKDIR /out
        FROM {BASE} AS unneeded
        RUN exit 1
        FROM first AS second
        RUN echo more > more && rm -r /out/sub && mkdir /out/sub && echo new > /out/sub/new
        FROM {BASE}
        COPY --from=second /out /copied/
        COPY --from=0 /out/made /one
        COPY --from=second /out/link /followed
        COPY --from={BASE} /etc/old /from-image
        """,
    ),
    Case(
        "removals",
        """
        RUN rm -r /srv && rm /etc/old && mkdir /srv && echo 1 > /srv/one
        COPY a /srv/data/a
        RUN rm /srv/one
        COPY a /etc/old
        """,
        {"a": "a"},
    ),
)


class Bench:
    """Our builder and buildah, with the same base image."""

    def __init__(self, directory: Path) -> None:
        root = directory / "base"
        root.mkdir()
        make_base(root)
        config = ContainerConfig(env=("PATH=/bin",), cmd=("sh",))
        (directory / "peer").mkdir()
        self.peer = Buildah(directory / "peer")
        dockerfile = directory / "Dockerfile.base"
        dockerfile.write_text('FROM scratch\nADD base.tar /\nENV PATH=/bin\nCMD ["sh"]\n')
        context = directory / "basecontext"
        context.mkdir()
        with tarfile.open(context / "base.tar", "w") as tar:
            tar.add(root, ".")
        self.peer.call("bud", "-q", "--format", "docker", "-t", BASE, "-f", str(dockerfile), str(context))
        self.lab = Lab(directory / "state", chroot_runner)
        with self.lab.workspaces.new() as workspace:
            root.rename(workspace / "upper")
            layer = self.lab.snapshots.commit(None, workspace / "upper")
        image = ImageConfig("amd64", "linux", config, (layer.diff_id,))
        self.lab.store.add_image(image, [layer.descriptor], references=[Reference.parse(BASE)])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    yield bench
    assert bench.lab.left() == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_image_is_the_one_that_buildah_builds(case: Case, bench: Bench, tmp_path: Path) -> None:
    text = f"FROM {BASE}{_dedented(case.dockerfile)}"
    context = make_context(tmp_path / "context", case.files)
    image = bench.lab.build(text, context, args=case.args)
    config, tree = bench.peer.build(text, context, case.flags)
    assert our_tree(image, bench.lab.snapshots, tmp_path) == tree
    assert _comparable(image.config.config) == _comparable_json(config)


def test_downloads_and_named_contexts_are_those_of_buildah(bench: Bench, tmp_path: Path) -> None:
    lib, context = (make_context(tmp_path / name, {"x|640": "x", "d/y": "y"}) for name in ("lib", "context"))
    with serving() as server:
        body = Reply(200, b"body", {"Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT"})
        server.routes = {"/a/f.txt": body, "/a/g": body}
        text = f"""
        ADD {server.url}/a/f.txt /one/
        ADD {server.url}/a/f.txt /two
        ADD --chown=1:2 {server.url}/a/f.txt {server.url}/a/g x /three/
        COPY --from=lib . /lib/
        COPY --from=lib d/y /
        """
        text = f"FROM {BASE}{_dedented(text)}"
        image = bench.lab.build(text, context, contexts={"lib": lib})
        _, tree = bench.peer.build(text, context, (f"--build-context=lib={lib}",))
    assert our_tree(image, bench.lab.snapshots, tmp_path) == tree


def _dedented(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    first = "" if lines[0].startswith("AS ") else "\n"
    return f"{first or ' '}{chr(10).join(lines)}\n"


def _comparable(config: ContainerConfig) -> dict[str, Any]:
    health = config.healthcheck
    return {
        "user": config.user,
        "env": list(config.env),
        "cmd": list(config.cmd or ()),
        "entrypoint": list(config.entrypoint or ()),
        "workdir": config.working_dir,
        "ports": sorted(config.exposed_ports),
        "volumes": sorted(config.volumes),
        "labels": dict(config.labels),
        "signal": config.stop_signal,
        "shell": list(config.shell or ()),
        "health": None if health is None else [list(health.test), health.interval, health.timeout, health.retries],
    }


def _comparable_json(config: dict[str, Any]) -> dict[str, Any]:
    health = config.get("Healthcheck")
    labels = {key: value for key, value in (config.get("Labels") or {}).items() if key != "io.buildah.version"}
    return {
        "user": config.get("User", ""),
        "env": config.get("Env") or [],
        "cmd": config.get("Cmd") or [],
        "entrypoint": config.get("Entrypoint") or [],
        "workdir": config.get("WorkingDir", ""),
        "ports": sorted(config.get("ExposedPorts") or {}),
        "volumes": sorted(config.get("Volumes") or {}),
        "labels": labels,
        "signal": config.get("StopSignal", ""),
        "shell": config.get("Shell") or [],
        "health": health
        and [health["Test"], health.get("Interval", 0), health.get("Timeout", 0), health.get("Retries", 0)],
    }
