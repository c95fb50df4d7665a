"""Programs run at points of a container's life, with its state on their standard input. Source: config.md "Hooks"."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dockmagic.errors import ContainerError, printable, shorten
from dockmagic.oci.config import Hook

State = Mapping[str, Any]
_SHOWN = 500  # characters of what a hook said


def run(kind: str, hooks: Iterable[Hook], state: State) -> None:
    """Run the hooks in order; raises ContainerError at the first that fails."""
    for hook in hooks:
        _run(kind, hook, state)


def run_all(kind: str, hooks: Iterable[Hook], state: State, warn: Callable[[str], None]) -> None:
    """Run the hooks in order, with a warning for each that fails."""
    for hook in hooks:
        try:
            _run(kind, hook, state)
        except ContainerError as error:
            warn(str(error))


def _run(kind: str, hook: Hook, state: State) -> None:
    """Run one; a hook without a list of arguments gets its path as the first. Raises ContainerError."""
    args = list(hook.args) or [hook.path]
    environment = dict(entry.partition("=")[::2] for entry in hook.env)
    try:
        done = subprocess.Popen(
            args,
            executable=hook.path,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise ContainerError(f"{kind} hook {hook.path}: {error.strerror}") from error
    with done:
        output = _talk(kind, hook, done, json.dumps(dict(state)).encode())
    if done.returncode:
        said = shorten(printable(output.decode(errors="replace").strip()), _SHOWN)
        raise ContainerError(f"{kind} hook {hook.path} ended with status {done.returncode}" + (said and f": {said}"))


def _talk(kind: str, hook: Hook, process: subprocess.Popen[bytes], state: bytes) -> bytes:
    """What the hook says; raises ContainerError where it takes too long, and is ended."""
    try:
        with contextlib.suppress(BrokenPipeError):
            return process.communicate(state, hook.timeout)[0]
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise ContainerError(f"{kind} hook {hook.path} took longer than {hook.timeout} seconds") from error
    return b""
