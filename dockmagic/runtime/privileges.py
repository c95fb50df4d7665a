"""What a privileged container gets of this host: capabilities and devices. Source: `docker run --privileged`."""

from __future__ import annotations

from dataclasses import replace

from dockmagic.linux import process as p
from dockmagic.oci.defaults import ALL_CAPABILITIES
from dockmagic.oci.spec import Capabilities, Spec
from dockmagic.runtime.devices import host_devices


def with_host_privileges(spec: Spec) -> Spec:
    """The spec with no capability that this process can't give, and with all of the host's devices."""
    capabilities = spec.process.capabilities
    permitted = frozenset(bounding_set())
    kept = tuple(name for name in capabilities.bounding if name in permitted)
    process = replace(spec.process, capabilities=Capabilities(bounding=kept, effective=kept, permitted=kept))
    known = {device.path for device in spec.linux.devices}
    more = tuple(device for device in host_devices() if device.path not in known)
    return replace(spec, process=process, linux=replace(spec.linux, devices=spec.linux.devices + more))


def bounding_set() -> tuple[str, ...]:
    """Capabilities in this process's bounding set, by number; those that the kernel doesn't know are none."""
    return tuple(name for number, name in enumerate(ALL_CAPABILITIES) if _has(number))


def _has(number: int) -> bool:
    try:
        return p.prctl(p.PR_CAPBSET_READ, number) == 1
    except OSError:
        return False
