"""What the parser makes of a Dockerfile's text: one node an instruction, with the lines it came from.

Knows nothing of what an instruction means. Source: Dockerfile reference, "Format" and "Here-documents".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from dockmagic.errors import DockerfileError


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document: `content` ends with a newline unless empty, and has lost its leading tabs if `strip_tabs`.

    `expand` is False when the name was quoted; `fd` is the number before `<<`, None without one.
    """

    name: str
    content: str
    expand: bool = True
    strip_tabs: bool = False
    fd: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a character stood: `line` counts from 1, `column` from 0."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Node:
    """One instruction. `text` is all of it on one line (continuations joined, heredoc bodies left out).

    `flags` are the words `--name[=value]` after the name, unquoted; `rest` is what follows them, the end of `text`.
    `line` to `end_line` includes the here-documents. `comments` stood directly above. `segments` maps offsets in
    `text` to the source: (offset of a piece's first character, its position), in rising order.
    """

    name: str  # in upper case; `text` keeps the spelling
    text: str
    flags: tuple[str, ...]
    rest: str
    heredocs: tuple[Heredoc, ...]
    line: int
    end_line: int
    comments: tuple[str, ...] = ()
    segments: tuple[tuple[int, Position], ...] = field(default=(), repr=False, compare=False)

    @property
    def rest_offset(self) -> int:
        """Where `rest` begins in `text`."""
        return len(self.text) - len(self.rest)

    @property
    def last_line(self) -> int:
        """The last line of the instruction itself, before its here-documents."""
        return self.segments[-1][1].line if self.segments else self.line

    def fault(self, message: str, word: str | None = None) -> DockerfileError:
        """An error with a caret under the first `word` after the name, or under the name if it has no such word."""
        offset = -1 if word is None else self.text.find(word, len(self.name))
        position = self.position(max(offset, 0))
        end_line = position.line if offset >= 0 else self.last_line
        return DockerfileError(message, line=position.line, end_line=end_line, column=position.column)

    def position(self, offset: int) -> Position:
        """Where the character `offset` of `text` stands in the source."""
        index = bisect_right(self.segments, offset, key=itemgetter(0)) - 1
        start, found = self.segments[index] if index >= 0 else (0, Position(self.line, 0))
        return Position(found.line, found.column + offset - start)


@dataclass(frozen=True, slots=True)
class ParseWarning:
    """Something allowed that is probably a mistake; `rule` is the name that `# check=skip=` takes."""

    rule: str
    message: str
    line: int


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile; `directives` has lower-case names ("syntax", "escape", "check")."""

    nodes: tuple[Node, ...]
    escape: str = "\\"
    directives: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[ParseWarning, ...] = ()
    source: str = field(default="", repr=False, compare=False)
    filename: str = "Dockerfile"
