from __future__ import annotations

import json
from typing import Any

import pytest

from dockmagic.errors import InvalidManifest
from dockmagic.oci import defaults
from dockmagic.oci.codec import decode, encode, known
from dockmagic.oci.config import Config
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import (
    CPU,
    BlockIO,
    DeviceNumber,
    Linux,
    Memory,
    Mount,
    Overlay,
    Process,
    Resources,
    Rlimit,
    Root,
    Spec,
    User,
)

SPEC = Spec(
    Process(
        ("sh", "-c", "true"),
        env=("A=1",),
        user=User(username="node"),
        rlimits=(Rlimit("RLIMIT_NOFILE", 1, 2),),
        no_new_privileges=True,
    ),
    Root(overlay=Overlay(("/l",), "/u", "/w", volatile=True)),
    hostname="box",
    mounts=defaults.mounts(1),
    linux=Linux(
        resources=Resources(
            Memory(1, -1), CPU(quota=5, period=6), BlockIO(9, (DeviceNumber(8, 0, 9),)), 7, defaults.DEVICE_RULES
        ),
        devices=defaults.DEVICES,
        sysctl={"net.ipv4.ip_forward": "1"},
    ),
)


@pytest.mark.parametrize("value", [SPEC, RunOptions(), RunOptions(cpus=1.5, entrypoint=(), labels={"a": "b"})])
def test_values_survive_json(value: Any) -> None:
    assert decode(type(value), json.loads(json.dumps(encode(value)))) == value


def test_names_are_the_specifications_and_defaults_are_left_out() -> None:
    assert encode(SPEC.process) == {
        "args": ["sh", "-c", "true"],
        "env": ["A=1"],
        "user": {"username": "node"},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}],
        "noNewPrivileges": True,
    }
    assert encode(Mount("/x")) == {"destination": "/x"}


def test_a_whole_number_is_good_enough_for_a_fraction() -> None:
    assert decode(RunOptions, {"cpus": 2}).cpus == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "Spec: expected an object, got list"),
        ({"process": {"args": ["a"]}}, "root"),
        ({"process": {"args": "a"}, "root": {}}, ".process.args: expected a list, got str"),
        ({"process": {"args": [1]}, "root": {}}, ".process.args: expected str, got int"),
        ({"process": {"args": ["a"], "nice": 1}, "root": {}}, ".process.nice: unknown field of Process"),
        ({"process": {"args": ["a"], "terminal": 1}, "root": {}}, ".process.terminal: expected bool, got int"),
        (
            {"process": {"args": ["a"]}, "root": {}, "linux": {"resources": {"pidsLimit": True}}},
            "expected int, got bool",
        ),
    ],
)
def test_what_doesn_t_fit_is_named(data: Any, words: str) -> None:
    with pytest.raises(InvalidManifest, match=words):
        decode(Spec, data)


def test_what_others_have_written_is_cut_to_what_is_known() -> None:
    document = {
        "ociVersion": "1.0.2",
        "new": 1,
        "process": None,
        "mounts": [{"destination": "/x", "extra": 1}],
        "linux": {"resources": {"blockIO": {"weight": 5}}, "later": {}},
    }
    unknown: list[str] = []
    found = decode(Config, known(Config, document, unknown))
    assert unknown == ["new", "mounts.extra", "linux.later"]
    assert found.linux.resources.block_io.weight == 5
    assert encode(found)["linux"] == {"resources": {"blockIO": {"weight": 5}}}
