"""The flags on whose namespaces a container lives in. Source: docker run's reference, "PID settings"."""

from __future__ import annotations

from typing import Any, Final

from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.errors import InvalidOption, one_of
from dockmagic.oci.options import JOIN

_HELP: Final = {
    "--pid": "processes it sees: host, or those of container:NAME",
    "--ipc": "shared memory and queues: private, none, shareable, host, or those of container:NAME",
    "--uts": "host name: host",
    "--cgroupns": "control groups it sees: private or host",
    "--userns": "users: host, as there are no others",
}
_MODES: Final = {
    "--pid": ("host",),
    "--ipc": ("private", "none", "shareable", "host"),
    "--uts": ("host",),
    "--cgroupns": ("private", "host"),
    "--userns": ("host",),
}
_JOINING: Final = ("--pid", "--ipc")


def add_namespaces(parser: CommandParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("namespaces")
    for flag, text in _HELP.items():

        def mode(value: str, flag: str = flag) -> str:
            return _mode(flag, value)

        group.add_argument(flag, default="", type=typed(mode), metavar="MODE", help=text)


def namespaces(args: Namespace) -> dict[str, Any]:
    """What the flags ask for, as fields of RunOptions; raises InvalidOption where a host name can't be set."""
    if args.hostname and args.uts == "host":
        raise InvalidOption("--hostname: with --uts host it would be the host's; leave one of them out")
    joined = next((each.network for each in args.network if each.network.startswith(JOIN)), "")
    if args.hostname and joined:
        raise InvalidOption(f"--hostname: with --network {joined} it is that container's; leave one of them out")
    return {"pid": args.pid, "ipc": args.ipc, "uts": args.uts, "cgroupns": args.cgroupns}


def _mode(flag: str, value: str) -> str:
    """A mode that the flag takes, "" among them."""
    if flag in _JOINING and value.startswith(JOIN) and value != JOIN:
        return value
    if value and value not in _MODES[flag]:
        raise InvalidOption(f"{value!r} isn't a mode; use {one_of(_MODES[flag])}")
    return value
