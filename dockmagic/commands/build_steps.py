"""Flags of a build for its RUN steps: what they see, may use and may do. Source: docker build's reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockmagic.commands import values
from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.commands.run_names import extra_host
from dockmagic.errors import InvalidOption, one_of
from dockmagic.oci.networks import NONE
from dockmagic.runtime.hosts import GATEWAY

if TYPE_CHECKING:
    from dockmagic.builder.settings import ExtraHost, RunSettings


def add_step_flags(parser: CommandParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("RUN")
    group.add_argument(
        "--network",
        default="default",
        type=typed(values.network),
        metavar="NETWORK",
        help="network of RUN: default, none or host",
    )
    group.add_argument(
        "--add-host", action="append", default=[], type=typed(extra_host), metavar="NAME:ADDRESS",
        help="add a line to /etc/hosts",
    )  # fmt: skip
    group.add_argument(
        "--allow", action="append", default=[], type=typed(entitlement), metavar="ENTITLEMENT",
        help="let the Dockerfile use RUN --security=insecure (security.insecure) or --network=host (network.host)",
    )  # fmt: skip
    group.add_argument(
        "--shm-size", type=typed(values.size_bytes), default=64 << 20, metavar="SIZE", help="size of /dev/shm (64m)"
    )
    group.add_argument(
        "--ulimit", action="append", default=[], type=typed(values.ulimit), metavar="NAME=SOFT[:HARD]",
        help="set a limit",
    )  # fmt: skip
    _add_limits(parser)


def _add_limits(parser: CommandParser) -> None:
    """Add the limits of the cgroup."""
    group = parser.add_argument_group("limits of each RUN")
    group.add_argument("-m", "--memory", type=typed(values.memory_bytes), metavar="SIZE", help="most memory: 64m")
    group.add_argument(
        "--memory-swap", type=typed(values.swap_bytes), metavar="SIZE", help="most memory and swap; -1: no limit"
    )
    group.add_argument("-c", "--cpu-shares", type=typed(values.cpu_shares), metavar="N", help="relative CPU weight")
    group.add_argument(
        "--cpu-period", type=typed(values.cpu_period), metavar="US", help="period of --cpu-quota, 1000 to 1000000 µs"
    )
    group.add_argument("--cpu-quota", type=typed(values.cpu_quota), metavar="US", help="most CPU time in a period")
    group.add_argument("--cpuset-cpus", default="", type=typed(values.cpu_list), metavar="LIST", help="CPUs: 0-2,4")
    group.add_argument(
        "--cpuset-mems", default="", type=typed(values.cpu_list), metavar="LIST", help="memory nodes: 0-1"
    )


def run_settings(args: Namespace) -> RunSettings:
    """What the flags say. Raises InvalidOption."""
    from dockmagic.builder.settings import Limits, RunSettings

    limits = Limits(
        args.memory,
        args.memory_swap,
        args.cpu_shares,
        args.cpu_period,
        args.cpu_quota,
        args.cpuset_cpus,
        args.cpuset_mems,
    )
    return RunSettings(
        extra_hosts=tuple(_extra_host(name, address, args.network) for name, address in args.add_host),
        shm_size_bytes=args.shm_size,
        ulimits=tuple(args.ulimit),
        limits=limits,
        allow=frozenset(args.allow),
    )


def entitlement(text: str) -> str:
    """One of ENTITLEMENTS, unchanged."""
    from dockmagic.builder.settings import ENTITLEMENTS

    if text in ENTITLEMENTS:
        return text
    raise InvalidOption(f"{text!r} isn't an entitlement that can be given here; it can be {one_of(ENTITLEMENTS)}")


def _extra_host(name: str, address: str, network: str) -> ExtraHost:
    """The host, whose address may be that of this machine where RUN has a way to it."""
    from dockmagic.builder.settings import ExtraHost

    if address == GATEWAY and network == NONE:
        reason = "with --network none RUN has only a loopback, which no gateway leads out of; name an address"
        raise InvalidOption(f"--add-host {name}:{GATEWAY}: {reason}")
    return ExtraHost(name, address)
