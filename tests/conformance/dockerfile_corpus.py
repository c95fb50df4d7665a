"""Dockerfiles to compare parsers on: written ones, one for each form of each instruction, and variants of layout.

`corpus()` makes the same texts in the same order every time.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping

WRITTEN: Mapping[str, str] = {
    "service in go": r"""# syntax=docker/dockerfile:1
# check=skip=JSONArgsRecommended

ARG GO_VERSION=1.23
# build compiles the service
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    go mod download -x
COPY --link . .
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags="-s -w" -o /out/service ./cmd/service

FROM gcr.io/distroless/static:nonroot@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
COPY --from=build --chown=65532:65532 /out/service /service
EXPOSE 8080/tcp 9090/udp
USER 65532:65532
ENTRYPOINT ["/service"]
CMD ["--listen", ":8080"]
""",
    "web application": r"""FROM node:22-slim AS deps
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev && \
    npm cache clean --force

FROM deps AS build
# everything but what .dockerignore leaves out
COPY . .
RUN npm run build

FROM nginx:1.27-alpine
LABEL org.opencontainers.image.title="Web application" \
      org.opencontainers.image.licenses=MIT \
      description='It isn'"'"'t much'
COPY --from=build /app/dist /usr/share/nginx/html
COPY <<'NGINX' /etc/nginx/conf.d/default.conf
server {
    listen 80;
    location / { try_files $uri /index.html; }
}
NGINX
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s --retries=3 CMD wget -qO- http://localhost/ || exit 1
STOPSIGNAL SIGQUIT
""",
    "notebook server": r"""FROM python:3.13-slim-bookworm
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PATH="/opt/venv/bin:$PATH"
RUN apt-get update \
 # the compiler is needed by one wheel
 && apt-get install -y --no-install-recommends \
      build-essential \
      # and git by another
      git \
 && rm -rf /var/lib/apt/lists/*
RUN <<EOF
set -e
python -m venv /opt/venv
pip install jupyterlab
EOF
VOLUME ["/home/notebooks", "/data with blank"]
WORKDIR /home/notebooks
EXPOSE 8888
ENTRYPOINT ["jupyter", "lab", "--ip=0.0.0.0"]
""",
    "base image with triggers": r"""FROM ruby:3.4
ONBUILD ADD . /app
ONBUILD RUN bundle install --jobs=4
ONBUILD COPY --chown=app:app config /app/config
onbuild ENV RAILS_ENV=production
ONBUILD EXPOSE 3000
ONBUILD CMD ["rails", "server"]
ONBUILD HEALTHCHECK NONE
""",
    "classic article": r"""FROM debian:stable
MAINTAINER Some One <some.one@example.org>

# Install
RUN apt-get update && apt-get install -y apache2
ADD index.html /var/www/html/
ENV APACHE_RUN_USER www-data
ENV APACHE_LOG_DIR /var/log/apache2
EXPOSE 80 443
CMD /usr/sbin/apache2ctl -D FOREGROUND
""",
    "windows": r"""# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2022
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
RUN Invoke-WebRequest http://example.com/a.zip -OutFile C:\a.zip; `
    Expand-Archive C:\a.zip C:\app
COPY app.exe C:\\app\\
WORKDIR C:\app
ENV DIR=C:\app KEY="a b"
CMD ["C:\\app\\app.exe", "--run"]
""",
    "several here-documents": r"""FROM busybox
RUN <<ONE cat > /one && <<-"TWO" cat > /two
first $HOME
ONE
	second $HOME
	TWO
COPY <<a.txt <<b.txt /files/
A
a.txt
B
b.txt
ADD --chmod=755 <<-script.sh /bin/
	#!/bin/sh
	echo "$1"
	script.sh
RUN python3 <<EOF
print("hello")
EOF
""",
    "arguments": r"""ARG BASE=busybox
ARG TAG
FROM ${BASE}:${TAG:-latest}
ARG TAG
ARG A=1 B="two words" C='3' D
ENV E=$A F=${B} G="${C:+set}" H=${D:?needed} I=${A%1} J=${A//1/2}
RUN echo "$E" $F ${G}
LABEL v=${TAG:-none} "quoted key"="quoted value" multi="a\
b"
""",
    "everything odd": "\n\n  \t\nFROM   busybox   \n\t# tabbed comment\n  RUN\techo\ta\n\n\n#\n# \n##\n"
    "run echo b \\\n\n\n  c\n"
    "EnV   a=b    c=d\t\nexpose\t80\n   CMD   true   \n",
    "unicode": "FROM busybox\nLABEL name=\"Größe\" 한국어=값\nRUN echo 'Привет, мир' \\\n # комментарий\n && echo ☺\n"
    "COPY <<ключ /файл\nтекст\nключ\nENV é=ü\nWORKDIR /путь/к/файлу\n",
    "mounts": r"""FROM busybox
RUN --mount=type=bind,from=busybox,source=/bin,target=/mnt/bin,rw ls /mnt/bin
RUN --mount=type=secret,id=token,env=TOKEN --mount=type=secret,id=key,target=/k,mode=0400,required sh -c 'cat /k'
RUN --mount=type=ssh --network=none --security=sandbox ssh-add -l
RUN --mount=type=tmpfs,target=/tmp,size=10m --network=host true
RUN --mount=type=cache,id=c,target=/c,sharing=locked,uid=1,gid=2,mode=0755,ro true
""",
    "sources": r"""FROM busybox
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.com/a.tgz /
ADD --keep-git-dir=true https://github.com/moby/buildkit.git#v0.10.1 /src
ADD --unpack=false a.tar.xz /archives/
COPY --parents --exclude=*.tmp --exclude=**/x ./a/./b/*.txt ./c /dest/
COPY --link --chown=user:group --chmod=u=rwX,go=rX dir /dir
COPY ["a file", "b file", "/to here/"]
COPY arr[[]0].txt /x/
""",
}

_FORMS: Mapping[str, tuple[str, ...]] = {
    "FROM": (
        "scratch", "busybox:1.36", "a/b/c:d", "localhost:5000/x/y:tag", "x@sha256:" + "0" * 64, "x AS y",
        "x as y-1.z_2",
        "--platform=linux/arm64 x", "--platform=$BUILDPLATFORM x AS y", "${a:-b}", "$A/$B:$C", '"quoted"', "x  AS  y",
        "x AS 1y", "x y", "x AS", "x AS y z", "", "--unknown=1 x",
    ),
    "RUN": (
        "true", "echo a  b   c", 'echo "a # b"', "echo a # not a comment", '["a", "b c"]', '[ "a" , "b" ]', '["a"',
        "[]",
        "['a']", '["a", 1]', '["a", ["b"]]', '["a\\nb"]', '["\\u00e9"]', '["a\\x"]', '[""]', "[ -d /x ] && true",
        "--mount=type=tmpfs,target=/t a", '--mount=type=bind,target="/t x" a', "--network=none a", "-- a",
        "--network a",
        '--mount=type=tmpfs,target=/t ["a"]', "a --b=c", "cat <<< word", "cat <<E\nE", "cat <<E\nx\nE",
        "<<E\n#!/bin/sh\nE",
        "<<-E\n\t\tx\n\tE", "<<'E'\n$x\nE", '<<"E"\n$x\nE', "3<<E\nx\nE", "<<E cat\nx\n E\nE", "<<E\nx\nE ",
        "<<E\n\\\nE",
        "<<E\n# c\n\nE", "<<A <<B\na\nA\nb\nB", "echo <<E a <<F\n1\nE\n2\nF", "echo '<<E'", 'echo "<<E"',
        "echo \\<<E\nE",
        "a<<E\nE", "echo $((1<<2))", "cat <<E>x\ny\nE", "cat <<E|sh\nE", "cat << E", "<<E\nx", "<<", "<<-", "''",
        '"', "'a",
        "a \\\n b", "a \\ \n b", "a \\\n# c\n b", "a \\\n\n b", "a \\\\\nLABEL b=c", "a \\", "a\\\nb", "\\\n a",
        "a \\\n  \\\n b",
    ),
    "CMD": (
        "a b", '["a", "b"]', "[]", '["a"', '["a"]x', " [\"a\"]", "[ a ]", '{"a": 1}', '["a",]', '["ünï"]', "",
        "--x a",
    ),
    "ENTRYPOINT": ("a b", '["a"]', '["a", "$HOME"]', "exec top -b", "[]", "", "--x"),
    "SHELL": ('["/bin/bash", "-c"]', '["a"]', '["a", "b", "c"]'),
    "ENV": (
        "a=b", "a b", "a b c", "a=b c=d", 'a="b c"', "a='b c'", "a=b\\ c", 'a="b\\"c"', "a=", "a= b=", 'a=""',
        "a='\"'",
        "a==b", "a=b=c", "a=$b", "a=${b:-c d}", 'a="$b"', "a", "=b", "a=b c", "a b=c", 'a="b', "a='b", "a=b\\",
        "a=b \\\n c=d",
        "a=b \\\n# x\n c=d", 'a="b \\\n c"', "a.b=c", "a-b=c", '"a b"=c', "a  b", "a\tb", "a=\\'", "a=\\\\", "",
        "a=b#c", "a=b # c",
        'a=b"c d"e', "abc=hello def=$abc", "a\\=b c",
    ),
    "LABEL": (
        "a=b", "a b", 'a="b c" d=e', 'a.b.c="d"', '"a"="b"', "a='b\\nc'", 'a="b\\\nc"', "a=1 \\\n b=2 \\\n c=3", "a",
        "", "a=b c",
        "com.example/x=y", 'a="\\"b\\""',
    ),
    "ARG": ("a", "a=b", "a=b c d=e", 'a="b c"', "a=", "a='$b'", "a=${b}", "a \\\n b", "", '"a', "a=b=c", "a=\\$x"),
    "EXPOSE": ("80", "80/tcp 53/udp", "8000-8010", "$P", "80  81\t82", "80/TCP", "127.0.0.1:80:80", '"80"', "",
    "--x 80"),
    "VOLUME": ("/a", "/a /b", '["/a", "/b c"]', '["/a"', "[]", "", "$x", '"/a b"'),
    "USER": ("a", "a:b", "0:0", "$u", "a b", "", '"a"'),
    "WORKDIR": ("/a", "a/b", "/a b", '"/a b"', "$x/y", "..", "C:\\x", "", "/a "),
    "STOPSIGNAL": ("SIGTERM", "9", "$s", "SIGRTMIN+3", "", "a b"),
    "MAINTAINER": ("me", "A B <c@d>", '"me"', ""),
    "COPY": (
        "a b", "a b c/", ". .", '["a", "b"]', '["a b", "/c d/"]', "a", "", "[a] b", '["a"', '"a b" c', "a* b/",
        "a?[b-c] d",
        "--from=x a b", "--from=0 /a /b", "--from='x' a b", "--from=x --chown=a:b --chmod=755 --link a b",
        "--link=false a b",
        "--link a b", "--exclude=a --exclude=b c d", "--parents a/./b c", "--from= a b", '--chown="a b" c d',
        "--chown=a\\ b c d",
        "<<E /x\ny\nE", "<<E <<F /x/\n1\nE\n2\nF", "a <<E /x/\ny\nE", "<<'E' /x\n$y\nE", "<<-E /x\n\ty\n\tE",
        "a <<E\nE",
        '["<<E", "/x"]', "--chmod=644 <<E /x\ny\nE", "\\\n a \\\n b", "a \\\n# c\n b", "$a ${b} /c", "a\tb",
        "-- a b", "--a --b c d",
        "\"<<E\" /x\ny\nE", "a b <<E\nE", "<<E>x /y\n1\nE>x",
    ),
    "ADD": (
        "a b", "http://x/y z", "https://x/y.git#main:sub /z", "git@github.com:a/b.git /c", '["a", "b"]',
        "--chown=1:2 a b",
        "--checksum=sha256:ab http://x/y z", "--keep-git-dir a b", "--unpack a b", "--unpack=false a b", "a", "",
        "<<E /x\ny\nE",
    ),
    "HEALTHCHECK": (
        "NONE", "none", "CMD a", 'CMD ["a", "b"]', "--interval=5s CMD a", "--interval=5s --timeout=1m CMD a b  c",
        "--start-period=1s --start-interval=100ms --retries=3 CMD [\"a\"]", "CMD", "FOO a", "", "--interval=5s",
        "cmd a", "NONE a",
        "CMD [a", "--interval=5s \\\n CMD a",
    ),
    "ONBUILD": (
        "RUN a", "run a", 'CMD ["a"]', "COPY --from=x a b", "RUN --mount=type=cache,target=/c a", "ENV a=b",
        "ENV a b", "LABEL a=b",
        "ONBUILD RUN a", "FROM x", "MAINTAINER x", "FOO a", "", "ARG a=b", "EXPOSE 80", "ADD a b", 'VOLUME ["/a"]',
        "USER a",
        "HEALTHCHECK CMD a", "RUN cat <<E\nx\nE", "COPY <<E /x\ny\nE", "  RUN   a", "RUN a \\\n b",
    ),
}  # fmt: skip

_HEADS: Mapping[str, str] = {
    "escape backslash": "# escape=\\\nFROM a\nRUN b \\\n c\n",
    "escape backtick": "# escape=`\nFROM a\nRUN b `\n c \\\nRUN d\n",
    "escape unknown": "# escape=x\nFROM a\n",
    "escape twice": "# escape=`\n# escape=`\nFROM a\n",
    "escape empty": "# escape=\nFROM a\nRUN a \\\n b\n",
    "escape late": "FROM a\n# escape=`\nRUN a \\\n b\n",
    "escape after comment": "# c\n# escape=`\nFROM a\nRUN a \\\n b\n",
    "escape after blank": "\n# escape=`\nFROM a\nRUN a \\\n b\n",
    "escape in capitals": "# ESCAPE=`\nFROM a\nRUN a `\n b\n",
    "escape with blanks": "#   eScape  =  `  \nFROM a\nRUN a `\n b\n",
    "escape without blank": "#escape=`\nFROM a\nRUN a `\n b\n",
    "escape indented": "  # escape=`\nFROM a\nRUN a `\n b\n",
    "syntax then escape": "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN a `\n b\n",
    "unknown then escape": "# foo=bar\n# escape=`\nFROM a\nRUN a `\n b\n",
    "check": "# check=skip=all;error=true\nFROM a\n",
    "check twice": "# check=skip=all\n# check=skip=all\nFROM a\n",
    "syntax twice": "# syntax=a\n# syntax=b\nFROM a\n",
    "byte order mark": "\ufeffFROM a\n",
    "byte order mark and directive": "\ufeff# escape=`\nFROM a\nRUN a `\n b\n",
    "byte order mark on line two": "FROM a\n\ufeffRUN b\n",
    "nothing": "",
    "newline": "\n",
    "comment": "# nothing\n",
    "blanks": "   \n\t\n",
    "shebang": "#!/usr/bin/env docker\nFROM a\n",
    "unknown instruction": "FROM a\nFOO b\n",
    "no from": "RUN a\n",
    "only arguments": "ARG a\nARG b=c\n",
    "nul": "FROM a\nRUN a\0b\n",
    "carriage return only": "FROM a\rRUN b\r",
    "form feed": "FROM a\n\fRUN b\n",
    "no-break space": "FROM a\nRUN\u00a0b\n",
    "line separator": "FROM a\nRUN b\u2028RUN c\n",
    "line at the limit": "FROM a\nRUN " + "x" * 65531 + "\n",
    "line over the limit": "FROM a\nRUN " + "x" * 65532 + "\n",
    "many continuations": "FROM a\nRUN true" + " \\\n && true" * 500 + "\n",
    "many stages": "".join(f"FROM a AS s{number}\nRUN {number}\n" for number in range(100)),
}


def _continued(text: str, between: str) -> str:
    """The text with its RUNs of one line cut at their first two blanks, and what stands `between` there."""
    one_line = re.compile(r"^RUN (?!.*<<).*[^\\`]$", re.MULTILINE)
    return one_line.sub(lambda found: found.group().replace(" ", f" \\\n{between}  ", 2), text)


_LAYOUTS: Mapping[str, Callable[[str], str]] = {
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "byte order mark": lambda text: "\ufeff" + text,
    "no last newline": lambda text: text.rstrip("\n"),
    "newlines at the end": lambda text: text + "\n\n\n",
    "lower-case names": lambda text: "\n".join(
        line if not (word := line.split(" ", 1)[0]).isupper() else word.lower() + line[len(word) :]
        for line in text.split("\n")
    ),
    "blank lines": lambda text: text.replace("\nRUN", "\n\n\nRUN").replace("\nCOPY", "\n \t\nCOPY"),
    "indented": lambda text: text.replace("\nRUN", "\n  RUN").replace("\nENV", "\n\tENV"),
    "blanks at line ends": lambda text: text.replace("\\\n", "\\  \t\n"),
    "comments between": lambda text: text.replace("\nRUN", "\n# RUN false \\\nRUN").replace("\nCMD", "\n  # x\nCMD"),
    "comments within": lambda text: text.replace("\\\n", "\\\n# c \\\n   # d\n"),
    "empty lines within": lambda text: text.replace("\\\n", "\\\n\n"),
    "continued": lambda text: _continued(text, ""),
    "continued with comments": lambda text: _continued(text, "# c\n"),
    "cut short": lambda text: text[: len(text) * 2 // 3],
    "escape at the end": lambda text: text.rstrip("\n") + " \\",
    "tabs for blanks": lambda text: text.replace(" ", "\t"),
    "doubled blanks": lambda text: text.replace(" ", "  "),
}


def corpus() -> Iterator[tuple[str, str]]:
    """Names and texts."""
    yield from WRITTEN.items()
    yield from _HEADS.items()
    for name, forms in _FORMS.items():
        for number, form in enumerate(forms, 1):
            yield f"{name} {number}", f"FROM busybox\n{name} {form}\n"
    for (name, text), (layout, changed) in itertools.product(WRITTEN.items(), _LAYOUTS.items()):
        yield f"{name}, {layout}", changed(text)
