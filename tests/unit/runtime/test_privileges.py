from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.oci import defaults
from dockmagic.oci.convert import convert
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Root
from dockmagic.runtime import privileges
from dockmagic.runtime.devices import host_devices
from dockmagic.runtime.privileges import bounding_set, with_available_capabilities, with_host_privileges


def test_devices_of_the_host_are_nodes_with_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("/dev/null")
    assert host_devices(str(tmp_path)) == ()
    assert host_devices(str(tmp_path / "none")) == ()
    devices = {device.path: device for device in host_devices()}
    null = devices["/dev/null"]
    assert (null.type, null.major, null.minor) == ("c", 1, 3)
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/", "/dev/console")) for path in devices)


def test_a_privileged_container_gets_what_the_host_has() -> None:
    options = RunOptions(command=("x",), privileged=True, cap_drop=("ALL",))
    spec = with_host_privileges(convert(ContainerConfig(), options, Root(), {}, "h"))
    assert set(spec.process.capabilities.bounding) == set(bounding_set())
    assert (spec.linux.masked_paths, spec.linux.readonly_paths) == ((), ())
    assert spec.linux.resources.devices == defaults.EVERY_DEVICE
    paths = [device.path for device in spec.linux.devices]
    assert len(paths) == len(set(paths))
    assert {"/dev/null", "/dev/tty"} <= set(paths)
    assert not any("ro" in mount.options for mount in spec.mounts if mount.destination.startswith("/sys"))


def test_all_is_what_the_host_has() -> None:
    options = RunOptions(command=("x",), cap_add=("all",), cap_drop=("KILL",))
    spec = with_available_capabilities(convert(ContainerConfig(), options, Root(), {}, "h"), options.cap_add)
    assert set(spec.process.capabilities.effective) == set(bounding_set()) - {"CAP_KILL"}


def test_what_the_host_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "bounding_set", lambda: ("CAP_KILL",))
    options = RunOptions(command=("x",), cap_add=("SYS_TIME",))
    with pytest.raises(InvalidOption, match="--cap-add SYS_TIME"):
        with_available_capabilities(convert(ContainerConfig(), options, Root(), {}, "h"), options.cap_add)


def test_the_bounding_set_is_that_of_this_process() -> None:
    text = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    mask = int(text.split()[1], 16)
    expected = [name for number, name in enumerate(defaults.ALL_CAPABILITIES) if mask >> number & 1]
    assert list(bounding_set()) == expected
