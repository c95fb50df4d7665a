"""Limits and a restart policy changed after a container was made, while it runs too.

Source: docker container update's reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from dockmagic.errors import InvalidOption
from dockmagic.oci.convert import resources
from dockmagic.oci.networks import has_own_links
from dockmagic.oci.options import LimitChanges, RunOptions
from dockmagic.oci.spec import Resources
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.processors import check_available
from dockmagic.runtime.stage import describe

_OTHER_WAY: Final = (("cpu_period_us", "--cpu-period"), ("cpu_quota_us", "--cpu-quota"))


def changed(options: RunOptions, changes: LimitChanges) -> RunOptions:
    """The options with other limits; raises InvalidOption where they don't fit those that stay."""
    _check_swap(options, changes)
    _check_cpu(options, changes)
    if options.remove and changes.get("restart", options.restart).name != "no":
        raise InvalidOption("Restart policy cannot be updated because AutoRemove is enabled for the container")
    check_shape(options.network, {**changes})
    plain: dict[str, Any] = {name: value for name, value in changes.items() if name != "blkio_weight"}
    block_io = replace(options.block_io, weight=changes.get("blkio_weight", options.block_io.weight))
    updated = replace(options, block_io=block_io, **plain)
    check_available(resources(updated).cpu)
    return updated


def check_shape(network: str, asked: Mapping[str, object]) -> None:
    """Raise InvalidOption where links are to be shaped, and the container has none of its own."""
    for name, flag in (("net_rate_bits", "--net-rate"), ("net_latency_us", "--net-latency")):
        if asked.get(name) and not has_own_links(network):
            raise InvalidOption(f"{flag}: a container with --network {network} has no link of its own; choose another")


def _check_swap(options: RunOptions, changes: LimitChanges) -> None:
    """Raise InvalidOption for memory above the limit of memory and swap together, if that one stays."""
    if "memory_bytes" not in changes or "memory_swap_bytes" in changes:
        return
    present = resources(options).memory.swap
    if present is not None and 0 < present < changes["memory_bytes"]:
        raise InvalidOption(
            f"--memory: memory and swap together are limited to {present} bytes; give --memory-swap too, or -1 for it"
        )


def _check_cpu(options: RunOptions, changes: LimitChanges) -> None:
    """Raise InvalidOption where CPU time is limited in the other way already."""
    for name, flag in _OTHER_WAY:
        if changes.get("cpus") and getattr(options, name):
            raise InvalidOption(f"--cpus: {flag} limits the CPU time of this container already; change that")
        if changes.get(name) and options.cpus:
            raise InvalidOption(f"{flag}: --cpus limits the CPU time of this container already; change that")


def put_in_force(cgroup: str, limits: Resources) -> list[str]:
    """Set the limits of a running container's group; warnings for what can't be enforced here.

    Raises InvalidOption where the kernel refuses one, as it does for less memory than is in use (cgroup v1).
    """
    try:
        return Group(hierarchy.detect(), cgroup).apply(replace(limits, devices=()))
    except OSError as error:
        raise InvalidOption(f"the kernel refuses a limit: {describe(error)}; what it has in use may be more") from error
