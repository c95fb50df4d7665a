"""A Dockerfile's text into nodes: lines joined, comments dropped, here-documents collected, positions kept.

Knows the instructions' names and nothing of their arguments. Source: Dockerfile reference, "Format", "Parser
directives", "Here-documents".
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from itertools import takewhile

from dockmagic.dockerfile.directives import read_directives
from dockmagic.dockerfile.flags import split_flags
from dockmagic.dockerfile.heredocs import announced
from dockmagic.dockerfile.nodes import Dockerfile, Heredoc, Node, ParseWarning, Position
from dockmagic.dockerfile.words import SPACE, NotStrings, first_word
from dockmagic.errors import DockerfileError

NAMES = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
MAX_LINE_BYTES = 65535
_MAX_SHOWN = 40
_LIKENESS = 0.55  # of names that may have been meant


def parse(text: str, filename: str = "Dockerfile") -> Dockerfile:
    """The nodes of this text, in order; an empty text has none.

    Takes time in proportion to the text. Raises DockerfileError for an unknown instruction, a here-document without
    end, a line over 65,535 bytes, and directives that can't be used.
    """
    text = text.removeprefix("\ufeff")
    try:
        return _Parser(text, filename).parse()
    except DockerfileError as error:
        error.locate(text, filename)
        raise


def split_instruction(text: str) -> tuple[str, tuple[str, ...], str]:
    """Name in upper case, flags and rest of an instruction that is already on one line.

    >>> split_instruction("copy --link a b")
    ('COPY', ('--link',), 'a b')
    """
    name, rest = first_word(text)
    flags, rest = split_flags(rest)
    return name.upper(), flags, rest.strip(SPACE)


def check_name(node: Node) -> None:
    """Raise DockerfileError unless there is an instruction with the node's name."""
    if node.name in NAMES:
        return
    written = node.text[: min(len(node.name), _MAX_SHOWN)]
    letters = "".join(takewhile(str.isalpha, node.name[:_MAX_SHOWN]))
    close = difflib.get_close_matches(letters, NAMES, n=1, cutoff=_LIKENESS)
    position = node.position(0)
    raise DockerfileError(
        f"unknown instruction: {written} ({_guess(close, position.line)})", line=position.line, column=position.column
    )


def _guess(close: list[str], line: int) -> str:
    """What an unknown instruction was probably meant to be."""
    if close:
        return f"did you mean {close[0]}?"
    if line > 1:
        return "does the line above lack its continuation?"
    return f"the instructions are {', '.join(NAMES)}"


class _Parser:
    """One pass over the lines; `_index` is the line to read next, from 0."""

    def __init__(self, text: str, filename: str) -> None:
        self._source = text
        self._filename = filename
        lines = text.split("\n")
        self._lines = lines if lines[-1] else lines[:-1]
        self._directives, self._index = read_directives(self._lines)
        self._escape = self._directives.get("escape", "\\")
        self._comments: list[str] = []
        self._warnings: list[ParseWarning] = []

    def parse(self) -> Dockerfile:
        """Read all lines."""
        nodes: list[Node] = []
        while self._index < len(self._lines):
            line = self._lines[self._index].lstrip(SPACE)
            if line and not line.startswith("#"):
                nodes += self._instruction()
                continue
            self._index += 1
            if line:
                self._comment(line[1:].strip(SPACE))
        return Dockerfile(
            tuple(nodes), self._escape, self._directives, tuple(self._warnings), self._source, self._filename
        )

    def _comment(self, text: str) -> None:
        """Keep a comment for the instruction below it; an empty one parts it from those above."""
        if text:
            self._comments.append(text)
        else:
            self._comments.clear()

    def _take(self) -> str:
        """The next line, without its end."""
        line = self._lines[self._index]
        self._index += 1
        if len(line) * 4 > MAX_LINE_BYTES and len(line.encode(errors="surrogatepass")) > MAX_LINE_BYTES:
            hint = f"go on in another line after a {self._escape}"
            raise DockerfileError(
                f"line greater than max allowed size of {MAX_LINE_BYTES} bytes; {hint}", line=self._index
            )
        return line

    def _instruction(self) -> list[Node]:
        """The instruction that begins on the next line; none if it is nothing but continuations."""
        line = self._index + 1
        joined, segments = self._joined()
        text = joined.strip(SPACE)
        if not text:
            return []
        lead = len(joined) - len(joined.lstrip(SPACE))
        name, flags, rest = split_instruction(text)
        node = Node(
            name, text, flags, rest, (), line, self._index, tuple(self._comments),
            tuple((offset - lead, position) for offset, position in segments),
        )  # fmt: skip
        self._comments.clear()
        check_name(node)
        return [self._with_heredocs(node)]

    def _joined(self) -> tuple[str, list[tuple[int, Position]]]:
        """The next line and those that continue it as one, and where its pieces stood."""
        pieces: list[str] = []
        segments: list[tuple[int, Position]] = []
        length = 0
        empty = 0
        goes_on = True
        while goes_on and self._index < len(self._lines):
            line = self._take().rstrip("\r")
            stripped = line.lstrip(SPACE)
            if pieces and (not stripped or stripped.startswith("#")):
                empty = empty or (0 if stripped else self._index)
                continue
            piece, goes_on = self._without_continuation(line)
            segments.append((length, Position(self._index, 0)))
            pieces.append(piece)
            length += len(piece)
        if empty:
            self._warnings.append(ParseWarning("NoEmptyContinuation", "Empty continuation line", empty))
        return "".join(pieces), segments

    def _without_continuation(self, line: str) -> tuple[str, bool]:
        """The line without the escape that continues it, and whether it had one; a doubled escape is none."""
        bare = line.rstrip(" \t")
        if bare.endswith(self._escape) and not bare.endswith(self._escape * 2):
            return bare[:-1], True
        return line, False

    def _with_heredocs(self, node: Node) -> Node:
        """The node with the here-documents that it announces, read from the lines that follow."""
        try:
            expected = announced(node.name, node.rest)
        except NotStrings as error:
            raise node.fault(str(error), "[") from None
        heredocs = tuple(self._heredoc(node, word, heredoc) for word, heredoc in expected)
        return replace(node, heredocs=heredocs, end_line=self._index)

    def _heredoc(self, node: Node, word: str, heredoc: Heredoc) -> Heredoc:
        """The here-document with its content."""
        body: list[str] = []
        while self._index < len(self._lines):
            line = self._take()
            line = line.lstrip("\t") if heredoc.strip_tabs else line
            if line.rstrip("\r") == heredoc.name:
                return replace(heredoc, content="".join(body))
            body.append(f"{line}\n")
        raise node.fault(f"unterminated heredoc: end it with a line that is exactly {heredoc.name[:40]!r}", word)
