from __future__ import annotations

import os

import pytest

from dockmagic.image.platform import choose, describe, host_platform, suits
from dockmagic.oci.descriptor import OCI_MANIFEST, Descriptor, Platform
from dockmagic.oci.digest import Digest


def entry(name: str) -> Descriptor:
    os_name, _, rest = name.partition("/")
    architecture, _, variant = rest.partition("/")
    platform = Platform(os_name, architecture, variant) if name else None
    return Descriptor(OCI_MANIFEST, Digest.of(name.encode()), 1, platform=platform)


def wanted(name: str) -> Platform:
    platform = entry(name).platform
    assert platform is not None
    return platform


@pytest.mark.parametrize(
    ("offers", "for_platform", "chosen"),
    [
        ("linux/arm64 linux/amd64", "linux/amd64", "linux/amd64"),
        ("linux/arm64/v8 linux/amd64", "linux/arm64", "linux/arm64/v8"),
        ("linux/arm64", "linux/arm64/v8", "linux/arm64"),
        ("linux/arm/v5 linux/arm/v6 linux/arm/v7", "linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v5 linux/arm/v6", "linux/arm/v7", "linux/arm/v6"),
        ("linux/arm/v7", "linux/arm/v6", None),
        ("linux/amd64/v3 linux/amd64", "linux/amd64", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64", None),
        ("linux/amd64 linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v2"),
        ("unknown/unknown windows/amd64", "linux/amd64", None),
        ("linux/s390x", "linux/s390x", "linux/s390x"),
        ("", "linux/amd64", None),
    ],
)
def test_the_best_entry_is_chosen(offers: str, for_platform: str, chosen: str | None) -> None:
    expected = None if chosen is None else entry(chosen)
    assert choose([entry(name) for name in offers.split()], wanted(for_platform)) == expected


def test_an_entry_without_a_platform_is_the_last_resort() -> None:
    assert choose([entry(""), entry("linux/amd64")], wanted("linux/amd64")) == entry("linux/amd64")
    assert choose([entry("")], wanted("linux/amd64")) == entry("")


def test_this_machine_suits_itself() -> None:
    host = host_platform()
    assert host.os == "linux"
    assert suits(host, host)
    assert not suits(Platform("plan9", host.architecture), host)
    if os.uname().machine == "x86_64":
        assert describe(host) == "linux/amd64"
    assert describe(wanted("linux/arm/v7")) == "linux/arm/v7"
