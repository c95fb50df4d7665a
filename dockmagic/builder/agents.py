"""The SSH agents of a build: those that run already, and one for each set of keys, which ends with the build.

Source: docker build's reference, `--ssh`; ssh-agent(1) and ssh-add(1).
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from dockmagic.builder.forwarding import connect
from dockmagic.errors import BuildError, InvalidOption

AgentPaths = tuple[Path, ...]  # the socket of an agent, or files with keys
_PATIENCE_S: Final = 10
_POLL_S: Final = 0.01
# The shell ends the agent when its input ends, which it does even where this process is killed.
_UNTIL_INPUT_ENDS: Final = 'ssh-agent -D -a "$1" & read -r _; kill $!; wait $!'
_MISSING: Final = "install OpenSSH's client (Debian: apt-get install openssh-client), or name an agent's socket"


@contextmanager
def served(given: Mapping[str, AgentPaths]) -> Iterator[dict[str, Path]]:
    """The socket of each agent, by id, as long as the block lasts.

    Raises InvalidOption for paths that are neither one socket nor keys, BuildError where no agent can be started.
    """
    with ExitStack() as stack:
        yield {name: _socket(name, paths, stack) for name, paths in given.items()}


def _socket(name: str, paths: AgentPaths, stack: ExitStack) -> Path:
    """The agent's socket, after its start if need be."""
    if len(paths) == 1 and _is_socket(name, paths[0]):
        return paths[0]
    if any(_is_socket(name, path) for path in paths):
        raise InvalidOption(f"--ssh {name}: name one socket, or files with keys, not both")
    keys = [_key(name, path) for path in paths]
    agent = stack.enter_context(_started())
    for path, key in zip(paths, keys, strict=True):
        _add(name, path, key, agent)
    return agent


def _is_socket(name: str, path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError as error:
        raise InvalidOption(f"--ssh {name}: can't use {path}: {error.strerror}") from error


def _key(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidOption(f"--ssh {name}: can't read {path}: {error.strerror}") from error


@contextmanager
def _started() -> Iterator[Path]:
    """The socket of a new agent without keys; raises BuildError."""
    for program in ("ssh-agent", "ssh-add"):
        if shutil.which(program) is None:
            raise BuildError(f"keys need {program}, which isn't here; {_MISSING}")
    with TemporaryDirectory(prefix="dockmagic-ssh-") as directory:
        agent = Path(directory) / "agent"
        with subprocess.Popen(
            ["sh", "-c", _UNTIL_INPUT_ENDS, "sh", agent],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ):
            _await(agent)
            yield agent


def _await(agent: Path) -> None:
    """Return once the agent answers; raises BuildError where it takes too long."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connect(agent).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise BuildError("ssh-agent doesn't start; start one yourself and name its socket") from error
            time.sleep(_POLL_S)
        else:
            return


def _add(name: str, path: Path, key: bytes, agent: Path) -> None:
    """Give the agent a key, by standard input: the file's mode doesn't matter then."""
    environ = {**os.environ, "SSH_AUTH_SOCK": str(agent), "SSH_ASKPASS_REQUIRE": "never"}
    done = subprocess.run(
        ["ssh-add", "-q", "-"], input=key, capture_output=True, env=environ, start_new_session=True, check=False
    )
    if done.returncode:
        reason = "it isn't a private key, or has a passphrase; add it to an agent with ssh-add, and forward that"
        raise InvalidOption(f"--ssh {name}: ssh-add doesn't take {path}: {reason}")
