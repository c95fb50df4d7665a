"""A config's resources as ours, and the path of its control group."""

from __future__ import annotations

import pytest

from dockmagic.bundle import limits
from dockmagic.errors import InvalidBundle
from dockmagic.oci import config as c
from dockmagic.oci import defaults
from dockmagic.oci.spec import CPU, DeviceNumber, DeviceRule, Memory


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", "/dockmagic-oci/id"),
        ("/a/b", "/a/b"),
        ("/top", "/top"),
        ("a/b", "/dockmagic-oci/a/b"),
        ("/a//./b/", "/a/b"),
    ],
)
def test_where_the_group_is(path: str, found: str) -> None:
    group = limits.group("id", path)
    assert (group.hierarchies.parent + "/" + group.name).strip("/") == found.strip("/")
    assert limits.group("id", limits.path_of(group)).paths() == group.paths()


@pytest.mark.parametrize("path", ["/", "/a/../../b", ".."])
def test_what_is_no_path_of_a_group(path: str) -> None:
    with pytest.raises(InvalidBundle, match="cgroupsPath"):
        limits.group("id", path)


def test_limits_become_ours() -> None:
    wanted = c.Resources(
        memory=c.Memory(limit=5, swap=9, swappiness=3),
        cpu=c.CPU(shares=512, quota=5, period=6, cpus="0-1"),
        pids=c.Pids(7),
        block_io=c.BlockIO(
            weight=10,
            weight_device=(c.WeightDevice(8, 0, 20),),
            throttle_read_bps_device=(c.ThrottleDevice(8, 0, 99),),
        ),
    )
    found = limits.resources(wanted)
    assert found.memory == Memory(5, 9, None, 3)
    assert found.cpu == CPU(512, 5, 6, "0-1")
    assert found.pids_limit == 7
    assert found.block_io.weight_device == (DeviceNumber(8, 0, 20),)
    assert found.block_io.throttle_read_bps_device == (DeviceNumber(8, 0, 99),)
    assert found.devices == ()


def test_the_usual_devices_may_always_be_used() -> None:
    rules = (DeviceRule(False, "", None, None, ""), DeviceRule(True, "c", -1, 5, "r"))
    found = limits.resources(c.Resources(devices=rules)).devices
    assert found[:2] == (DeviceRule(False, "a"), DeviceRule(True, "c", None, 5, "r"))
    assert found[2:] == tuple(rule for rule in defaults.DEVICE_RULES if rule.allow)
