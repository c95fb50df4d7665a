"""A container's output on its way: from a pipe to the log and to everyone who looks on.

The monitor must never block, so a slow reader gets its bytes when it can take them; one that lags far behind makes the
container wait, as a full pipe would.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import time
from collections.abc import Callable, Iterator
from typing import Final

from dockmagic.rotation import rotate

CHUNK: Final = 64 * 1024
WIDE: Final = 1 << 18
HIGH_WATER: Final = 1 << 20
RUSH_S: Final = 0.0002
GATHER_S: Final = 0.001
_CONTROLS: Final = tuple((bytes((code,)), b"\\u%04x" % code) for code in range(0x20) if code != ord("\n"))
_ESCAPES: Final = (
    (b"\\", b"\\\\"),
    (b'"', b'\\"'),
    *_CONTROLS,
)  # what JSON strings can't have; the first one comes first


def widen(descriptor: int) -> bool:
    """Give a pipe a larger buffer; whether it has one. Source: fcntl(2), "Changing the capacity of a pipe"."""
    with contextlib.suppress(OSError):  # no pipe, or this user has too many of them
        return fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, WIDE) == WIDE
    return False


class Sink:
    """One reader's pipe, written without blocking; takes ownership of the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.pending = bytearray()
        self.gone = False
        os.set_blocking(descriptor, False)

    def write(self, data: bytes) -> bool:
        """Send what fits and keep the rest; False when the reader is gone."""
        self.pending += data
        return self.flush()

    def flush(self) -> bool:
        """Send what is pending, as far as it goes now; False when the reader is gone."""
        try:
            while self.pending:
                del self.pending[: os.write(self.descriptor, self.pending)]
        except BlockingIOError:
            pass
        except OSError:
            self.pending.clear()
            self.gone = True
        return not self.gone

    def close(self) -> None:
        """Close the pipe; the reader sees its end."""
        os.close(self.descriptor)


class Log:
    """The log of a container: one JSON object a line, with `log`, `stream` and `time` as Docker's json-file has them.

    Bytes that aren't UTF-8 are kept as lone surrogates (Python's surrogateescape), so that they come back unchanged.
    """

    def __init__(self, path: str, most_bytes: int = 0, most_files: int = 1) -> None:
        """A file that has `most_bytes` is put aside (0: never), so that there are at most `most_files`."""
        self._path = path
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._file = -1

    def write(self, stream: str, data: bytes) -> None:
        """Append the data, an entry for each line of it; the file is made at the first. Raises OSError."""
        entries = _entries(stream, data)
        for part in self._parts(bytes(entries)) if self._most_bytes else (entries,):
            self._open()
            self._append(part)

    def _parts(self, entries: bytes) -> Iterator[bytes]:
        """The entries in parts, each with as many as the file takes; a full one is put aside before the next."""
        self._open()
        start, room = 0, self._most_bytes - os.fstat(self._file).st_size
        while start < len(entries):
            if room > 0:
                end = entries.find(b"\n", start + room - 1) + 1 or len(entries)
                yield entries[start:end]
                start = end
            if start < len(entries):
                self.close()
                rotate(self._path, self._most_files)
                room = self._most_bytes

    def _open(self) -> None:
        if self._file < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)

    def _append(self, text: bytes | memoryview) -> None:
        """Write whole entries; of one that the disk has no room for nothing stays. Raises OSError."""
        start, written = os.fstat(self._file).st_size, 0
        try:
            while written < len(text):
                written += os.write(self._file, text[written:])
        except OSError:
            if written:
                os.ftruncate(self._file, start + bytes(text[:written]).rfind(b"\n") + 1)
            raise

    def close(self) -> None:
        """Close the file, if anything was written."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _entries(stream: str, data: bytes) -> memoryview:
    """An entry for each line of the data. Every step here is taken once for the whole, not once a line."""
    begin = b'{"log": "'
    end = f'", "stream": "{stream}", "time": "{timestamp(time.time_ns())}"}}\n'.encode()
    for raw, escape in _ESCAPES:
        data = data.replace(raw, escape)
    text = data.decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace")
    between = b"\\n" + end + begin
    lines = (b"\n" + text).replace(b"\n", between)
    if not text.endswith(b"\n"):
        lines += end + begin
    return memoryview(lines)[len(between) - len(begin) : -len(begin)]  # a copy of so much would take as long again


def timestamp(time_ns: int) -> str:
    """RFC 3339 with nanoseconds, in UTC.

    >>> timestamp(1_500_000_000_000_000_001)
    '2017-07-14T02:40:00.000000001Z'
    """
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"


class Output:
    """One output stream of the container: where it comes from and who gets it."""

    def __init__(
        self,
        name: str,
        source: int,
        log: Log | None,
        sinks: list[Sink],
        read: Callable[[int, int], bytes] = os.read,
    ) -> None:
        self.name = name
        self.source = source
        self.sinks = sinks
        self._log = log
        self._read = read
        self._incomplete = b""
        self._wide = False
        self._last_size = 0
        self._last_s = 0.0

    @property
    def congested(self) -> bool:
        """Whether a reader lags so far behind that the container should wait."""
        return any(len(sink.pending) > HIGH_WATER for sink in self.sinks)

    def pump(self) -> bool:
        """Move one chunk on; at the stream's end close the source and return False."""
        if self._rushed():
            time.sleep(GATHER_S)
        data = self._read(self.source, CHUNK)
        self._pass_on(data)
        self._last_size, self._last_s = len(data), time.monotonic()
        return bool(data)

    def _rushed(self) -> bool:
        """Whether small pieces follow each other at once: gathered in a pipe they cost less. Terminals hold few."""
        if not 0 < self._last_size < CHUNK or time.monotonic() - self._last_s > RUSH_S:
            return False
        self._wide = self._wide or widen(self.source)
        return self._wide

    def end(self) -> None:
        """Take no more of the source, and close it."""
        self._pass_on(b"")

    def _pass_on(self, data: bytes) -> None:
        """Give a chunk to all, b"" for the end."""
        if self._log is not None:
            self._write_log(data)
        for sink in self.sinks:
            sink.write(data)
        if not data:
            os.close(self.source)

    def _write_log(self, data: bytes) -> None:
        """Log whole lines; the last piece waits for its end, unless it is long already or the stream ends."""
        assert self._log is not None
        text = self._incomplete + data
        cut = text.rfind(b"\n") + 1
        if not data or len(text) - cut >= CHUNK:
            cut = len(text)
        self._incomplete = text[cut:]
        if text[:cut]:
            with contextlib.suppress(OSError):  # a full disk costs log lines, never the container
                self._log.write(self.name, text[:cut])

    def drop(self, sink: Sink) -> None:
        """Forget a reader."""
        self.sinks.remove(sink)
        sink.close()

    def finish(self) -> None:
        """Wait until each reader has got everything, and close its pipe."""
        for sink in list(self.sinks):
            os.set_blocking(sink.descriptor, True)
            sink.flush()
            self.drop(sink)


def await_event(
    selector: selectors.BaseSelector, descriptor: int, wanted: bool, event: int, answer: Callable[[], None]
) -> None:
    """Begin or cease to wait for what the descriptor may have to say."""
    waiting = descriptor in selector.get_map()
    if wanted and not waiting:
        selector.register(descriptor, event, answer)
    elif waiting and not wanted:
        selector.unregister(descriptor)
