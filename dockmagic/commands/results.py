"""What commands return: small values that read well as text, as HTML and from Python."""

from __future__ import annotations

import html
import json
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dockmagic.commands.human import binary_size
from dockmagic.commands.table import Pretty, columns_of_text

if TYPE_CHECKING:
    from dockmagic.dockerfile.lint import LintWarning
    from dockmagic.image.push import Pushed
    from dockmagic.image.store import Image

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
PRE = "margin:0;padding:0;background:none;font-family:var(--jp-code-font-family,monospace);line-height:1.35"


def harmless(text: str) -> str:
    """The text with control characters other than line feeds and tabs as JSON's escapes: no orders to a terminal."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Names(tuple[str, ...]):
    """Names or ids of what a command acted on, one a line."""

    __slots__ = ()

    def __new__(cls, names: Iterable[str] = ()) -> Names:
        """Take the names in their order."""
        return super().__new__(cls, tuple(names))

    def __str__(self) -> str:
        """One name a line."""
        return "\n".join(self)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


class Numbers(tuple[int, ...]):
    """Exit statuses, in the order of the containers that were asked for; one a line."""

    __slots__ = ()

    def __new__(cls, numbers: Iterable[int] = ()) -> Numbers:
        """Take the numbers in their order."""
        return super().__new__(cls, tuple(numbers))

    def __str__(self) -> str:
        """One number a line."""
        return "\n".join(str(number) for number in self)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


class Document(list[dict[str, Any]]):
    """What inspect found: a list with an object for each name, shown as indented JSON."""

    def __str__(self) -> str:
        """JSON as Docker prints it."""
        return json.dumps(list(self), indent=4, ensure_ascii=False)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same in a preformatted block."""
        return f'<pre style="{PRE}">{html.escape(str(self))}</pre>'


@dataclass(frozen=True)
class Json:
    """A JSON value, shown with this indentation: a number of blanks, or a text."""

    value: Any
    indent: int | str = 4

    def __getitem__(self, key: Any) -> Any:
        """A part of an object or a list."""
        return self.value[key]

    def __str__(self) -> str:
        """JSON text."""
        return harmless(json.dumps(self.value, indent=self.indent, ensure_ascii=False))

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same in a preformatted block."""
        return f'<pre style="{PRE}">{html.escape(str(self))}</pre>'


@dataclass(frozen=True)
class Facts:
    """Names and values, such as the versions of what is at work."""

    items: tuple[tuple[str, str], ...]

    def __getitem__(self, name: str) -> str:
        """The value of a name. Raises KeyError."""
        return dict(self.items)[name]

    def __str__(self) -> str:
        """Two columns."""
        return "\n".join(columns_of_text([(f"{name}:", value) for name, value in self.items])) if self.items else ""

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


KILLED: Final = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Finished:
    """A process that ran in the foreground and ended; its output was shown while it ran.

    `exit_status` is 128+n for signal n. `stdout` and `stderr` hold the last part of a long output.
    """

    exit_status: int
    container_id: str = ""
    oom_killed: bool = False
    memory_limit_bytes: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", "replace")

    def __str__(self) -> str:
        """What is worth saying: nothing after a success."""
        if self.oom_killed:
            limit = f" at {binary_size(self.memory_limit_bytes)}" if self.memory_limit_bytes else ""
            what = "OOM-killed" if self.exit_status == KILLED else "a process of it was OOM-killed"
            return f"exited with {self.exit_status}: {what}{limit}; --memory gives it more"
        return f"exited with {self.exit_status}" if self.exit_status else ""

    def _ipython_display_(self) -> None:
        """Show nothing after a success; NotImplementedError makes IPython go on to the other forms."""
        if str(self):
            raise NotImplementedError

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same, marked as something to look at."""
        return f'<div style="color:#b3261e;font-weight:600">{html.escape(str(self))}</div>'


@dataclass(frozen=True)
class Checked:
    """What lint found in a Dockerfile; `source` is its text, `filename` what messages call it."""

    warnings: tuple[LintWarning, ...]
    source: str
    filename: str

    @property
    def exit_status(self) -> int:
        """1 where there is a warning."""
        return int(bool(self.warnings))

    def __str__(self) -> str:
        """How many warnings there are, and each of them with the lines that it is about."""
        if not self.warnings:
            return "Check complete, no warnings found."
        count = len(self.warnings)
        head = f"Check complete, {count} warning{'s have' if count > 1 else ' has'} been found!"
        return "\n\n".join([head, *(warning.shown(self.source, self.filename) for warning in self.warnings)])

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same in a preformatted block."""
        return f'<pre style="{PRE}">{html.escape(str(self))}</pre>'


@dataclass(frozen=True)
class Stored:
    """An image that is in the store now; `asked` is the full name that it was asked for by, "" without one."""

    image: Image
    asked: str = ""

    @property
    def name(self) -> str:
        """The name it was asked for by, its first one, or its id."""
        references = self.image.references
        if self.asked:
            return self.asked
        return references[0].familiar if references else str(self.image.id)

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


@dataclass(frozen=True)
class Pushes:
    """What a push brought into the registry, by tag; it was shown meanwhile, unless there is a `name` to show."""

    pushed: tuple[Pushed, ...]
    name: str = ""

    def __len__(self) -> int:
        """Number of tags."""
        return len(self.pushed)

    def __getitem__(self, index: int) -> Pushed:
        """Name, digest and size of a tag's manifest."""
        return self.pushed[index]

    def __str__(self) -> str:
        """The name."""
        return self.name

    def _ipython_display_(self) -> None:
        """Show nothing more than the push did; NotImplementedError makes IPython show the name."""
        if self.name:
            raise NotImplementedError

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


class Shown:
    """The result of a command that has shown all it had to say."""

    exit_status = 0

    def __str__(self) -> str:
        """Nothing."""
        return ""

    def _ipython_display_(self) -> None:
        """Show nothing more."""
