"""The command line of an OCI runtime: `dockmagic-oci create --bundle DIR ID`, `start ID` and so on.

Source: the OCI command line interface specification (runtime-tools' docs/command-line-interface.md), and what runc
and crun have beyond it, which podman and containerd use.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from dockmagic.bundle import operations
from dockmagic.bundle.state import Containers
from dockmagic.errors import DockmagicError
from dockmagic.oci.config import VERSION

_FAILED: Final = 1


class Log:
    """Where warnings and errors go: to a file as text or JSON lines, where there is one, and errors to descriptor 2."""

    def __init__(self, path: str, form: str) -> None:
        self._path = path
        self._form = form

    def warn(self, message: str) -> None:
        """Write a warning."""
        self._write("warning", message)

    def fail(self, message: str) -> None:
        """Write an error."""
        self._write("error", message)
        sys.stderr.write(f"dockmagic-oci: {message}\n")

    def _write(self, level: str, message: str) -> None:
        if not self._path:
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entry = {"level": level, "msg": message, "time": now}
        text = " ".join(f"{key}={json.dumps(value)}" for key, value in entry.items())
        with open(self._path, "a") as file:
            file.write((json.dumps(entry) if self._form == "json" else text) + "\n")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; its exit status."""
    args = _parser().parse_args(words)
    os.umask(0o022)
    log = Log(args.log, args.log_format)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is half made goes again
    try:
        if args.systemd_cgroup:
            log.fail("--systemd-cgroup: groups aren't made by systemd here; leave it out")
            return _FAILED
        status: int = args.run(Containers(os.path.abspath(args.root)), args, log.warn)
    except DockmagicError as error:
        log.fail(str(error))
        return _FAILED
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dockmagic-oci", description="Run containers of OCI bundles.", allow_abbrev=False
    )
    parser.add_argument("--root", default=_default_root(), help="directory of the containers' state (%(default)s)")
    parser.add_argument("--log", default="", metavar="FILE", help="file to write warnings and errors to")
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="form of the log (text)")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--systemd-cgroup", action="store_true", help=argparse.SUPPRESS)
    version = f"dockmagic-oci version {_version()}\nspec: {VERSION}"
    parser.add_argument("-v", "--version", action="version", version=version)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in operations.COMMANDS:
        below = commands.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
        for argument in command.arguments:
            below.add_argument(*argument.names, **argument.settings)
        below.set_defaults(run=command.run)
    return parser


def _version() -> str:
    from importlib.metadata import version  # it takes as long to import as many a command to run

    return version("dockmagic")


def _default_root() -> str:
    """Where run-time state belongs. Source: the XDG base directory specification."""
    base = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    return f"{base}/dockmagic-oci"


if __name__ == "__main__":
    sys.exit(main())
