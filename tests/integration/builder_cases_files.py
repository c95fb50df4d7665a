"""Dockerfiles that our builder and buildah have to make the same of: COPY, ADD and .dockerignore."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile

from tests.integration.builder_cases import Case


def archive(*extra: tuple[str, bytes, int, str]) -> bytes:
    """A tar with owners, a link, a hard link, a directory that is there already and one that only its files name.

    `extra` are more entries: name, type, mode, and content or link.
    """
    data = io.BytesIO()
    members = (
        ("t", tarfile.DIRTYPE, 0o750, ""),
        ("t/file", tarfile.REGTYPE, 0o4755, "from the archive"),
        ("t/link", tarfile.SYMTYPE, 0o777, "file"),
        ("t/hard", tarfile.LNKTYPE, 0o4755, "t/file"),
        ("implied/deep/x", tarfile.REGTYPE, 0o600, "x"),
        ("fifo", tarfile.FIFOTYPE, 0o640, ""),
    )
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, mode, text in (*members, *extra):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = kind, mode, 1_000_000_000
            member.uid, member.gid = 1000, 50
            member.linkname = text if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            content = text.encode() if kind == tarfile.REGTYPE else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


TREE = {
    "d/a": "a",
    "d/sub/b": "b",
    "d/sub/deep/c": "c",
    "d/.hidden": "h",
    "d/empty/|750": "",
    "x.txt": "x",
    "y.md": "y",
}

COPY = (
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
        "relative destinations",
        """
        COPY x.txt .
        WORKDIR /w/x
        COPY x.txt .
        COPY x.txt ./
        COPY x.txt ../up
        COPY d sub
        COPY d ./slash/
        COPY . ../../all
        COPY ./d/./sub/ /cleaned
        COPY /x.txt /y.md /absolute/
        COPY x.txt /w/../dots/../there
        """,
        TREE,
    ),
    Case(
        "a source doesn't leave the context",
        "COPY ../x.txt /a\nCOPY ../../d/../x.txt /b\nCOPY d/../../../x.txt /c\n",
        {"x.txt": "x", "d/a": "a"},
    ),
    Case(
        "all of a context", "COPY . /\n", {"etc/new": "n", "srv/data/x": "x", "a": "a", "root/|755": "", "var/f": "f"}
    ),
    Case("directories and files together", "COPY d x.txt y.md /to/\nCOPY x.txt d/sub /to/there/\n", TREE),
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
        "wildcards for directories, classes and hidden files",
        r"""
        COPY * /all/
        COPY d[12] /both/
        COPY [a-b].txt /class/
        COPY */f /deep/
        COPY d1/* /below/
        COPY x* /single
        """,
        {"a.txt": "a", "b.txt": "b", "c.txt": "c", "d1/f": "1", "d2/f": "2", "d1/g/h": "h", ".dot": ".", "xy": "x"},
    ),
    Case(
        "names that look like patterns",
        r"""
        COPY arr[[]0].txt /a/arr-0
        COPY ["with space", "ünï", "/b/"]
        """,
        {"arr[0].txt": "0", "arr-0": "0", "with space": "s", "ünï": "u"},
        peer='FROM BASE\nCOPY arr-0 /a/\nCOPY ["with space", "ünï", "/b/"]\n',
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
        "wildcards for links",
        "COPY l* /l/\nCOPY d/* /below/\n",
        {"target": "t", "link": "-> target", "ldir": "-> d", "d/f": "f", "d/l": "-> f"},
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
        "a link in the image that leads nowhere yet",
        "RUN ln -s /late /early && ln -s up/down /tmp/rel\nCOPY a /early/\nCOPY d /tmp/rel\nCOPY a /tmp/rel/a\n",
        {"a": "a", "d/x": "x"},
    ),
    Case(
        "a link at the end is followed",
        "RUN ln -s /etc/old /toold && ln -s /etc/fresh /tofresh\nCOPY a /toold\nCOPY a /tofresh\n",
        {"a": "a"},
        differences=dict.fromkeys(("toold", "etc/old", "etc/fresh", "etc/fresh/a"), "last-link"),
    ),
    Case(
        "links and files that meet a file",
        """
        RUN mkdir /t && echo 1 > /t/f && ln -s f /t/l && ln -s /etc/old /t/m && mkfifo /t/p
        COPY d /t
        """,
        {"d/f": "-> elsewhere", "d/l": "new", "d/m|600": "new too", "d/p": "no pipe"},
    ),
    Case(
        "directories that are there keep nothing of their own mode",
        "RUN mkdir -p /t/s/u && chmod 700 /t/s && chown 5:6 /t/s/u\nCOPY d /t\n",
        {"d/s/|755": "", "d/s/u/|711": "", "d/s/u/x": "x"},
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
        "modes and attributes",
        "COPY d /d/\nCOPY d/suid d/noted /\n",
        {
            "d/suid|4755": "s",
            "d/sgid|2711": "g",
            "d/sticky|1644": "t",
            "d/none|0": "n",
            "d/noted|644|user.note=hello": "x",
            "d/dir/|2755|user.kind=directory": "",
        },
        differences=dict.fromkeys(("suid", "d/suid", "d/sgid", "d/dir"), "set-id"),
    ),
    Case(
        "pipes and empty things", "COPY d /d\n", {"d/pipe|640": "fifo", "d/empty": "", "d/e/f/g/": "", "d/e/h/|700": ""}
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
        "chown of all forms",
        """
        COPY --chown=bob:7 d /a
        COPY --chown=7:staff d /b
        COPY --chown=1000 d /c
        COPY --chown=root:root d /d
        ENV WHO=bob
        COPY --chown=$WHO a /e/
        USER bob
        COPY a /f/
        COPY --chown=3:4 a /tmp/g
        """,
        {"a": "a", "d/x": "x", "d/e/": "", "d/l": "-> x"},
    ),
    Case(
        "chmod of directories",
        "COPY --chmod=700 d /a\nCOPY --chmod=0644 --chown=5:6 a b /b/\nADD --chmod=4711 a /c\n",
        {"a|755": "a", "b|600": "b", "d/x": "x", "d/e/y|755": "y", "d/l": "-> x"},
    ),
    Case(
        "over what is there",
        "COPY a /etc/old\nCOPY b /etc/old\nCOPY d /etc\nRUN cat /etc/old > /seen\n",
        {"a": "a", "b|600": "b", "d/old|755": "from d"},
    ),
)

ADD = (
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
            "plain.tar": archive(),
            "gz.tar.gz": gzip.compress(archive()),
            "misnamed": bz2.compress(archive()),
            "x.tar.xz": lzma.compress(archive()),
            "notes.tar": "not an archive at all",
        },
    ),
    Case(
        "archives among files",
        """
        ADD one.tar two.tgz file.txt d /all/
        ADD d /dir
        ADD *.tar /wild/
        ADD link /link/
        ADD text.gz /text/
        """,
        {
            "one.tar": archive(),
            "two.tgz": gzip.compress(archive()),
            "file.txt": "f",
            "d/inner.tar": archive(),
            "link": "-> one.tar",
            "text.gz": gzip.compress(b"no archive"),
        },
    ),
    Case(
        "an archive over what is there",
        "RUN mkdir -p /x/t && chmod 700 /x/t && echo 1 > /x/t/file && ln -s t /x/way\nADD a.tar /x\n",
        {"a.tar": archive(("way/through", tarfile.REGTYPE, 0o644, "1"), ("etc", tarfile.DIRTYPE, 0o700, ""))},
    ),
    Case(
        "owners of what is in an archive",
        "ADD --chown=7:8 a.tar /given/\nADD a.tar /own/\n",
        {"a.tar": archive()},
        differences={
            f"given/{name}": "archive-owners"
            for name in ("t", "t/file", "t/link", "t/hard", "implied", "implied/deep", "implied/deep/x", "fifo")
        },
    ),
    Case(
        "an archive that changes its mind",
        "ADD a.tar /x/\n",
        {
            "a.tar": archive(
                ("twice", tarfile.REGTYPE, 0o644, "1"),
                ("twice", tarfile.REGTYPE, 0o600, "22"),
                ("f", tarfile.REGTYPE, 0o644, "1"),
                ("f", tarfile.SYMTYPE, 0o777, "twice"),
                ("./dot/./name", tarfile.REGTYPE, 0o644, "d"),
            )
        },
    ),
    Case("adding is copying", "ADD d x.txt /to/\nADD x.txt /as\nADD --chown=bob d/sub /sub\n", TREE),
)

IGNORED = (
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
    Case("ignore all but some", "COPY . /c/\n", {**TREE, ".dockerignore": "*\n!d/sub\n!x.txt\nd/sub/deep\n"}),
    Case(
        "the last rule that matches counts",
        "COPY . /c/\n",
        {**TREE, ".dockerignore": "!d\nd\n!d/a\n*.md\n!y.md\n*.md\n"},
    ),
    Case(
        "spellings of rules",
        "COPY . /c/\n",
        {**TREE, ".dockerignore": "/x.txt\n./d/sub/\n  y.md  \n\n#d\n**/.hid?en\n"},
    ),
    Case(
        "rules for any depth",
        "COPY . /c/\n",
        {**TREE, "d/q.txt": "q", ".dockerignore": "**/*.txt\n**/deep/**\n!d/*.txt\n"},
    ),
    Case(
        "part of a directory is ignored",
        "COPY d /d\nCOPY d/sub /s\n",
        {**TREE, ".dockerignore": "d/sub/deep\nd/[.]hidden\n"},
    ),
    Case(
        "files with rules of their own",
        "COPY . /c/\n",
        {**TREE, ".dockerignore": ".dockerignore\nDockerfile\n", "Dockerfile": "d"},
    ),
    Case("an ignored file in a wildcard", "COPY *.* /c/\n", {**TREE, ".dockerignore": "*.md\n.dockerignore\n"}),
)
