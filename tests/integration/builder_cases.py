"""Dockerfiles that our builder and buildah have to make the same of: what ends up in the config, stages and mounts.

BASE stands for the image that both have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A build. `bases` are images to make first, by name; `peer` is how buildah has to be told the same.

    `differences` are the places where it comes to something else, each with the key of REASONS that says why: paths,
    or "config" and a field's name.
    """

    name: str
    dockerfile: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    peer: str | None = None
    differences: Mapping[str, str] = field(default_factory=dict)


REASONS = {
    "env-place": "BuildKit leaves a variable of the base that is set anew in its place; buildah puts it last",
    "by-command": "buildah copies the file, keeping its time; here a command writes it",
    "new": "buildah has no here-documents and copies a file of the context; a document's file is new",
    "volume-directories": "buildah makes a volume's directory; BuildKit leaves that to the container",
    "volume": "buildah throws away what later steps change in a volume; BuildKit keeps it",
    "escape": "buildah takes a backslash for the escape character of values whatever the directive says",
    "shell": "buildah runs CMD and ENTRYPOINT by /bin/sh -c whatever SHELL says",
    "port-ranges": "buildah writes a range of ports as one port; BuildKit expands it",
    "scratch-directory": "BuildKit begins scratch with the working directory /",
    "last-link": "BuildKit follows a link that is the destination itself; buildah replaces it, or makes a directory",
    "set-id": "buildah takes setuid and setgid from files of the context; BuildKit keeps them",
    "archive-owners": "buildah gives --chown to an archive's directory only; BuildKit since 0.23 to all in it",
}
"""Why a result differs from buildah's, by the key that a case's `differences` name."""

