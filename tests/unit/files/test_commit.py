from __future__ import annotations

from typing import Any

import pytest

from dockmagic.files.commit import container_config
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.options import RunOptions

IMAGE = ContainerConfig(
    user="u",
    env=("PATH=/bin", "A=1"),
    entrypoint=("e",),
    cmd=("c",),
    working_dir="/w",
    labels={"l": "1"},
    on_build=("RUN x",),
    exposed_ports=("80/tcp",),
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"entrypoint": ("e",), "cmd": ("c",), "user": "u", "working_dir": "/w", "exposed_ports": ("80/tcp",)}),
        ({"command": ("x", "y")}, {"entrypoint": ("e",), "cmd": ("x", "y")}),
        ({"entrypoint": ("f",)}, {"entrypoint": ("f",), "cmd": None}),
        ({"entrypoint": ("f",), "command": ("x",)}, {"entrypoint": ("f",), "cmd": ("x",)}),
        ({"entrypoint": (), "command": ("x",)}, {"entrypoint": None, "cmd": ("x",)}),
        ({"env": ("A=2", "B=3", "C")}, {"env": ("PATH=/bin", "A=2", "B=3")}),
        (
            {"user": "v", "workdir": "/x", "stop_signal": "INT"},
            {"user": "v", "working_dir": "/x", "stop_signal": "INT"},
        ),
        ({"labels": {"m": "2"}}, {"labels": {"l": "1", "m": "2"}}),
        ({}, {"on_build": ()}),
    ],
)
def test_an_image_starts_as_its_container_did(options: dict[str, Any], expected: dict[str, Any]) -> None:
    config = container_config(IMAGE, RunOptions(**options))
    assert {name: getattr(config, name) for name in expected} == expected
