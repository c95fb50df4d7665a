"""The commands of the OCI runtime's command line: their arguments, and what each does."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dockmagic.bundle import lifecycle, load, template
from dockmagic.bundle.console import Console, exit_status, wait
from dockmagic.bundle.create import CreateOptions, create
from dockmagic.bundle.execute import ExecOptions, execute
from dockmagic.bundle.state import Container, Containers
from dockmagic.errors import Conflict

Warn = Callable[[str], None]
Run = Callable[[Containers, argparse.Namespace, Warn], int]


class Argument(NamedTuple):
    """An argument of argparse."""

    names: tuple[str, ...]
    settings: dict[str, Any]


class Command(NamedTuple):
    """A command: its name, what it is for, its arguments, and the function that carries it out."""

    name: str
    help: str
    arguments: tuple[Argument, ...]
    run: Run


def _argument(*names: str, **settings: Any) -> Argument:
    return Argument(names, settings)


def _create(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    create(containers, args.id, _create_options(args, args.console_socket), warn)
    return 0


def _create_options(args: argparse.Namespace, console_socket: str) -> CreateOptions:
    """The options; descriptors that a socket activator passes are handed on too, as sd_listen_fds(3) has it."""
    listening = int(os.environ.get("LISTEN_FDS") or 0)
    return CreateOptions(
        args.bundle, console_socket, args.pid_file, args.preserve_fds + listening, not args.no_new_keyring,
        not args.no_pivot,
    )  # fmt: skip


def _run(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    """Create, start, wait, delete; with a terminal and no console socket it is connected to this command's streams."""
    process = load.read(args.bundle, lambda _: None)[0].process
    console = Console() if process and process.terminal and not args.console_socket and not args.detach else None
    with contextlib.closing(console) if console else contextlib.nullcontext():
        options = _create_options(args, console.path if console else args.console_socket)
        container = create(containers, args.id, options, warn)
        kept = False
        try:
            if console is not None:
                console.receive()
            lifecycle.start(containers, container, warn)
            kept = args.detach or args.keep
            if args.detach:
                return 0
            return exit_status(console.relay(container.record.pid) if console else wait(container.record.pid))
        finally:
            if not kept:
                lifecycle.delete(containers, args.id, force=True, warn=warn)