CONFIG = (
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
        "order and quotes of variables",
        r"""
        ENV Z=1 A=2 M="x y" N='single $A' O=d\ b Q="a\"b" EMPTY=
        ENV PATH=/x:$PATH
        ENV Y=last A=again
        RUN env | grep -v -e ^HOME -e ^HOSTNAME -e ^SHLVL -e ^container | sort > /env
        """,
        differences={"config Env": "env-place"},
    ),
    Case(
        "one variable by the old form",
        """
        ENV K a b c
        ENV Q "quoted words"
        ENV T   spaces   inside
        ENV S it is $K
        """,
    ),
    Case(
        "an instruction sees the values before it",
        """
        ENV abc=hello
        ENV abc=bye def=$abc
        ENV ghi=$abc
        LABEL abc=$abc def=$def ghi=$ghi
        """,
    ),
    Case(
        "forms of variables",
        r"""
        ENV SET=value EMPTY=
        LABEL a=${SET} b=${SET}x c=${NO:-word} d=${EMPTY:-word} e=${SET:+other} f=${NO:+other} g=\$SET h=${NO:-$SET}
        LABEL i='$SET' j="$SET $SET" k=$SET-$SET l=${NO:-} m=$NO.
        """,
    ),
    Case(
        "variables in every instruction",
        """
        ENV DIR=/d PORT=8080 SIG=SIGTERM WHO=bob FILE=a
        WORKDIR $DIR
        EXPOSE $PORT ${PORT}/udp
        STOPSIGNAL $SIG
        VOLUME $DIR/v
        COPY $FILE ${DIR}/copied-$FILE
        ADD $FILE $DIR/added/
        RUN echo $DIR > /said
        USER $WHO
        CMD echo $DIR
        """,
        {"a": "a"},
        differences={"d/v": "volume-directories"},
    ),
    Case(
        "escape is a backtick",
        """
        # escape=`
        FROM BASE
        RUN echo one `
          two > /out
        ENV A=a`$b C=c\\d
        """,
        differences={"config Env": "escape"},
    ),
    Case(
        "comments, blank lines and small letters",
        """
        # a comment
        run echo one \\
            # not the end

            && echo two > /two
        Env A=b
        cmd echo # no comment
        """,
    ),
    Case("the last command wins", 'CMD ["a"]\nCMD ["b", "c d"]\nENTRYPOINT ["x"]\nENTRYPOINT ["y", "z"]\n'),
    Case("a command before its entry point stays", 'CMD ["kept"]\nENTRYPOINT ["/bin/echo"]\n'),
    Case(
        "entry point resets the base's command",
        """
        ENTRYPOINT exec echo
        SHELL ["/bin/sh", "-ec"]
        RUN echo hi > /shell
        """,
    ),
    Case("an empty entry point and command", 'ENTRYPOINT ["/bin/echo"]\nCMD ["x"]\nENTRYPOINT []\nCMD []\n'),
    Case("what is no JSON is for the shell", "CMD ['a', 'b']\nENTRYPOINT [ \"a\", b ]\n"),
    Case(
        "a shell for everything after it",
        """
        RUN echo $0 > /before
        SHELL ["/bin/sh", "-e", "-c"]
        RUN false; echo not reached > /no || true
        ENTRYPOINT exec x
        CMD run y
        HEALTHCHECK CMD test z
        """.replace("RUN false; echo not reached > /no || true", "RUN (false; echo on > /on) || echo failed > /failed"),
        differences={"config Cmd": "shell", "config Entrypoint": "shell"},
    ),
    Case(
        "health checks",
        """
        HEALTHCHECK CMD ["a", "b"]
        HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=10s --retries=7 CMD ["test", "-f", "/x"]
        """,
    ),
    Case("no health check", "HEALTHCHECK CMD true\nHEALTHCHECK NONE\n"),
    Case(
        "a health check comes from the base",
        "FROM checked\nRUN true\n",
        bases={"checked": "FROM BASE\nHEALTHCHECK --interval=5s CMD true\nEXPOSE 1\nLABEL a=1 b=2\nSTOPSIGNAL 9\n"},
    ),
    Case(
        "ports",
        "EXPOSE 8000-8002 53/udp 53 53/tcp\nEXPOSE 8001/tcp 9000-9001/udp\n",
        differences={"config ExposedPorts": "port-ranges"},
    ),
    Case("labels", 'LABEL a=1 b="two words" c=\'$x\'\nLABEL a=changed \\\n  d="x y"\nLABEL e "old form"\n'),
    Case("a signal by its number", "STOPSIGNAL 15\n"),
    Case(
        "what a base says is taken over",
        'FROM full\nENV MORE=1\nLABEL b=2\nRUN pwd > /tmp/where; id -u > /tmp/who\nCMD ["new"]\n',
        bases={
            "full": "FROM BASE\nENV A=1 B=2\nWORKDIR /srv/data\nUSER bob\nVOLUME /vol\nEXPOSE 1/udp\nLABEL a=1\n"
            'ENTRYPOINT ["/bin/sh"]\nCMD ["old"]\nSTOPSIGNAL SIGINT\n'
        },
        differences={"vol": "volume-directories"},
    ),
    Case(
        "users",
        """
        USER 1000
        RUN id -u > /tmp/a; id -g >> /tmp/a
        USER bob
        RUN id -u > /tmp/b; id -g >> /tmp/b
        USER 1000:50
        RUN id -u > /tmp/c; id -g >> /tmp/c
        COPY a /tmp/copied
        USER root
        RUN id -u > /tmp/d
        USER nobody-here
        """,
        {"a": "a"},
    ),
    Case(
        "directories to work in",
        """
        WORKDIR /a
        WORKDIR b/
        WORKDIR ./c/../d
        RUN pwd > here
        WORKDIR /data/sub
        RUN pwd > /where
        COPY a .
        USER bob
        WORKDIR /new/of/bob
        """,
        {"a": "a"},
    ),
    Case(
        "a directory is entered for one command", "RUN cd /tmp && touch x\nRUN pwd > /pwd\nWORKDIR /tmp\nRUN touch y\n"
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
        options={"build_args": {"B": "given"}},
    ),
    Case(
        "which argument counts",
        """
        ARG BASE_NAME=nothing
        ARG V=global
        FROM $BASE_NAME
        RUN echo "before [$V]" > /before
        ARG V
        RUN echo "redeclared [$V]" > /redeclared
        ARG V=stage
        RUN echo "default [$V]" > /default
        ARG G=default
        ENV G=env
        ARG G=again
        RUN echo "$G" > /g
        ENV FROM_ARG=$V
        """.replace("BASE_NAME", "IMAGE"),
        flags=("--build-arg", "IMAGE=localhost/base", "--build-arg", "G=given"),
        options={"build_args": {"IMAGE": "localhost/base", "G": "given"}},
    ),
    Case(
        "arguments end with their stage",
        """
        FROM BASE AS one
        ARG A=1
        RUN echo "[$A]" > /a
        FROM BASE
        RUN echo "[$A]" > /b
        COPY --from=one /a /a
        """,
    ),
    Case(
        "proxies need no ARG",
        "RUN echo $HTTP_PROXY $no_proxy > /proxies\n",
        flags=("--build-arg", "HTTP_PROXY=http://p", "--build-arg", "no_proxy=x"),
        options={"build_args": {"HTTP_PROXY": "http://p", "no_proxy": "x"}},
    ),
    Case(
        "the platform's arguments",
        """
        ARG TARGETPLATFORM
        ARG TARGETOS
        ARG TARGETARCH
        ARG BUILDARCH
        RUN echo $TARGETPLATFORM $TARGETOS $TARGETARCH $BUILDARCH > /platform
        """,
    ),
    Case(
        "triggers",
        "FROM withtriggers\nRUN ls /app > /tmp/listed\n",
        {"a": "a", "b": "b"},
        bases={
            "withtriggers": "FROM BASE\nWORKDIR /app\nONBUILD COPY . .\nONBUILD RUN cp a a-copy\nONBUILD ENV T=1\n"
            'ONBUILD USER bob\nONBUILD CMD ["t"]\n'
        },
    ),
    Case(
        "triggers aren't handed on",
        "FROM child\n",
        {"a": "a"},
        bases={
            "parent": "FROM BASE\nONBUILD RUN echo x >> /count\n",
            "child": "FROM parent\nONBUILD LABEL l=1\n",
        },
    ),
    Case("triggers in a config", 'ONBUILD RUN echo "a  b"\nONBUILD copy a b\nONBUILD CMD ["x"]\n'),
)

