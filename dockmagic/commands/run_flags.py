"""The flags of run and create, and the options that they mean. Source: docker run's reference."""

from __future__ import annotations

import argparse
import os
from typing import Any

from dockmagic.commands import values
from dockmagic.commands.attach import stream
from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.commands.environment import pairs, variables
from dockmagic.commands.refused import RUN, add_refused
from dockmagic.commands.run_image import add_image_flags, add_notes, notes
from dockmagic.commands.run_life import add_health, add_restart, life
from dockmagic.commands.run_logs import add_logs, logs
from dockmagic.commands.run_mounts import add_mounts, mount_options
from dockmagic.commands.run_names import add_names, name_options
from dockmagic.commands.run_namespaces import add_namespaces, namespaces
from dockmagic.commands.run_networks import add_networks, networks
from dockmagic.commands.run_ports import add_ports, ports
from dockmagic.commands.run_privileges import add_privileges, privileges
from dockmagic.commands.run_resources import add_fixed_limits, add_limits, fixed_limits, limits
from dockmagic.commands.run_shape import add_shape
from dockmagic.errors import InvalidOption
from dockmagic.oci.options import RunOptions


def add_run_flags(parser: CommandParser) -> None:
    """Add every flag of `docker create`, then the image and its command; flags end at the image."""
    _add_identity(parser)
    add_image_flags(parser)
    add_notes(parser)
    add_logs(parser)
    _add_process(parser)
    add_restart(parser)
    add_health(parser)
    add_mounts(parser)
    add_limits(parser)
    add_fixed_limits(parser)
    _add_isolation(parser)
    add_privileges(parser)
    add_namespaces(parser)
    add_names(parser)
    add_ports(parser)
    add_refused(parser, RUN)
    parser.add_argument("image", metavar="IMAGE", help="reference or id of an image")
    parser.add_argument(
        "command", metavar="COMMAND", nargs=argparse.REMAINDER, help="command and arguments, instead of the image's"
    )


def _add_identity(parser: CommandParser) -> None:
    """Add name and life cycle."""
    group = parser.add_argument_group("the container")
    group.add_argument("--name", type=typed(values.container_name), help="name (made up)")
    group.add_argument("--rm", dest="remove", action="store_true", help="remove the container when it has ended")
    group.add_argument("--stop-signal", type=typed(values.signal_name), metavar="SIGNAL", help="signal that stops it")
    group.add_argument(
        "--stop-timeout",
        type=typed(values.natural),
        metavar="SECONDS",
        help="time before it is killed",
    )


def _add_process(parser: CommandParser) -> None:
    """Add what the process is and sees."""
    group = parser.add_argument_group("its process")
    group.add_argument("-i", "--interactive", action="store_true", help="connect standard input")
    group.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    group.add_argument(
        "-a", "--attach", action="append", default=[], type=typed(stream), metavar="STREAM",
        help="connect stdin, stdout or stderr only",
    )  # fmt: skip
    group.add_argument("--init", action="store_true", help="have an init as process 1 that reaps and passes signals on")
    group.add_argument("--entrypoint", metavar="WORD", help='replace the entrypoint; "" clears it')
    group.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a variable; NAME: as here",
    )
    group.add_argument("--env-file", action="append", default=[], metavar="FILE", help="read variables from a file")
    group.add_argument("-u", "--user", default="", metavar="USER[:GROUP]", help="run as, by name or number")
    group.add_argument("--group-add", action="append", default=[], metavar="GROUP", help="add a supplementary group")
    group.add_argument(
        "-w", "--workdir", default="", type=typed(values.working_directory), metavar="DIR", help="working directory"
    )
    group.add_argument("-h", "--hostname", default="", metavar="NAME", help="host name")
    group.add_argument("--domainname", default="", metavar="NAME", help="NIS domain name")
    group.add_argument(
        "--sysctl",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a kernel parameter of its namespaces",
    )


def _add_isolation(parser: CommandParser) -> None:
    """Add file system and networks."""
    group = parser.add_argument_group("isolation")
    group.add_argument("--read-only", action="store_true", help="make the root file system read-only")
    add_networks(parser)
    add_shape(parser)


def run_options(args: Namespace, *, detach: bool = False) -> RunOptions:
    """What the parsed flags ask for. Raises InvalidOption where flags contradict each other."""
    return RunOptions(
        name=args.name or "",
        command=tuple(args.command),
        entrypoint=_entrypoint(args.entrypoint),
        env=variables(args.env, args.env_file, os.environ),
        user=args.user,
        group_add=tuple(args.group_add),
        workdir=args.workdir,
        hostname=args.hostname,
        domainname=args.domainname,
        **notes(args),
        log=logs(args),
        pull=args.pull,
        platform=args.platform,
        interactive=args.interactive,
        tty=args.tty,
        init=args.init,
        remove=args.remove,
        detach=detach,
        **networks(args),
        read_only=args.read_only,
        **mount_options(args),
        sysctls=pairs(args.sysctl),
        stop_signal=args.stop_signal or "",
        stop_timeout_s=args.stop_timeout,
        **life(args),
        **_limits(args),
        net_rate_bits=args.net_rate or 0,
        net_latency_us=args.net_latency or 0,
        **privileges(args),
        **namespaces(args),
        **name_options(args),
        **ports(args),
    )


def _limits(args: Namespace) -> dict[str, Any]:
    """All limits; one of swap alone says nothing without one of memory, unless it is a number."""
    found = {**limits(args), **fixed_limits(args)}
    if not args.memory and args.memory_swap:
        if args.memory_swap > 0:
            raise InvalidOption("--memory-swap limits memory and swap together; give --memory too")
        found["memory_swap_bytes"] = None
    return found


def _entrypoint(text: str | None) -> tuple[str, ...] | None:
    """One word, as Docker takes it; "" clears the image's entrypoint."""
    if text is None:
        return None
    return (text,) if text else ()
