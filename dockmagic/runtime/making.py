"""A container's spec, made for this host: image config and options, generated files, the system call filter."""

from __future__ import annotations

import base64
import os
from contextlib import AbstractContextManager
from dataclasses import replace

from dockmagic.oci.convert import convert
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Overlay, Root, Spec
from dockmagic.runtime import etc, sysctl
from dockmagic.runtime.devices import with_devices
from dockmagic.runtime.gpus import with_gpus
from dockmagic.runtime.networking import NOWHERE, Networking
from dockmagic.runtime.privileges import with_available_capabilities, with_host_privileges
from dockmagic.runtime.processors import check_available
from dockmagic.runtime.request import container_directory
from dockmagic.runtime.seccomp import default_filter
from dockmagic.runtime.seccomp_json import profile_filter


def make_spec(
    run_dir: str, container_id: str, config: ContainerConfig, options: RunOptions, overlay: Overlay, hostname: str
) -> Spec:
    """The runtime spec of a container; writes nothing. Raises InvalidOption, Unsupported."""
    if "host" in (options.network, options.uts) and not options.hostname:
        hostname = os.uname().nodename
    for name in options.sysctls:
        sysctl.check(name, host_network=options.network == "host", host_ipc=options.ipc == "host")
    sources = etc.sources(container_directory(run_dir, container_id))
    spec = convert(config, options, Root(overlay=overlay), sources, hostname)
    check_available(spec.linux.resources.cpu)
    spec = with_gpus(with_devices(spec, options.devices, options.device_rules), options.gpus)
    if options.privileged:
        return with_host_privileges(spec)
    if options.cap_add:
        spec = with_available_capabilities(spec, options.cap_add)
    if options.seccomp == "unconfined":
        return spec
    capabilities = frozenset(spec.process.capabilities.bounding)
    program = default_filter(capabilities)
    if options.seccomp == "profile":
        program = profile_filter(options.seccomp_profile, capabilities)
    return replace(spec, linux=replace(spec.linux, seccomp_filter=base64.b64encode(program).decode()))


def generated_files(
    run_dir: str, container_id: str, spec: Spec, options: RunOptions, networking: Networking = NOWHERE
) -> AbstractContextManager[None]:
    """Write the container's generated files for a start, which is to happen inside the context."""
    directory, hostname = container_directory(run_dir, container_id), spec.hostname or os.uname().nodename
    names = f"{hostname}.{options.domainname} {hostname}" if options.domainname else hostname
    own = tuple((names, address) for address in networking.addresses)
    return etc.written(directory, hostname, options.network, extra_hosts=(*options.extra_hosts, *own))