STAGES = (
    Case(
        "stages",
        """
        FROM BASE AS first
        RUN mkdir -p /out/sub && echo made > /out/made && chown 1000:50 /out/made && ln -s made /out/link && rm /etc/old
        WORKDIR /out
        FROM BASE AS unneeded
        RUN exit 1
        FROM first AS second
        RUN echo more > more && rm -r /out/sub && mkdir /out/sub && echo new > /out/sub/new
        FROM BASE
        COPY --from=second /out /copied/
        COPY --from=0 /out/made /one
        COPY --from=second /out/link /followed
        COPY --from=BASE /etc/old /from-image
        """,
    ),
    Case(
        "a stage as the target",
        """
        FROM BASE AS one
        RUN echo 1 > /one
        CMD ["one"]
        FROM one AS two
        RUN echo 2 > /two
        CMD ["two"]
        FROM nowhere.example/none AS three
        RUN exit 1
        """,
        flags=("--target", "two"),
        options={"target": "two"},
    ),
    Case(
        "names of stages in any letters",
        "FROM BASE AS Build\nRUN echo 1 > /one\nFROM BASE\nCOPY --from=build /one /a\nCOPY --from=BUILD /one /b\n",
        peer="FROM BASE AS build\nRUN echo 1 > /one\nFROM BASE\nCOPY --from=build /one /a\nCOPY --from=build /one /b\n",
    ),
    Case(
        "from a stage all is kept",
        """
        FROM BASE AS one
        RUN mkdir -p /o/d && echo x > /o/d/f && chown -R 5:6 /o && chmod 4755 /o/d/f && chmod 1777 /o/d
        RUN ln /o/d/f /o/d/hard && ln -s f /o/d/soft && mkfifo /o/pipe && ln -s /o/d /way
        FROM BASE
        COPY --from=one /o /o
        COPY --from=one /way/f /through
        COPY --from=one /o/d/s* /o/d/h* /wild/
        COPY --from=one --chown=bob /o/d /mine/
        """,
    ),
    Case(
        "from scratch",
        'FROM scratch\nCOPY a /a\nCOPY d /\nENV X=1\nCMD ["/a"]\n',
        {"a": "a", "d/e/f": "f"},
        differences={"config WorkingDir": "scratch-directory"},
    ),
    Case(
        "from scratch through a stage",
        """
        FROM BASE AS one
        RUN echo 1 > /one
        FROM scratch
        COPY --from=one /bin/busybox /bin/
        COPY --from=one /one /
        WORKDIR /w
        """,
    ),
    Case(
        "what a context shows for one command",
        """
        RUN --mount=type=bind,target=/src cp -r /src/sub /copy
        RUN --mount=type=bind,source=sub/b,target=/in cat /in > /b
        WORKDIR /w
        RUN --mount=source=sub,target=here ls here > /listed
        """,
        {"a": "a", "sub/b": "b"},
        peer="FROM BASE\nCOPY sub /copy\nCOPY sub/b /b\nWORKDIR /w\nRUN echo b > /listed\n",
        differences={"b": "by-command", "copy/b": "by-command"},
    ),
    Case(
        "what a stage shows for one command",
        """
        FROM BASE AS one
        RUN mkdir /o && echo 1 > /o/x
        FROM BASE
        RUN --mount=type=bind,from=one,source=/o,target=/m cat /m/x > /seen
        """,
    ),
    Case(
        "caches and memory",
        """
        RUN --mount=type=cache,target=/c,id=peers echo 1 > /c/x && cat /c/x > /seen
        RUN --mount=type=cache,target=/other,id=peers cat /other/x > /again
        RUN --mount=type=tmpfs,target=/t echo 1 > /t/x && cat /t/x > /from-memory
        """,
    ),
    Case(
        "a secret",
        """
        RUN --mount=type=secret,id=key cat /run/secrets/key > /known
        RUN --mount=type=secret,id=key,target=/k cat /k > /known-too
        RUN --mount=type=secret,id=none cat /run/secrets/none 2> /dev/null || echo none > /none
        """,
        {"key": "5ac1f0"},
        flags=("--secret", "id=key,src=CONTEXT/key"),
        options={"secrets": {"key": b"5ac1f0"}},
    ),
    Case(
        "documents in the file",
        """
        RUN <<EOF
        echo "one $A"
        echo two > /two
        EOF
        COPY <<one <<"two" /docs/
        first $HOME
        one
        second $HOME
        two
        COPY --chmod=700 <<-EOF /script
        \tindented
        EOF
        """,
        {"one|644": "first \n", "two": "second $HOME\n", "script|700": "indented\n"},
        peer="FROM BASE\nRUN echo two > /two\nCOPY one two /docs/\nCOPY script /\n",
        differences={"docs/one": "new", "docs/two": "new", "script": "new"},
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
    Case(
        "what commands do to files below",
        """
        RUN chmod 700 /srv/data && chown 7:8 /etc/old && mv /etc/old /etc/moved && ln /etc/moved /etc/second
        RUN rm /data && mkdir /data && echo 1 > /data/x
        RUN rm -r /data && ln -s /tmp /data
        RUN mv /var/lib /var/moved && touch /var/moved/x
        RUN chmod 4755 /bin/busybox
        """,
    ),
    Case(
        "changes in a volume",
        """
        RUN mkdir /v && echo before > /v/before
        VOLUME /v
        RUN echo after > /v/after && rm /v/before
        COPY a /v/copied
        """,
        {"a": "a"},
        differences={"v/after": "volume", "v/before": "volume"},
    ),
    Case("without a shell", 'RUN ["/bin/touch", "/a b", "/$HOME"]\nRUN ["/bin/sh", "-c", "echo $PATH > /path"]\n'),
)
