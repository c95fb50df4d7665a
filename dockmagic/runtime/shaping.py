"""How fast a container's links are, and how long packets take on them: a queue at each end, so for both directions.

The queue of the host's end shapes what the container receives, that of its own end what it sends. A container with
CAP_NET_ADMIN may change the latter. Source: tc-tbf(8), tc-netem(8), rtnetlink(7).
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import rtnetlink as rt
from dockmagic.linux.netlink import Message, Netlink
from dockmagic.oci.networks import Shape
from dockmagic.runtime.links import netlink_in
from dockmagic.runtime.stage import Failed, stage

_QUEUE_S: Final = 0.1
_BURST_S: Final = 0.01
_LEAST_BURST: Final = 16 << 10
_PACKET_BYTES: Final = 1000
_MOST_PACKETS: Final = 100_000
_MISSING: Final = "this kernel has no {kind} queue (sch_{kind}); leave out {flag}"


def shape(namespace: int, names: Iterable[str], wanted: Shape) -> None:
    """Give the links with these names in a network namespace, a descriptor, this shape; raises Failed."""
    with stage("network", "shape the container's links"), Netlink() as host, netlink_in(namespace) as inside:
        for name in names:
            index = inside.index(name)
            if index:
                _set(inside, index, wanted)
                _set(host, rt.peer_of(inside, index), wanted)


def _set(netlink: Netlink, index: int, wanted: Shape) -> None:
    """Have such a queue for what a link sends, or none. Raises OSError, Failed."""
    if not wanted:
        with contextlib.suppress(FileNotFoundError):  # there is none
            netlink.send([rt.delete_queue(index)])
        return
    try:
        netlink.send([_queue(index, wanted)])
    except FileNotFoundError as error:
        kind, flag = ("netem", "--net-latency") if wanted.latency_us else ("tbf", "--net-rate")
        raise Failed(Failure("network", errno.ENOENT, _MISSING.format(kind=kind, flag=flag))) from error


def _queue(index: int, wanted: Shape) -> Message:
    """The queue: a token bucket where there is only a rate, as more kernels have that; netem does both."""
    rate = wanted.rate_bits // 8
    if not wanted.latency_us:
        burst = max(_LEAST_BURST, int(rate * _BURST_S))
        return rt.new_tbf(index, rate, burst, burst + int(rate * _QUEUE_S))
    return rt.new_netem(index, rate, wanted.latency_us * 1000, packets(wanted))


def packets(wanted: Shape) -> int:
    """Packets that may wait for their latency: those on their way, and at a limited rate some more.

    >>> packets(Shape(8_000_000, latency_us=50_000)), packets(Shape(latency_us=50_000))
    (150, 100000)
    """
    if not wanted.rate_bits:
        return _MOST_PACKETS
    waiting_s = _QUEUE_S + wanted.latency_us / 1e6
    return min(_MOST_PACKETS, max(32, round(wanted.rate_bits / 8 * waiting_s / _PACKET_BYTES)))
