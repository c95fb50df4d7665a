"""The streams of processes as their monitor moves them: from pipes and terminals to readers, from writers to processes.

Nothing here ever waits, neither for a container nor for those who are attached to it: what can't go on stays, and its
source isn't read until it has gone.
"""

from __future__ import annotations

import contextlib
import os
import selectors
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime import terminal
from dockmagic.runtime.stdio import CHUNK, Log, Output, Sink, await_event
from dockmagic.runtime.terminal import Pair

MOST_AT_END: Final = 1 << 20  # bytes; a terminal holds far less


class Feed:
    """What a process reads: all that anybody writes who is attached, in the order in which it arrives.

    `once`: it ends with the first writer, as a pipe would; a terminal never does. Takes ownership of the descriptor.
    """

    def __init__(self, descriptor: int, *, once: bool) -> None:
        self.sink = Sink(descriptor)
        self.sources: list[int] = []
        self._once = once
        self._ended = False

    def take(self, source: int) -> None:
        """Move a chunk on; at the end of the writer forget it."""
        data = os.read(source, CHUNK)
        if data:
            self.sink.write(data)
        else:
            self.drop(source)

    def drop(self, source: int) -> None:
        """Forget a writer; with `once` the process reads the end."""
        self.sources.remove(source)
        os.close(source)
        self._ended = self._once

    def keep(self) -> None:
        """Go on without its first writer, who leaves."""
        self._once = False

    @property
    def over(self) -> bool:
        """Whether nothing can come any more: the process doesn't read, or its writer has ended and all is written."""
        return self.sink.gone or (self._ended and not self.sink.pending)

    def close(self) -> None:
        """Close everything; the process sees the end of its input."""
        for source in self.sources:
            os.close(source)
        self.sources.clear()
        self.sink.close()


@dataclass(slots=True)
class Stdio:
    """The streams of one process: a terminal has one output and no end of its input."""

    outputs: list[Output] = field(default_factory=list)
    feed: Feed | None = None
    pair: Pair | None = None


def of_terminal(pair: Pair, given: Mapping[str, int], log: Log | None) -> Stdio:
    """Streams of a process with this terminal; `given` are the descriptors of its first reader and writer, by name."""
    sinks = [Sink(descriptor) for name, descriptor in given.items() if name == "stdout"]
    output = Output("stdout", pair.master, log, sinks, terminal.read)
    feed = Feed(os.dup(pair.master), once=False)
    feed.sources += [descriptor for name, descriptor in given.items() if name == "stdin"]
    return Stdio([output], feed, pair)


def resize(pair: Pair | None, size: ConsoleSize) -> None:
    """Change a terminal's size where there is one."""
    if pair is not None:
        with contextlib.suppress(OSError):
            terminal.resize(pair.master, size)


class Streams:
    """Moves the streams of a container and of what exec starts in it."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._outputs: list[Output] = []
        self._open: list[Output] = []

    def begin(self, stdio: Stdio) -> None:
        """Begin to move the streams of a process."""
        self._outputs += stdio.outputs
        self._open += stdio.outputs
        for output in stdio.outputs:
            self._steer(output)
        self._steer_feed(stdio)

    def reading(self, stdio: Stdio) -> bool:
        """Whether the process may still have written something that wasn't read."""
        return any(output in self._open for output in stdio.outputs)

    def attach(self, stdio: Stdio, given: Mapping[str, int]) -> None:
        """Add readers and a writer by the names of the streams; what the process doesn't have ends at once."""
        rest = dict(given)
        if stdio.feed is not None and "stdin" in rest:
            stdio.feed.sources.append(rest.pop("stdin"))
            self._steer_feed(stdio)
        for output in self._open:
            if output in stdio.outputs and output.name in rest:
                output.sinks.append(Sink(rest.pop(output.name)))
        for descriptor in rest.values():
            os.close(descriptor)

    def keep(self, stdio: Stdio) -> None:
        """Let the input go on without its first writer."""
        if stdio.feed is not None:
            stdio.feed.keep()

    def end(self, stdio: Stdio) -> None:
        """The process is gone: so is its input, and its terminal with all that is in it."""
        if stdio.feed is not None:
            self._close_feed(stdio)
        if stdio.pair is None:
            return
        os.close(stdio.pair.slave)
        (output,) = stdio.outputs
        with contextlib.suppress(BlockingIOError):  # others have it still: they lose it now
            for _ in range(MOST_AT_END // CHUNK):
                if output not in self._open:
                    break
                self._pump(output)
        if output in self._open:
            self._forget(output)
            output.end()
        if output in self._outputs:
            self._steer(output)
        stdio.pair = None

    def finish(self) -> None:
        """Wait until every reader has got everything."""
        for output in self._outputs:
            output.finish()

    def _on_output(self, output: Output) -> None:
        """Move a chunk on; a reader that lags far behind stops the stream until it has caught up."""
        with contextlib.suppress(BlockingIOError):
            self._pump(output)
        self._steer(output)

    def _pump(self, output: Output) -> None:
        if not output.pump():
            self._forget(output)

    def _forget(self, output: Output) -> None:
        """Read no more of it."""
        self._leave(output.source)
        self._open.remove(output)

    def _on_writable(self, output: Output, sink: Sink) -> None:
        """A reader takes more, or is gone."""
        sink.flush()
        self._steer(output)

    def _steer(self, output: Output) -> None:
        """Wait for what the stream needs next: readers that lag behind, and its source unless they lag far."""
        for sink in list(output.sinks):
            answer = partial(self._on_writable, output, sink)
            await_event(self._selector, sink.descriptor, bool(sink.pending), selectors.EVENT_WRITE, answer)
            if sink.gone or (output not in self._open and not sink.pending):
                output.drop(sink)
        if output not in self._open and not output.sinks:
            self._outputs.remove(output)
        if output in self._open:
            await_event(
                self._selector,
                output.source,
                not output.congested,
                selectors.EVENT_READ,
                partial(self._on_output, output),
            )

    def _on_source(self, stdio: Stdio, source: int) -> None:
        """A writer has something for the process."""
        if stdio.feed is not None and source in stdio.feed.sources:
            stdio.feed.take(source)
            if source not in stdio.feed.sources:
                self._leave(source)
            self._steer_feed(stdio)

    def _on_reading(self, stdio: Stdio) -> None:
        """The process takes more of its input."""
        if stdio.feed is not None:
            stdio.feed.sink.flush()
            self._steer_feed(stdio)

    def _steer_feed(self, stdio: Stdio) -> None:
        """Wait for writers, or for the process as long as it hasn't taken what there is."""
        feed = stdio.feed
        if feed is None:
            return
        if feed.over:
            self._close_feed(stdio)
            return
        waiting = bool(feed.sink.pending)
        await_event(
            self._selector, feed.sink.descriptor, waiting, selectors.EVENT_WRITE, partial(self._on_reading, stdio)
        )
        for source in feed.sources:
            await_event(
                self._selector, source, not waiting, selectors.EVENT_READ, partial(self._on_source, stdio, source)
            )

    def _close_feed(self, stdio: Stdio) -> None:
        assert stdio.feed is not None
        for descriptor in (stdio.feed.sink.descriptor, *stdio.feed.sources):
            self._leave(descriptor)
        stdio.feed.close()
        stdio.feed = None

    def _leave(self, descriptor: int) -> None:
        """Wait for nothing of the descriptor any more; it may be closed already."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
