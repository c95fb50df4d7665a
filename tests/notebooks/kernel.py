"""A real Jupyter kernel, cell by cell."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

TIMEOUT_S = 90


@dataclass
class Output:
    """What one cell gave: its messages in order, with the time of each since the cell began (s)."""

    messages: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    status: str = ""

    def stream(self, name: str) -> str:
        """All that went to standard output or standard error."""
        contents = [content for _, kind, content in self.messages if kind == "stream"]
        return "".join(content["text"] for content in contents if content["name"] == name)

    @property
    def error(self) -> list[str]:
        """The error as it is shown: a text for each line of the traceback."""
        return [line for _, kind, content in self.messages if kind == "error" for line in content["traceback"]]

    def data(self, mime: str) -> list[str]:
        """Displays and results of this type; of a display that was updated, its last state."""
        shown: dict[object, str] = {}
        for index, (_, kind, content) in enumerate(self.messages):
            if kind in {"display_data", "update_display_data", "execute_result"} and mime in content["data"]:
                shown[content.get("transient", {}).get("display_id", index)] = content["data"][mime]
        return list(shown.values())

    @property
    def text(self) -> str:
        """The plain text of all displays and results."""
        return "\n".join(self.data("text/plain"))


class Kernel:
    """A running kernel with the extension loaded."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager = manager
        self._client = client

    def run(
        self,
        source: str,
        meanwhile: Callable[[Output], None] = lambda _output: None,
        answer: Callable[[str, bool], str] | None = None,
    ) -> Output:
        """Run a cell to its end; `meanwhile` is called after each message, `answer` with each prompt.

        The prompt comes with whether what is typed must not be seen. Without `answer` nobody can be asked.
        """
        output = Output()
        began_s = time.monotonic()

        def hook(message: dict[str, Any]) -> None:
            output.messages.append((time.monotonic() - began_s, message["msg_type"], message["content"]))
            meanwhile(output)

        def asked(message: dict[str, Any]) -> None:
            if answer is not None:
                self._client.input(answer(message["content"]["prompt"], message["content"]["password"]))

        reply = self._client.execute_interactive(
            source, timeout=TIMEOUT_S, output_hook=hook, stdin_hook=asked, allow_stdin=answer is not None
        )
        output.status = reply["content"]["status"]
        return output

    def begin(self, source: str) -> None:
        """Start a cell and don't wait for it."""
        self._client.execute(source)

    def ended(self) -> dict[str, Any]:
        """The reply to the cell that was begun, when it comes."""
        content: dict[str, Any] = self._client.get_shell_msg(timeout=TIMEOUT_S)["content"]
        return content

    def kill(self) -> None:
        """Kill the process, as the kernel of the machine does where memory is short."""
        self._manager.signal_kernel(signal.SIGKILL)

    def interrupt(self) -> None:
        """Interrupt the running cell, as the front-end's button does."""
        self._manager.interrupt_kernel()


@contextmanager
def kernel(directory: Path) -> Iterator[Kernel]:
    """A kernel whose notebook would be in `directory`; shut down at the end."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(directory))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=TIMEOUT_S)
        started = Kernel(manager, client)
        assert started.run("%load_ext dockmagic").status == "ok"
        yield started
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.cleanup_resources()
