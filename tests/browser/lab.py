"""A real JupyterLab, and a real Chromium to look at it with.

The server listens on the loopback only and keeps its configuration, settings and workspaces in a directory of its own.
Every cell is kept in the page (no windowing), so that one picture can show a whole notebook.
"""

from __future__ import annotations

import ctypes
import json
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Error, Page, Route, sync_playwright

CHROMIUM: Final = "/usr/bin/chromium"
_WIDTH, _HEIGHT, _MOST_HEIGHT = 1100, 900, 12000
_START_S: Final = 60.0
_PAGE_MS: Final = 60_000
_SETTINGS: Final = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none", "kernelShutdown": False},
    "docmanager-extension/plugin": {"autosave": False},
}
_PR_SET_PDEATHSIG: Final = 1
Answer = Any  # what the page's scripts give has no types


@dataclass(frozen=True)
class Cell:
    """A code cell as the page shows it; `types` are the MIME types that each of its outputs has."""

    id: str
    text: str
    html: str
    types: list[list[str]]
    failed: bool


class Notebook:
    """A notebook that is open in a page."""

    def __init__(self, page: Page, path: str) -> None:
        self.page = page
        self._path = path

    def run(self) -> list[Cell]:
        """Run all cells, and give them when everything is still."""
        assert self._call("runAll()"), "the kernel died while the notebook ran"
        self.wait("idle()")
        self.page.wait_for_timeout(400)  # what the last messages brought is drawn after them
        return [Cell(**cell) for cell in self._call("cells()")]

    def picture(self, file: Path) -> None:
        """Save a picture of the whole notebook; the window grows for it, as the panel scrolls and not the page."""
        for _ in range(2):  # a scroll bar that goes away changes how lines wrap
            frame = self._call("frame()")
            height = min(max(frame["y"] + frame["height"] + 60, 300), _MOST_HEIGHT)
            self.page.set_viewport_size({"width": _WIDTH, "height": round(height)})
            self.page.wait_for_timeout(200)
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=file, clip=self._call("frame()"))

    def saved(self) -> dict[str, Any]:
        """Save the notebook; what its file holds now."""
        content: dict[str, Any] = self._call("save()")
        return content

    def wait(self, condition: str) -> None:
        """Wait until the condition, one of lab.js', holds."""
        self.page.wait_for_function(f"(path) => window.lookInto?.(path)?.{condition}", arg=self._path, polling=100)

    def close(self) -> None:
        """Shut the kernel down."""
        self._call("shutdown()")

    def _call(self, what: str) -> Answer:
        return self.page.evaluate(f"(path) => window.lookInto(path).{what}", self._path)


class Lab:
    """A running server, and a browser. `console` collects the errors that pages write to theirs."""

    def __init__(self, url: str, token: str, browser: Browser) -> None:
        self._url = url
        self._token = token
        self._browser = browser
        self.console: list[str] = []

    @contextmanager
    def notebook(self, path: str) -> Iterator[Notebook]:
        """A notebook below the server's root, in a page of its own, with a kernel that is ready."""
        page = self._browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        page.set_default_timeout(_PAGE_MS)
        page.add_init_script(path=Path(__file__).with_name("lab.js"))
        page.route("**/*", self._only_loopback)
        notebook = Notebook(page, path)
        self._load(page, notebook, path)
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        try:
            yield notebook
        finally:
            notebook.close()
            page.close()

    def _load(self, page: Page, notebook: Notebook, path: str) -> None:
        """Open the page. Chromium drops requests when an interface comes or goes meanwhile: then once more."""
        for attempt in range(3):
            try:
                page.goto(f"{self._url}/doc/tree/{path}?token={self._token}&reset", wait_until="domcontentloaded")
                page.wait_for_function("() => !!window.jupyterapp")
                notebook.wait("ready()")
                return
            except Error as error:
                if attempt == 2 or "ERR_NETWORK_CHANGED" not in error.message:
                    raise

    def _only_loopback(self, route: Route) -> None:
        """Let no request leave the machine."""
        if route.request.url.startswith((self._url, "data:", "blob:")):
            route.continue_()
        else:
            self.console.append(f"blocked {route.request.url}")
            route.abort()

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.console.append(text)


@contextmanager
def running_lab(root: Path, directory: Path, environment: dict[str, str]) -> Iterator[Lab]:
    """JupyterLab on the files below `root`, with its own files in `directory`, and Chromium."""
    token = secrets.token_hex(16)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with _server(root, directory, environment, token, port), sync_playwright() as playwright:
        _wait_for(f"{url}/api/status?token={token}", directory / "server.log")
        with tempfile.TemporaryDirectory(prefix="lab-", dir="/tmp") as short:  # sockets have short paths only
            browser_environment: dict[str, str | float | bool] = {**environment, "TMPDIR": short}
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--disable-gpu"], env=browser_environment
            )
            try:
                yield Lab(url, token, browser)
            finally:
                browser.close()


@contextmanager
def _server(root: Path, directory: Path, environment: Mapping[str, str], token: str, port: int) -> Iterator[None]:
    """The server's process, which shuts its kernels down when it is told to end."""
    for name, value in _SETTINGS.items():
        file = directory / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(value))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={root}", "--ServerApp.terminals_enabled=False", "--LabApp.news_url="]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={**environment, **_places(directory)},
            stdout=log,
            stderr=log,
            preexec_fn=_end_with_parent,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def _places(directory: Path) -> dict[str, str]:
    """Where Jupyter is to keep its files."""
    names = ("CONFIG_DIR", "RUNTIME_DIR", "DATA_DIR")
    places = {f"JUPYTER_{name}": str(directory / name.lower()) for name in names}
    places |= {f"JUPYTERLAB_{name}_DIR": str(directory / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    return {**places, "IPYTHONDIR": str(directory / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}


def _end_with_parent() -> None:
    """In the server: end when the tests do, even where they are killed. Source: prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, log: Path) -> None:
    """Wait until the server answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            with opener.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()}")
