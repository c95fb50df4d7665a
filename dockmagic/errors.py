"""Every error a user can cause, as one tree.

    DockmagicError                 one line in a notebook, no traceback
    ├── InvalidReference           not a legal image reference
    ├── InvalidOption              a flag's value that can't be used
    ├── DockerfileError            lines, text, message
    ├── BuildError                 step, message
    │   └── RunFailed              exit status, tail of the output
    ├── NotFound                   kind, name
    ├── Conflict                   kind, name, why
    ├── InvalidLayer               a layer archive that must not be unpacked
    ├── InvalidManifest            a manifest, index or config that breaks the image-spec
    ├── StoreError                 the state root can't be used (disk full, no permission)
    ├── RegistryError              method, url, status, code, passing, wait
    │   └── Unauthorized
    ├── DigestMismatch             expected, actual
    └── ContainerError
        ├── InvalidBundle          a config.json that breaks the runtime-spec
        ├── InvalidState           container id, operation, status
        ├── StartFailed            stage, errno, reason
        └── Unsupported            feature, hint

A class exists where a caller acts differently; everything else is a field. A container's exit status other than 0 is a
result, not an error, except in RUN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 1000  # characters of what a registry said


class DockmagicError(Exception):
    """Something a user can put right; the message says what was wrong, where, and what to do."""

    placed = False  # whether the message says already where

    def place(self, source: str, filename: str, line: int, end_line: int) -> None:
        """Put a place before the message, and its lines, if the source is known, behind it: once."""
        if not self.placed:
            shown = excerpt(source, line, end_line)
            self.args = (f"{filename}:{line}: {self}" + (f"\n{shown}" if shown else ""),)
            self.placed = True

    def _render_traceback_(self) -> list[str]:
        """Text that IPython shows instead of a traceback (a hook it looks for on any exception)."""
        return [f"{type(self).__name__}: {self}"]


class InvalidReference(DockmagicError):
    """An image reference that breaks the grammar of the distribution-spec."""


class InvalidOption(DockmagicError):
    """A flag or an argument whose value can't be used."""


class DockerfileError(DockmagicError):
    """A Dockerfile that can't be built; lines count from 1 and `end_line` is included."""

    def __init__(self, message: str, *, line: int, end_line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.end_line = line if end_line is None else end_line
        self.column = column
        self.source: str | None = None
        self.filename = "Dockerfile"

    def locate(self, source: str, filename: str = "Dockerfile") -> DockerfileError:
        """Return self, with the text that the lines refer to, so that the message can show them."""
        self.source = source
        self.filename = filename
        return self

    def __str__(self) -> str:
        head = f"{self.filename}:{self.line}: {self.message}"
        return head if self.source is None else f"{head}\n{excerpt(self.source, self.line, self.end_line, self.column)}"


def excerpt(source: str, line: int, end_line: int, column: int | None = None) -> str:
    """Lines `line` to `end_line` of `source` with their numbers, and a caret under `column` (or the first word).

    >>> print(excerpt("FROM busybox\\nFOO bar", 2, 2))
      2 | FOO bar
        | ^^^
    """
    lines = source.split("\n") if source else []
    rows: list[str] = []
    for number in range(line, min(end_line, len(lines)) + 1):
        text = lines[number - 1]
        rows.append(f"{number:>3} | {text}")
        if number == line:
            start = len(text) - len(text.lstrip()) if column is None else column
            length = max(1, len(text[start:].split(maxsplit=1)[0]) if text[start:].split() else 1)
            rows.append(f"    | {' ' * start}{'^' * length}")
    return "\n".join(rows)


class BuildError(DockmagicError):
    """A build step that failed for a reason other than its own command."""

    def __init__(self, message: str, *, step: str = "") -> None:
        super().__init__(message)
        self.step = step


class RunFailed(BuildError):
    """A RUN instruction whose command, as one text, ended with a status other than 0."""

    def __init__(self, message: str, *, step: str, exit_status: int, output: str, command: str = "") -> None:
        super().__init__(message, step=step)
        self.command = command
        self.exit_status = exit_status
        self.output = output


class NotFound(DockmagicError):
    """Nothing of this kind has that name; `hint` says how to get one."""

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        super().__init__(f"no such {kind}: {name}" + (f"; {hint}" if hint else ""))
        self.kind = kind
        self.name = name


class Conflict(DockmagicError):
    """The name is taken or the thing is in use."""

    def __init__(self, kind: str, name: str, why: str) -> None:
        super().__init__(f"{kind} {name}: {why}")
        self.kind = kind
        self.name = name
        self.why = why


class InvalidLayer(DockmagicError):
    """A layer archive that would leave its directory, is damaged, or holds what isn't allowed."""


class InvalidManifest(DockmagicError):
    """A manifest, index or image config that doesn't follow the image-spec."""


class StoreError(DockmagicError):
    """The state root can't be read or written."""


class RegistryError(DockmagicError):
    """A registry refused, or answered with something else than the distribution-spec allows.

    One that is `passing` may be gone at the next try, which should wait for `wait_s` where the registry said so.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        url: str = "",
        status: int = 0,
        code: str = "",
        passing: bool = False,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(shorten(printable(message), _LONGEST))  # parts of it are a stranger's
        self.passing = passing
        self.wait_s = wait_s
        self.method = method
        self.url = url
        self.status = status
        self.code = code


class Unauthorized(RegistryError):
    """The registry wants credentials, or better ones."""


class DigestMismatch(DockmagicError):
    """Content that isn't what its digest says."""

    def __init__(self, what: str, *, expected: str, actual: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {actual}; the content was damaged or tampered with")
        self.expected = expected
        self.actual = actual


class ContainerError(DockmagicError):
    """A container that can't do what was asked."""


class InvalidBundle(ContainerError):
    """A bundle whose config.json breaks the runtime-spec; the message names the property."""


class InvalidState(ContainerError):
    """The operation isn't possible in the container's present status; `message` says it in other words."""

    def __init__(self, container_id: str, operation: str, status: str, message: str = "") -> None:
        super().__init__(message or f"cannot {operation} container {container_id[:12]}: it is {status}")
        self.container_id = container_id
        self.operation = operation
        self.status = status


class Detached(ContainerError):
    """The user has left a process with the detach keys, in Docker's words; it runs on."""

    def __init__(self) -> None:
        super().__init__("read escape sequence")


@dataclass(frozen=True)
class Failure:
    """Why init could not start the process: the stage it was in, the error number, and what it worked on."""

    stage: str
    errno: int
    reason: str


class StartFailed(ContainerError):
    """The container's process could not be started; `exit_status` is the one that Docker gives (125, 126, 127)."""

    def __init__(self, failure: Failure, exit_status: int) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.exit_status = exit_status


class Unsupported(ContainerError):
    """The kernel, the privileges or this version lack something; `hint` says what would help."""

    def __init__(self, feature: str, hint: str) -> None:
        super().__init__(f"{feature}: {hint}")
        self.feature = feature
        self.hint = hint


def printable(text: str) -> str:
    """The text with control characters and lone surrogates written out, all on one line.

    >>> printable("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def shorten(text: str, most: int) -> str:
    """The text, cut off after this many characters."""
    return text if len(text) <= most else f"{text[:most]}…"


def one_of(names: Sequence[str]) -> str:
    """Names as a phrase for a message: "a, b or c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
