"""Devices of the host for a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.oci import defaults
from dockmagic.oci.options import DeviceMapping
from dockmagic.oci.spec import DeviceRule, Linux, Process, Resources, Root, Spec
from dockmagic.runtime.devices import with_devices

SPEC = Spec(
    Process(("x",)), Root(), linux=Linux(devices=defaults.DEVICES, resources=Resources(devices=defaults.DEVICE_RULES))
)


def test_a_device_is_a_node_and_a_rule() -> None:
    spec = with_devices(SPEC, [DeviceMapping("/dev/null", "/dev/nothing", "r")], [DeviceRule(True, "c", 42)])
    node = spec.linux.devices[-1]
    status = Path("/dev/null").stat()
    assert (node.path, node.type, node.major, node.minor) == ("/dev/nothing", "c", 1, 3)
    assert (node.uid, node.gid, node.file_mode) == (status.st_uid, status.st_gid, status.st_mode & 0o7777)
    assert spec.linux.resources.devices[-2:] == (DeviceRule(True, "c", 1, 3, "r"), DeviceRule(True, "c", 42))
    assert len(spec.linux.devices) == len(SPEC.linux.devices) + 1


def test_a_device_takes_the_place_of_a_usual_one_and_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    spec = with_devices(SPEC, [DeviceMapping(str(tmp_path / "link"), "/dev/null")], [])
    assert [device.minor for device in spec.linux.devices if device.path == "/dev/null"] == [5]


def test_a_directory_of_devices() -> None:
    spec = with_devices(SPEC, [DeviceMapping("/dev", "/dev/host")], [])
    assert "/dev/host/null" in {device.path for device in spec.linux.devices}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/dev/no-such-device", "No such file"),
        ("/etc/passwd", "it is no device"),
        ("/proc/sys/kernel", "it is no device"),
    ],
)
def test_what_is_no_device(source: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=f"--device {source}: {message}"):
        with_devices(SPEC, [DeviceMapping(source, "/dev/x")], [])
