from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dockmagic.errors import Unsupported
from dockmagic.oci.options import DeviceMapping, GpuRequest
from dockmagic.oci.spec import Spec
from dockmagic.runtime import gpus
from dockmagic.runtime.gpus import LIBRARIES, linker_cache, with_gpus
from dockmagic.runtime.sandbox import USUAL_SPEC

CACHE = """3 libs found in cache `/etc/ld.so.cache'
\tlibnvidia-ml.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1
\tlibnvidia-ml.so.1 (libc6) => /usr/lib/i386-linux-gnu/libnvidia-ml.so.1
\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1
\tlibcuda.so (libc6,x86-64, OS ABI: Linux 3.2.0) => /usr/lib/x86_64-linux-gnu/libcuda.so
\tlibGLX_nvidia.so.0 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.0
\tlibc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6
"""
NODES = ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "dri/card0", "dri/renderD128")
FILES = (
    "usr/bin/nvidia-smi",
    "etc/OpenCL/vendors/nvidia.icd",
    "usr/share/vulkan/icd.d/nvidia_icd.json",
    "usr/share/vulkan/icd.d/radeon_icd.json",
)
UUID = "GPU-5d2e"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's files, with two GPUs; their nodes are plain files, and stand for what they are called."""
    for name in (*(f"dev/{node}" for node in NODES), *FILES, "proc/driver/nvidia/gpus/0000:01:00.0/information"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    path.write_text(f"Model: \t\t A card\nGPU UUID: \t {UUID}-01\nDevice Minor: \t 1\n")
    monkeypatch.setattr(gpus, "with_devices", _noting)
    return tmp_path


def _noting(spec: Spec, mappings: list[DeviceMapping], rules: object) -> Spec:
    """The spec with the nodes' paths as its annotations."""
    return replace(spec, annotations={mapping.path: mapping.access for mapping in mappings})


def given(host: Path, *requests: GpuRequest) -> tuple[list[str], dict[str, str], str]:
    """Nodes, mounts (source by destination) and search path that a container gets."""
    spec = with_gpus(USUAL_SPEC, requests, str(host), lambda root: CACHE)
    mounts = {mount.destination: mount.source for mount in spec.mounts if mount not in USUAL_SPEC.mounts}
    path = next((entry for entry in spec.process.env if entry.startswith("LD_LIBRARY_PATH=")), "")
    return list(spec.annotations), mounts, path


def test_all_of_them_with_everything(host: Path) -> None:
    nodes, mounts, path = given(host, GpuRequest(-1))
    assert nodes == [f"/dev/{name}" for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-caps", "dri")]
    assert mounts[f"{LIBRARIES}/libcuda.so.1"] == f"{host}/usr/lib/x86_64-linux-gnu/libcuda.so.1"
    assert f"{LIBRARIES}/libc.so.6" not in mounts
    assert mounts[f"{LIBRARIES}/libnvidia-ml.so.1"].endswith("x86_64-linux-gnu/libnvidia-ml.so.1")
    assert {"/usr/bin/nvidia-smi", "/etc/OpenCL/vendors/nvidia.icd", "/usr/share/vulkan/icd.d/nvidia_icd.json"} <= set(
        mounts
    )
    assert "/usr/share/vulkan/icd.d/radeon_icd.json" not in mounts
    assert path == f"LD_LIBRARY_PATH={LIBRARIES}"


@pytest.mark.parametrize(
    ("request_", "cards"),
    [
        (GpuRequest(1), ["/dev/nvidia0"]),
        (GpuRequest(0, ("1",)), ["/dev/nvidia1"]),
        (GpuRequest(0, (UUID,)), ["/dev/nvidia1"]),
        (GpuRequest(0, ("1", "0")), ["/dev/nvidia1", "/dev/nvidia0"]),
    ],
)
def test_some_of_them(host: Path, request_: GpuRequest, cards: list[str]) -> None:
    assert [node for node in given(host, request_)[0] if node.removeprefix("/dev/nvidia").isdecimal()] == cards


def test_what_for(host: Path) -> None:
    nodes, mounts, _ = given(host, GpuRequest(-1, capabilities=("gpu", "utility")))
    assert "/dev/dri" not in nodes
    assert sorted(mounts) == ["/usr/bin/nvidia-smi", f"{LIBRARIES}/libnvidia-ml.so.1"]
    assert "/usr/share/vulkan/icd.d/nvidia_icd.json" in given(host, GpuRequest(capabilities=("display",)))[1]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (GpuRequest(3), "3 are asked for, and there are 2"),
        (GpuRequest(0, ("7",)), "no GPU 7; there are 0, 1"),
        (GpuRequest(0, ("GPU-0",)), "no GPU GPU-0"),
        (GpuRequest(capabilities=("magic",)), "unknown capability 'magic'"),
    ],
)
def test_what_isn_t_there(host: Path, request_: GpuRequest, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        given(host, request_)


def test_a_host_without_any(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"could not select device driver .* neither /dev/nvidia0 nor /dev/dri"):
        given(tmp_path, GpuRequest(-1))
    assert with_gpus(USUAL_SPEC, (), str(tmp_path)) is USUAL_SPEC


def test_others_than_nvidia_s_have_their_nodes(host: Path) -> None:
    for node in ("nvidia0", "nvidia1"):
        (host / "dev" / node).unlink()
    (host / "dev" / "kfd").touch()
    assert given(host, GpuRequest(-1))[0] == ["/dev/dri", "/dev/kfd"]


def test_the_linker_s_cache_is_read() -> None:
    assert Path(gpus._ENTRY.findall(linker_cache("/"))[0][2]).exists()
