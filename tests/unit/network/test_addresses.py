from __future__ import annotations

from ipaddress import ip_network

import pytest

from dockmagic.errors import Conflict, InvalidOption
from dockmagic.network.addresses import candidates, check_address, free_subnet, next_address, unique_local
from dockmagic.network.model import Subnet

SUBNET = Subnet("10.1.0.0/24", "10.1.0.1", "10.1.0.128/30", {"router": "10.1.0.129"})


def test_the_first_free_subnet_of_the_pools() -> None:
    assert free_subnet([]) == Subnet("172.17.0.0/16", "172.17.0.1")
    taken = [ip_network(text) for text in ("172.16.0.0/12", "192.168.0.0/24", "fd00::/8")]
    assert free_subnet(taken).cidr == "192.168.16.0/20"
    assert free_subnet([], start=3).cidr == "172.20.0.0/16"
    with pytest.raises(Conflict, match="all predefined address pools"):
        free_subnet(candidates())


def test_a_range_is_gone_through_without_reserved_addresses() -> None:
    assert next_address(SUBNET, 0, lambda _: False) == "10.1.0.128"
    assert next_address(SUBNET, int(ip_network(SUBNET.cidr)[128]), lambda _: False) == "10.1.0.130"
    with pytest.raises(Conflict, match="no available addresses"):
        next_address(SUBNET, 0, lambda _: True)


@pytest.mark.parametrize("address", ["10.1.0.1", "10.1.0.0", "10.1.0.255", "10.1.0.129", "10.2.0.1", "fd00::1", "x"])
def test_addresses_that_cant_be_asked_for(address: str) -> None:
    with pytest.raises(InvalidOption, match=f"--ip {address}"):
        check_address(address, SUBNET, "--ip")
    assert check_address("10.1.0.9", SUBNET, "--ip") == "10.1.0.9"


def test_subnets_of_ipv6_are_private() -> None:
    subnet = unique_local()
    assert subnet.network.is_private
    assert subnet.prefix == 64
    assert subnet.gateway == str(subnet.network[1])