def _start(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    lifecycle.start(containers, containers.get(args.id), warn)
    return 0


def _state(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    _print(containers.get(args.id).document())
    return 0


def _kill(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    number = lifecycle.signal_number(args.signal or args.number)
    lifecycle.kill(containers.get(args.id), number, everyone=args.all)
    return 0


def _delete(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    lifecycle.delete(containers, args.id, force=args.force, warn=warn)
    return 0


def _exec(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    console = Console() if args.tty and not args.console_socket and not args.detach else None
    try:
        options = _exec_options(args, console.path if console else args.console_socket)
        pid = execute(containers.get(args.id), options, warn)
        if args.detach:
            return 0
        if console is None:
            return exit_status(wait(pid))
        console.receive()
        return exit_status(console.relay(pid))
    finally:
        if console is not None:
            console.close()


def _exec_options(args: argparse.Namespace, console_socket: str) -> ExecOptions:
    return ExecOptions(
        args=tuple(args.args),
        process=args.process,
        cwd=args.cwd,
        env=tuple(args.env),
        user=args.user,
        additional_gids=tuple(args.additional_gids),
        capabilities=tuple(args.cap),
        tty=args.tty,
        no_new_privileges=args.no_new_privs,
        console_socket=console_socket,
        pid_file=args.pid_file,
        preserved=args.preserve_fds,
    )


def _list(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    rows = [(container, container.document()) for container in containers.all()]
    if args.quiet:
        sys.stdout.writelines(f"{container.record.id}\n" for container, _ in rows)
    elif args.format == "json":
        _print([{**document, "created": container.record.created} for container, document in rows])
    else:
        _print_table(rows)
    return 0


def _print_table(rows: list[tuple[Container, dict[str, Any]]]) -> None:
    lines = [("ID", "PID", "STATUS", "BUNDLE", "CREATED")]
    lines += [(d["id"], str(d.get("pid", 0)), d["status"], d["bundle"], c.record.created) for c, d in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        sys.stdout.write("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")


def _ps(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    """Numbers as JSON, or the lines of ps(1) for the container's processes."""
    pids = lifecycle.processes(containers.get(args.id))
    if args.format == "json":
        _print(pids)
        return 0
    words = args.args or ["-ef"]
    with os.popen(f"ps {' '.join(words)}") as listing:
        header, *lines = listing.read().splitlines()
    column = header.split().index("PID")
    sys.stdout.writelines(f"{line}\n" for line in (header, *(e for e in lines if int(e.split()[column]) in pids)))
    return 0


def _pause(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    lifecycle.pause(containers.get(args.id))
    return 0


def _resume(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    lifecycle.resume(containers.get(args.id))
    return 0


def _update(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    lifecycle.update(containers.get(args.id), args.resources)
    return 0


def _spec(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    """Write a config to begin with into the bundle's directory."""
    path = os.path.join(args.bundle, "config.json")
    try:
        with open(path, "x") as file:
            json.dump(template.config(), file, indent=2)
    except FileExistsError as error:
        raise Conflict("file", path, "it exists; remove it first") from error
    return 0


def _features(containers: Containers, args: argparse.Namespace, warn: Warn) -> int:
    _print(template.features())
    return 0


def _print(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


_ID: Final = _argument("id", metavar="ID", help="the container's id")
_MAKING: Final = (
    _argument("-b", "--bundle", default=".", metavar="DIR", help="the bundle's directory (the current one)"),
    _argument("--console-socket", default="", metavar="PATH", help="socket to which a terminal's master is sent"),
    _argument("--pid-file", default="", metavar="FILE", help="file to write the process's number to"),
    _argument("--preserve-fds", type=int, default=0, metavar="N", help="pass N descriptors from 3 on to the process"),
    _argument("--no-pivot", action="store_true", help="move the root instead of pivot_root(2)"),
    _argument("--no-new-keyring", action="store_true", help="stay in the session keyring"),
)
_EXEC: Final = (
    _argument("-p", "--process", default="", metavar="FILE", help="file that describes the process"),
    _argument("-d", "--detach", action="store_true", help="don't wait for the process"),
    _argument("-t", "--tty", action="store_true", help="give it a terminal"),
    _argument("--cwd", default="", metavar="DIR", help="its working directory"),
    _argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="a variable"),
    _argument("-u", "--user", default="", metavar="UID[:GID]", help="its user"),
    _argument("-g", "--additional-gids", type=int, action="append", default=[], metavar="GID", help="one more group"),
    _argument("-c", "--cap", action="append", default=[], metavar="CAP_NAME", help="one more capability"),
    _argument("--no-new-privs", action="store_true", help="no program may give it more privileges"),
    *(a for a in _MAKING if a.names[0] in ("--console-socket", "--pid-file", "--preserve-fds")),
)
_ALL: Final = _argument("-a", "--all", action="store_true", help="send it to all of the container's processes")
_SIGNAL: Final = _argument("number", nargs="?", default="TERM", metavar="SIGNAL", help="name or number (TERM)")
_FORCE: Final = _argument("-f", "--force", action="store_true", help="kill one that runs; one that isn't there is fine")
_FORMAT: Final = _argument("-f", "--format", choices=("table", "json"), default="table", help="form of the output")
_QUIET: Final = _argument("-q", "--quiet", action="store_true", help="ids only")
_RESOURCES: Final = _argument("-r", "--resources", required=True, metavar="FILE", help="JSON; - is standard input")

COMMANDS: Final = (
    Command("create", "Create a container whose program waits for its start.", (*_MAKING, _ID), _create),
    Command("start", "Start the program of a container that was created.", (_ID,), _start),
    Command("state", "Show the state of a container, as JSON.", (_ID,), _state),
    Command(
        "kill", "Send a signal to a container.",
        (_ALL, _argument("--signal", default="", help=argparse.SUPPRESS), _ID, _SIGNAL), _kill,
    ),
    Command("delete", "Remove a container that has stopped.", (_FORCE, _ID), _delete),
    Command(
        "run", "Create and start a container, wait for its end, and delete it.",
        (
            *_MAKING, _argument("-d", "--detach", action="store_true", help="don't wait for its end"),
            _argument("--keep", action="store_true", help="don't delete it"), _ID,
        ),
        _run,
    ),
    Command(
        "exec", "Start one more process in a container.",
        (*_EXEC, _ID, _argument("args", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to start")), _exec,
    ),
    Command(
        "ps", "List the processes of a container.",
        (_FORMAT, _ID, _argument("args", nargs=argparse.REMAINDER, metavar="OPTION", help="options of ps")), _ps,
    ),
    Command("list", "List the containers.", (_FORMAT, _QUIET), _list),
    Command("pause", "Have all processes of a container stand still.", (_ID,), _pause),
    Command("resume", "Let the processes of a container go on.", (_ID,), _resume),
    Command("update", "Change the limits of a container.", (_RESOURCES, _ID), _update),
    Command("spec", "Write a config.json to begin with.", (_MAKING[0],), _spec),
    Command("features", "Show what this runtime can do, as JSON.", (), _features),
)  # fmt: skip
