"""Runs command lines of dockmagic one after the other, each in a fork of a process that has loaded it already.

A request is a line of JSON on standard input: words, directory and input; the answer one on standard output: status,
stdout and stderr. What a command line sees is what it would see in an interpreter of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from typing import IO, Any, NoReturn

from dockmagic.cli import main
from dockmagic.commands.catalogue import find

_TIME_LIMIT_S = 60


def serve() -> None:
    """Answer until standard input ends."""
    find(["run"])  # loads all that a first container would
    import dockmagic.engine  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command line to its end."""
    taking, giving = os.pipe()
    os.write(giving, request["input"].encode())
    os.close(giving)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _become(request, taking, out, err)
        os.close(taking)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        texts = {name: _whole(file) for name, file in (("stdout", out), ("stderr", err))}
    return {"status": status, **texts}


def _become(request: dict[str, Any], stdin: int, stdout: IO[bytes], stderr: IO[bytes]) -> NoReturn:
    """Be the command."""
    signal.alarm(_TIME_LIMIT_S)
    for number, descriptor in enumerate((stdin, stdout.fileno(), stderr.fileno())):
        os.dup2(descriptor, number)
    os.chdir(request["directory"])
    status = 1
    try:
        status = main(request["words"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _whole(file: IO[bytes]) -> str:
    """All that was written to a file."""
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    serve()
