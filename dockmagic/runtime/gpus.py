"""GPUs of the host for a container: their nodes in /dev, and the driver's libraries, programs and descriptions.

Without NVIDIA's own tool, what it would bring in is looked up: libraries by their names in the linker's cache, files by
their usual paths. Libraries come to a directory of their own, since an image may keep others at the host's paths.
Source: ldconfig(8); NVIDIA's container library (nvc_info.c) for which file serves which capability; the Vulkan loader's
and OpenCL's documentation for theirs.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from glob import glob
from os.path import exists, isfile
from typing import Final

from dockmagic.errors import Unsupported
from dockmagic.oci.options import DeviceMapping, GpuRequest
from dockmagic.oci.spec import Mount, Spec
from dockmagic.runtime.devices import with_devices

LIBRARIES: Final = "/usr/local/nvidia/lib64"
EVERY: Final = -1
CAPABILITIES: Final = ("compute", "utility", "graphics", "display", "video", "ngx")
_GENERAL: Final = {"gpu", "nvidia", "compat32"}
_DRAWING: Final = {"graphics", "display"}
_SHARED: Final = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")
_LIBRARY: Final = {
    "utility": r"libnvidia-(ml|cfg|nscq)",
    "compute": r"libcuda(debugger)?|libOpenCL|"
    r"libnvidia-(opencl|gpucomp|ptxjitcompiler|allocator|compiler|pkcs11.*|nvvm)",
    "video": r"libvdpau_nvidia|libnvcuvid|libnvidia-(encode|opticalflow)",
    "graphics": r"lib(GLX|EGL|GLESv1_CM|GLESv2)_nvidia|libnvoptix|"
    r"libnvidia-(e?glcore|tls|glsi|fbc|rtcore|glvkspirv|cbl|egl.*)",
    "ngx": r"libnvidia-ngx",
}  # fmt: skip
_FILES: Final = {
    "utility": ("/usr/bin/nvidia-smi", "/usr/bin/nvidia-debugdump", "/usr/bin/nvidia-persistenced"),
    "compute": ("/usr/bin/nvidia-cuda-mps-control", "/usr/bin/nvidia-cuda-mps-server", "/etc/OpenCL/vendors/*.icd"),
    "graphics": (
        "/usr/share/vulkan/icd.d/nvidia*.json", "/etc/vulkan/icd.d/nvidia*.json",
        "/usr/share/vulkan/implicit_layer.d/nvidia*.json", "/etc/vulkan/implicit_layer.d/nvidia*.json",
        "/usr/share/glvnd/egl_vendor.d/*nvidia*.json", "/etc/glvnd/egl_vendor.d/*nvidia*.json",
        "/usr/share/egl/egl_external_platform.d/*nvidia*.json", "/usr/share/nvidia/nvoptix.bin",
    ),
}  # fmt: skip
_ENTRY: Final = re.compile(r"\t(\S+) \((\S+)(?:, [^)]*)?\) => (\S+)")
_WORD_SIZE: Final = ("libc6,x86-64", "libc6,AArch64")  # a process of 64 bits loads no others


def linker_cache(root: str) -> str:
    """What the linker's cache has, as text; "" where there is none."""
    for program in ("/sbin/ldconfig", "/usr/sbin/ldconfig"):
        if exists(program):
            command = [program, "-p"] if root == "/" else [program, "-p", "-r", root]
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return ""


def with_gpus(
    spec: Spec, requests: Sequence[GpuRequest], root: str = "/", cache: Callable[[str], str] = linker_cache
) -> Spec:
    """The spec with these GPUs of the host whose files are below `root`. Raises Unsupported where there are none."""
    if not requests:
        return spec
    wanted = frozenset(word for request in requests for word in request.capabilities) - _GENERAL
    if unknown := wanted.difference(CAPABILITIES):
        raise Unsupported("--gpus", f"unknown capability {min(unknown)!r}; there are {', '.join(CAPABILITIES)}")
    wanted = wanted or frozenset(CAPABILITIES)
    below = root.rstrip("/")
    nodes = dict.fromkeys(node for request in requests for node in _nodes(below, request, wanted))
    spec = with_devices(spec, [DeviceMapping(f"{below}{node}", node, "rw") for node in nodes], ())
    mounts = (*_libraries(below, wanted, cache(root)), *_files(below, wanted))
    if not any(mount.destination.startswith(LIBRARIES) for mount in mounts):
        return replace(spec, mounts=(*spec.mounts, *mounts))
    process = replace(spec.process, env=_with_path(spec.process.env))
    return replace(spec, process=process, mounts=(*spec.mounts, *mounts))


