"""The flags that limit what a container may use, for run, create and update. Source: docker run's reference."""

from __future__ import annotations

import os
from typing import Any

from dockmagic.commands import block_io, values
from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.errors import InvalidOption


def add_limits(parser: CommandParser) -> None:
    """Add the limits of the cgroup that can be changed later, too; None where a flag isn't given."""
    group = parser.add_argument_group("limits")
    group.add_argument("-m", "--memory", type=typed(values.memory_bytes), metavar="SIZE", help="most memory: 64m")
    group.add_argument(
        "--memory-swap",
        type=typed(values.swap_bytes),
        metavar="SIZE",
        help="most memory and swap; -1: no limit",
    )
    group.add_argument(
        "--memory-reservation", type=typed(values.size_bytes), metavar="SIZE", help="memory left to it under pressure"
    )
    group.add_argument("--cpus", type=typed(values.cpus), metavar="N", help="most CPU time, in cores, such as 0.5")
    group.add_argument("-c", "--cpu-shares", type=typed(values.cpu_shares), metavar="N", help="relative CPU weight")
    group.add_argument(
        "--cpu-period", type=typed(values.cpu_period), metavar="US", help="time over which --cpu-quota counts (100000)"
    )
    group.add_argument("--cpu-quota", type=typed(values.cpu_quota), metavar="US", help="most CPU time in each period")
    for what, kind in (("cpus", "CPUs to run on"), ("mems", "memory nodes to use")):
        group.add_argument(
            f"--cpuset-{what}", type=typed(values.cpu_list), metavar="LIST", help=f"{kind}, such as 0-2,4"
        )
    group.add_argument(
        "--pids-limit", type=typed(values.pids_limit), metavar="N", help="most processes and threads; -1: no limit"
    )
    group.add_argument(
        "--blkio-weight", type=typed(block_io.weight), metavar="N", help="relative weight of disk I/O, 10 to 1000"
    )


def add_fixed_limits(parser: CommandParser) -> None:
    """Add the limits that stay as they are when the container was made."""
    group = parser.add_argument_group("limits that stay")
    block_io.add_device_flags(group)
    group.add_argument("--memory-swappiness", type=typed(values.swappiness), metavar="N", help="0 to 100 (cgroup v1)")
    group.add_argument("--oom-kill-disable", action="store_true", help="wait for memory instead (cgroup v1)")
    group.add_argument(
        "--oom-score-adj", type=typed(values.oom_score), metavar="N", help="-1000 to 1000: more is killed earlier"
    )
    group.add_argument(
        "--shm-size", type=typed(values.size_bytes), default=64 << 20, metavar="SIZE", help="size of /dev/shm (64m)"
    )
    group.add_argument(
        "--ulimit",
        action="append",
        default=[],
        type=typed(values.ulimit),
        metavar="NAME=SOFT[:HARD]",
        help="set a limit",
    )


def limits(args: Namespace) -> dict[str, Any]:
    """The limits that the flags of `add_limits` ask for, as fields of RunOptions; None and "" for what isn't given.

    Raises InvalidOption where they contradict each other.
    """
    _check_memory(args)
    _check_cpus(args)
    return {
        "memory_bytes": args.memory or None,
        "memory_swap_bytes": args.memory_swap or None,
        "memory_reservation_bytes": args.memory_reservation or None,
        "cpus": args.cpus or None,
        "cpu_shares": args.cpu_shares or None,
        "cpu_period_us": args.cpu_period or None,
        "cpu_quota_us": args.cpu_quota or None,
        "cpuset_cpus": args.cpuset_cpus or "",
        "cpuset_mems": args.cpuset_mems or "",
        "pids_limit": args.pids_limit,
    }


def fixed_limits(args: Namespace) -> dict[str, Any]:
    """The other limits, as fields of RunOptions."""
    return {
        "block_io": block_io.from_flags(args),
        "memory_swappiness": args.memory_swappiness,
        "oom_kill_disable": args.oom_kill_disable,
        "oom_score_adj": args.oom_score_adj,
        "shm_size_bytes": args.shm_size,
        "ulimits": tuple(args.ulimit),
    }


def _check_memory(args: Namespace) -> None:
    """Raise InvalidOption unless memory, swap and reservation fit together (docker/cli, "verifyContainerResources")."""
    memory, swap, reservation = args.memory, args.memory_swap, args.memory_reservation
    if swap and memory and 0 < swap < memory:
        raise InvalidOption("--memory-swap is memory and swap together, so it can't be less than --memory")
    if memory and reservation and reservation > memory:
        raise InvalidOption("--memory-reservation can't be more than --memory")


def _check_cpus(args: Namespace) -> None:
    """Raise InvalidOption for two ways to say one limit, and where more CPUs are asked for than this machine has."""
    if args.cpus and (args.cpu_period or args.cpu_quota):
        other = "--cpu-period" if args.cpu_period else "--cpu-quota"
        raise InvalidOption(f"--cpus and {other} both limit CPU time; give one of them")
    there = os.cpu_count()
    if args.cpus and there and args.cpus > there:
        raise InvalidOption(
            f"--cpus {args.cpus:g}: there are only {there} CPUs here; write a number from 0.01 to {there}"
        )
