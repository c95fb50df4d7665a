"""What a privileged container gets of this host: capabilities and devices. Source: `docker run --privileged`."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from dockmagic.errors import InvalidOption
from dockmagic.linux import process as p
from dockmagic.oci.convert import capability
from dockmagic.oci.defaults import ALL_CAPABILITIES
from dockmagic.oci.spec import Capabilities, Spec
from dockmagic.runtime.devices import host_devices


def with_host_privileges(spec: Spec) -> Spec:
    """The spec with no capability that this process can't give, and with all of the host's devices."""
    spec = _without(spec, frozenset(ALL_CAPABILITIES) - frozenset(bounding_set()))
    known = {device.path for device in spec.linux.devices}
    more = tuple(device for device in host_devices() if device.path not in known)
    return replace(spec, linux=replace(spec.linux, devices=spec.linux.devices + more))


def with_available_capabilities(spec: Spec, added: Iterable[str]) -> Spec:
    """The spec with those capabilities that this process can give where ALL was added.

    Raises InvalidOption for one that was added by its name and can't be given.
    """
    missing = frozenset(ALL_CAPABILITIES) - frozenset(bounding_set())
    names = frozenset(capability(name) for name in added)
    for name in sorted(names & missing & frozenset(spec.process.capabilities.bounding)):
        raise InvalidOption(
            f"--cap-add {name.removeprefix('CAP_')}: not allowed here; the host doesn't have it to give"
        )
    return _without(spec, missing) if "ALL" in names else spec


def _without(spec: Spec, missing: Container[str]) -> Spec:
    """The spec without some capabilities."""
    kept = tuple(name for name in spec.process.capabilities.bounding if name not in missing)
    return replace(
        spec, process=replace(spec.process, capabilities=Capabilities(bounding=kept, effective=kept, permitted=kept))
    )


def bounding_set() -> tuple[str, ...]:
    """Capabilities in this process's bounding set, by number; those that the kernel doesn't know are none."""
    return tuple(name for number, name in enumerate(ALL_CAPABILITIES) if _has(number))


def _has(number: int) -> bool:
    try:
        return p.prctl(p.PR_CAPBSET_READ, number) == 1
    except OSError:
        return False