def _nodes(below: str, request: GpuRequest, wanted: frozenset[str]) -> Iterator[str]:
    """Nodes of the GPUs that are asked for. Raises Unsupported."""
    cards = _numbered(below, "/dev/nvidia")
    yield from (cards[number] for number in _chosen(cards or _numbered(below, "/dev/dri/renderD"), request, below)
                if number in cards)  # fmt: skip
    if cards:
        yield from (f"/dev/{name}" for name in _SHARED if exists(f"{below}/dev/{name}"))
    if not cards or wanted & _DRAWING:
        yield from (node for node in ("/dev/dri", "/dev/kfd") if exists(f"{below}{node}"))


def _numbered(below: str, prefix: str) -> dict[int, str]:
    """Nodes whose names are the prefix and a number, by number."""
    found = (name.removeprefix(below) for name in glob(f"{below}{prefix}[0-9]*"))
    return {int(node.removeprefix(prefix)): node for node in sorted(found) if node.removeprefix(prefix).isdecimal()}


def _chosen(cards: dict[int, str], request: GpuRequest, below: str) -> list[int]:
    """Numbers of the cards that are asked for. Raises Unsupported where there aren't so many."""
    if not cards:
        where = "this machine has neither /dev/nvidia0 nor /dev/dri"
        raise Unsupported("--gpus", f"could not select device driver with capabilities: [[gpu]]: {where}")
    if request.devices:
        return [_number(device, cards, below) for device in request.devices]
    if request.count > len(cards):
        raise Unsupported("--gpus", f"{request.count} are asked for, and there are {len(cards)}")
    return sorted(cards)[: None if request.count == EVERY else request.count]


def _number(device: str, cards: dict[int, str], below: str) -> int:
    """Number of a card that is named by number or UUID. Raises Unsupported."""
    for path in glob(f"{below}/proc/driver/nvidia/gpus/*/information"):
        with open(path) as file:
            lines = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in file)}
        if device.startswith("GPU-") and lines.get("GPU UUID", "").startswith(device):
            return int(lines.get("Device Minor", "-1"))
    if not device.isdecimal() or int(device) not in cards:
        raise Unsupported("--gpus", f"there is no GPU {device}; there are {', '.join(map(str, sorted(cards)))}")
    return int(device)


def _libraries(below: str, wanted: Iterable[str], cache: str) -> Iterator[Mount]:
    """The driver's libraries that serve what is wanted, by the names that programs load them by."""
    kinds = "|".join(_LIBRARY[kind] for kind in sorted(wanted) if kind in _LIBRARY)
    name_of = re.compile(rf"({kinds})\.so(\.\d+)*")
    for name, kind, path in _ENTRY.findall(cache):
        if kinds and kind.startswith(_WORD_SIZE) and name_of.fullmatch(name):
            yield _bind(f"{below}{path}", f"{LIBRARIES}/{name}")


def _files(below: str, wanted: frozenset[str]) -> Iterator[Mount]:
    """Programs and descriptions, where they are on the host."""
    for kind in sorted(wanted | ({"graphics"} if wanted & _DRAWING else set())):
        for pattern in _FILES.get(kind, ()):
            for path in sorted(glob(f"{below}{pattern}")):
                if isfile(path):
                    yield _bind(path, path.removeprefix(below))


def _bind(source: str, destination: str) -> Mount:
    return Mount(destination, "bind", source, ("bind", "ro", "nosuid", "nodev", "rprivate"))


def _with_path(env: Sequence[str]) -> tuple[str, ...]:
    """The variables, with the libraries' directory in the path that programs search for them."""
    found = dict(entry.partition("=")[::2] for entry in env)
    paths = [path for path in found.get("LD_LIBRARY_PATH", "").split(":") if path]
    found["LD_LIBRARY_PATH"] = ":".join([*paths, *([] if LIBRARIES in paths else [LIBRARIES])])
    return tuple(f"{name}={value}" for name, value in found.items())
