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
from dockmagic.runtime.seccomp import default_filter
from dockmagic.runtime.seccomp_json import profile_filter


def make_spec(config: ContainerConfig, options: RunOptions, overlay: Overlay, hostname: str) -> Spec:
    """The runtime spec of a container; writes nothing. Raises InvalidOption, Unsupported."""
    if "host" in (options.network, options.uts) and not options.hostname:
        hostname = os.uname().nodename
    for name in options.sysctls:
        sysctl.check(name, host_network=options.network == "host", host_ipc=options.ipc == "host")
    joined = options.joined().get("network", "")  # whose network it has, its names it has, too
    sources = etc.sources(files_directory(overlay, joined))
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


def files_directory(overlay: Overlay, other: str = "") -> str:
    """Where the generated files are: beside what the container writes, since it can write to them just as much.

    With `other` those of the container that has this ID.
    """
    directory = os.path.dirname(overlay.upper)
    return f"{os.path.dirname(directory)}/{other}/etc" if other else f"{directory}/etc"


def generated_files(spec: Spec, options: RunOptions, networking: Networking = NOWHERE) -> AbstractContextManager[None]:
    """Write the container's generated files for a start, which is to happen inside the context; InvalidOption."""
    assert spec.root.overlay is not None
    directory, hostname = files_directory(spec.root.overlay), spec.hostname or os.uname().nodename
    return etc.written(directory, etc.texts(options, hostname, networking, etc.host()))
