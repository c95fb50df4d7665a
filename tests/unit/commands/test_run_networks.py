from __future__ import annotations

import pytest

from dockmagic.commands.catalogue import by_name
from dockmagic.commands.run_flags import run_options
from dockmagic.errors import InvalidOption
from dockmagic.oci.networks import NetworkOptions
from dockmagic.oci.options import RunOptions


def options(flags: str) -> RunOptions:
    return run_options(by_name()["create"].parser("create").parse_words((*flags.split(), "busybox")))


@pytest.mark.parametrize(
    ("flags", "mode", "networks"),
    [
        ("", "default", ()),
        ("--network none", "none", ()),
        ("--net container:web", "container:web", ()),
        ("--network bridge", "bridge", (NetworkOptions("bridge"),)),
        ("--mac-address 02-AA-00-00-00-01", "default", (NetworkOptions("default", mac="02:aa:00:00:00:01"),)),
        (
            "--network front --network-alias web --net-alias www --ip 10.0.0.9 --ip6 FD00::09 --network back",
            "front",
            (NetworkOptions("front", ("web", "www"), "10.0.0.9", "fd00::9"), NetworkOptions("back")),
        ),
        (
            "--network name=front,alias=web,ip=10.0.0.9,ip6=fd00::9,mac-address=02:aa:00:00:00:01,gw-priority=-1",
            "front",
            (NetworkOptions("front", ("web",), "10.0.0.9", "fd00::9", "02:aa:00:00:00:01", -1),),
        ),
        (
            "--network name=front,driver-opt=com.docker.network.endpoint.ifname=lan0",
            "front",
            (NetworkOptions("front", interface="lan0", driver_options={"com.docker.network.endpoint.ifname": "lan0"}),),
        ),
    ],
)
def test_flags_on_networks(flags: str, mode: str, networks: tuple[NetworkOptions, ...]) -> None:
    found = options(flags)
    assert (found.network, found.networks) == (mode, networks)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--network host --network front", "cannot attach both user-defined and non-user-defined network-modes"),
        ("--network front --network front", "network 'front' is specified multiple times"),
        ("--network name=a,alias=b --network-alias c", "both --network-alias and per-network alias"),
        ("--network name=a,ip=10.0.0.2 --ip 10.0.0.3", "both --ip and per-network IPv4 address"),
        ("--network none --ip 10.0.0.3", "and the network mode none"),
        ("--ip fd00::1", "invalid IPv4 address"),
        ("--ip6 10.0.0.1", "invalid IPv6 address"),
        ("--mac-address 01:00:00:00:00:01", "not a valid mac address"),
        ("--mac-address x", "not a valid mac address"),
        ("--network alias=b", "network name/id is not specified"),
        ("--network name=a,color=red", "invalid field key color"),
        ("--network name=a,gw-priority=x", "write a number"),
        ("--network name=a,driver-opt=x=y", "there is com.docker.network.endpoint.ifname"),
        ("--network name=a,link-local-ip=169.254.1.1", "the kernel chooses it"),
        ("--link-local-ip 169.254.1.1", "the kernel chooses it"),
        ("--network container:", "isn't a network"),
    ],
)
def test_flags_that_contradict_each_other(flags: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        options(flags)
