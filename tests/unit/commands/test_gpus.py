from __future__ import annotations

import pytest

from dockmagic.commands.gpus import gpus
from dockmagic.errors import InvalidOption
from dockmagic.oci.options import GpuRequest


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("all", GpuRequest(-1)),
        ("2", GpuRequest(2)),
        ("count=2", GpuRequest(2)),
        ("device=GPU-1", GpuRequest(0, ("GPU-1",))),
        ('"device=0,2"', GpuRequest(0, ("0", "2"))),
        ("capabilities=utility", GpuRequest(1, (), ("utility",))),
        ('all,driver=nvidia,"capabilities=compute,utility"', GpuRequest(-1, (), ("compute", "utility"))),
    ],
)
def test_what_is_asked_for(text: str, request_: GpuRequest) -> None:
    assert gpus(text) == request_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("some", r'invalid count \(some\): value must be either "all" or an integer'),
        ("0", "invalid count"),
        ("1,2", "'count' can be specified only once"),
        ("device=0,1", "cannot set both Count and DeviceIDs"),
        ("foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("driver=amd", "could not select device driver 'amd'"),
    ],
)
def test_what_nobody_can_mean(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        gpus(text)
