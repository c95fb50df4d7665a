"""A git repository on a web server of this process: by git's own CGI program, or as plain files."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.unit.builder.lab import fill

_ENVIRONMENT = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "c",
    "GIT_COMMITTER_EMAIL": "c@example.com", "GIT_AUTHOR_DATE": "@1700000000 +0000",
    "GIT_COMMITTER_DATE": "@1700000000 +0000", "GIT_ALLOW_PROTOCOL": "file:http",
}  # fmt: skip


class Work:
    """A repository to commit to; `bare` is the one that is served, as `name`.git below `root`."""

    def __init__(self, root: Path, name: str = "repo") -> None:
        self.directory, self.bare = root / f"{name}-work", root / "served" / f"{name}.git"
        self.git("init", "-q", "-b", "main", str(self.directory), cwd=root)
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare), cwd=root)
        self.git("remote", "add", "origin", str(self.bare))

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """Run git, and return what it writes."""
        command = ["git", *words]
        done = subprocess.run(command, cwd=cwd or self.directory, env=_ENVIRONMENT, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str], *refs: str) -> str:
        """Commit these files to the present branch, publish it and these tags; the commit."""
        fill(self.directory, files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "m")
        for ref in refs:
            self.git("tag", "-a", "-m", "t", ref)
        self.publish()
        return self.git("rev-parse", "HEAD")

    def publish(self) -> None:
        """Make the served repository have all branches and tags."""
        self.git("push", "-q", "--all", "origin")
        self.git("push", "-q", "--tags", "origin")
        self.git("update-server-info", cwd=self.bare)


class _Handler(BaseHTTPRequestHandler):
    root: Path
    smart: bool
    seen: list[str]
    wanted: str
    moved: str

    def do_GET(self) -> None:
        self.seen.append(self.path)
        path = urlsplit(self.path).path
        if self.moved:
            self._refuse(302, "Location", self.moved + self.path)
            return
        if self.wanted and self.headers.get("Authorization") != self.wanted:
            self._refuse(401, "WWW-Authenticate", "Basic realm=x")
            return
        if self.smart:
            self._backend(path)
            return
        file = self.root / path.lstrip("/")
        body = file.read_bytes() if file.is_file() else b""
        self.send_response(200 if file.is_file() else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, name: str, value: str) -> None:
        self.send_response(status)
        self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def _backend(self, path: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": urlsplit(self.path).query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving_git(
    root: Path, seen: list[str] | None = None, *, smart: bool = True, wanted: str = "", moved: str = ""
) -> Iterator[str]:
    """URL of a server of what is below `root`/served; `seen` gets what it was asked for.

    It wants to see an Authorization, if one is `wanted`, and sends who asks on to another server where it has `moved`.
    """
    attributes = {"root": root / "served", "smart": smart, "seen": [] if seen is None else seen}
    attributes |= {"wanted": wanted, "moved": moved}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), attributes))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
