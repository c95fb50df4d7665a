"""Whole Dockerfiles at random, as people write them: a mix of instructions, flags, layouts and here-documents."""

from __future__ import annotations

from hypothesis import strategies as st

_BLANKS = st.sampled_from([" ", " ", " ", "  ", "\t", " \t "])
_WORDS = st.sampled_from(
    ["a", "b.c", "/d/e", "./f", "g*", "[h]", "$i", "${j:-k l}", '"m n"', "'o p'", "q\\ r", "s=t", "é", "한", "#u",
    "--v", "&&",
     "|", ">w", "<<", "\\\\", '\\"', "x;", "{y}", "$(z)", '""', "C:\\a", "`b`", "1", "."]
)  # fmt: skip
_QUOTED = st.sampled_from(
    ['"a b"', "'c d'", '"e\\"f"', "'g\"h'", '"$i"', '"j=k"', "l\\ m", "", '""', "n", "$o", "${p:-q}"]
)
_NAMES = st.sampled_from(["A", "b_c", "d.e", '"f g"', "h-i", "k"])
_STRINGS = st.sampled_from(["a", "b c", "", '\\"', "\\\\", "é", "$f", "\\u0067", "--h", "\\n"])
_DELIMITERS = st.sampled_from(["EOF", "E", "a.txt", "END-1", "é"])
_BODY_LINES = st.sampled_from(["echo a", "", "\tb", "# c", "FROM d", "e \\", "$F", "EOF ", " E", "'", "x\r"])
_FLAGS = {
    "FROM": ["--platform=linux/amd64", "--platform=$P"],
    "RUN": [
        "--mount=type=cache,target=/c",
        '--mount=type=secret,id="a b"',
        "--network=none",
        "--security=sandbox",
        "--",
    ],
    "COPY": ["--from=a", "--chown=1:2", "--chmod='u=rw'", "--link", "--parents", "--exclude=*.a", "--link=false"],
    "ADD": ["--checksum=sha256:0", "--unpack", "--keep-git-dir=true", "--chmod=644"],
    "HEALTHCHECK": ["--interval=1s", "--retries=2", "--timeout=3m", "--start-period=4s"],
}
_FROMS = [["FROM", "a"], ["FROM", "a", "AS", "b"], ["FROM", "$a", "as", "C"], ["FROM"]]
_CHECKS = [["HEALTHCHECK", "NONE"], ["HEALTHCHECK", "CMD", "a", "b"], ["HEALTHCHECK", "cmd"]]
_LISTS = ("COPY", "ADD", "VOLUME", "EXPOSE", "RUN", "CMD", "ENTRYPOINT", "USER", "WORKDIR", "STOPSIGNAL", "MAINTAINER")
_JSON = ("RUN", "CMD", "ENTRYPOINT", "SHELL", "COPY", "ADD", "VOLUME", "HEALTHCHECK CMD")


@st.composite
def _pair(draw: st.DrawFn) -> str:
    return f"{draw(_NAMES)}={draw(_QUOTED)}"


@st.composite
def _joined(draw: st.DrawFn, words: list[str], escape: str) -> str:
    """The words with blanks or continuations between them, with comments and empty lines in these."""
    text = words[0]
    for word in words[1:]:
        if draw(st.integers(0, 4)):
            text += draw(_BLANKS) + word
        else:
            between = draw(st.sampled_from(["", "", "# c\n", "  # d \\\n", "\n", " \t\n"]))
            text += (
                f"{draw(_BLANKS)}{escape}{draw(st.sampled_from(['', '', ' ', '  ']))}\n{between}{draw(_BLANKS)}{word}"
            )
    return text


@st.composite
def _heredoc(draw: st.DrawFn) -> tuple[str, str]:
    """A here-document's word and its lines; most of them end."""
    name = draw(_DELIMITERS)
    dash, tabs = draw(st.sampled_from([("", ""), ("-", "\t"), ("-", "")]))
    quote = draw(st.sampled_from(["", "", "'", '"']))
    lines = [*draw(st.lists(_BODY_LINES, max_size=3)), tabs + name] if draw(st.integers(0, 20)) else []
    return f"{draw(st.sampled_from(['', '', '', '3']))}<<{dash}{quote}{name}{quote}", "".join(
        f"{line}\n" for line in lines
    )


@st.composite
def _arguments(draw: st.DrawFn) -> tuple[list[str], str]:
    """An instruction's words, its name first, and the here-documents after it."""
    kind = draw(st.sampled_from(["words", "json", "pairs", "legacy", "heredoc", "from", "health"]))
    if kind == "words":
        return [draw(st.sampled_from(_LISTS)), *draw(st.lists(_WORDS, max_size=5))], ""
    if kind == "json":
        strings = ", ".join(f'"{text}"' for text in draw(st.lists(_STRINGS, max_size=3)))
        return [*draw(st.sampled_from(_JSON)).split(), f"[{strings}]"], ""
    if kind == "pairs":
        return [draw(st.sampled_from(["ENV", "LABEL", "ARG"])), *draw(st.lists(_pair(), min_size=1, max_size=4))], ""
    if kind == "legacy":
        return [
            draw(st.sampled_from(["ENV", "LABEL"])),
            draw(_NAMES),
            *draw(st.lists(_WORDS, min_size=1, max_size=3)),
        ], ""
    if kind == "heredoc":
        heredocs = draw(st.lists(_heredoc(), min_size=1, max_size=2))
        words = [word for word, _ in heredocs] + draw(st.lists(_WORDS, max_size=2))
        name = draw(st.sampled_from(["RUN", "COPY", "ADD", "ENV"]))
        return [name, *draw(st.permutations(words))], "".join(body for _, body in heredocs)
    if kind == "from":
        return draw(st.sampled_from(_FROMS)), ""
    return draw(st.sampled_from(_CHECKS)), ""


@st.composite
def _instruction(draw: st.DrawFn, escape: str) -> str:
    words, heredocs = draw(_arguments())
    flags = draw(st.lists(st.sampled_from(_FLAGS.get(words[0], ["--x=y"])), max_size=2 if words[0] in _FLAGS else 0))
    name = draw(st.sampled_from([words[0], words[0], words[0].lower(), words[0].title()]))
    onbuild = ["ONBUILD"] if not draw(st.integers(0, 12)) else []
    text = draw(_joined([*onbuild, name, *flags, *words[1:]], escape))
    return (
        f"{draw(st.sampled_from(['', '', '', '  ', chr(9)]))}{text}{draw(st.sampled_from(['', '', ' ']))}\n{heredocs}"
    )


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """The text of a Dockerfile; now and then one that must be refused."""
    escape = draw(st.sampled_from(["\\", "\\", "`"]))
    head = draw(st.sampled_from(["", "# syntax=a/b:1\n", "# c\n", "\n"]) if escape == "\\" else st.just("# escape=`\n"))
    between = st.sampled_from(["", "", "", "\n", "# a comment\n", "  # another \\\n", " \t\n"])
    body = "".join(draw(between) + draw(_instruction(escape)) for _ in range(draw(st.integers(0, 6))))
    text = f"{draw(st.sampled_from(['', '', chr(0xFEFF)]))}{head}FROM busybox\n{body}"
    text = text if draw(st.integers(0, 5)) else text.rstrip("\n")
    return text if draw(st.integers(0, 5)) else text.replace("\n", "\r\n")
