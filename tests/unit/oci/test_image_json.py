from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.errors import InvalidManifest
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, Healthcheck, History, ImageConfig
from dockmagic.oci.image_json import dump_image_config, parse_image_config, parse_time, with_times

DIFF_ID = Digest.of(b"layer")
DOCKER: dict[str, Any] = {
    "architecture": "amd64",
    "config": {
        "Hostname": "",
        "AttachStdin": False,
        "Env": ["PATH=/bin", "LANG=ä"],
        "Cmd": ["sh"],
        "Entrypoint": None,
        "ExposedPorts": {"80/tcp": {}, "53/udp": None},
        "Volumes": {"/data": {}},
        "Labels": {"b": "2", "a": "1"},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30_000_000_000, "Retries": 3},
        "Shell": ["/bin/sh", "-c"],
        "OnBuild": None,
        "StopSignal": "SIGINT",
        "User": "1000",
        "WorkingDir": "/app",
        "ArgsEscaped": True,
    },
    "container": "8d5c",
    "created": "2024-05-01T12:00:00.123456789Z",
    "docker_version": "20.10.23",
    "history": [
        {"created": "2024-05-01T12:00:00Z", "created_by": "ADD file"},
        {"created_by": "CMD", "empty_layer": True, "author": "me", "comment": "no"},
    ],
    "os": "linux",
    "os.version": "1",
    "variant": "v8",
    "author": "me",
    "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
}


def document(**changes: Any) -> bytes:
    return json.dumps({**DOCKER, **changes}).encode()


def test_what_docker_writes() -> None:
    config = parse_image_config(document())
    assert config == ImageConfig(
        architecture="amd64",
        os="linux",
        config=ContainerConfig(
            user="1000",
            exposed_ports=("53/udp", "80/tcp"),
            env=("PATH=/bin", "LANG=ä"),
            cmd=("sh",),
            volumes=("/data",),
            working_dir="/app",
            labels={"a": "1", "b": "2"},
            stop_signal="SIGINT",
            healthcheck=Healthcheck(("CMD", "true"), interval=30_000_000_000, retries=3),
            shell=("/bin/sh", "-c"),
            args_escaped=True,
            extra={"Hostname": "", "AttachStdin": False},
        ),
        diff_ids=(DIFF_ID,),
        history=(
            History("2024-05-01T12:00:00Z", "ADD file"),
            History(created_by="CMD", author="me", comment="no", empty_layer=True),
        ),
        created="2024-05-01T12:00:00.123456789Z",
        author="me",
        variant="v8",
        os_version="1",
        extra={"container": "8d5c", "docker_version": "20.10.23"},
    )


def test_round_trip_keeps_the_meaning() -> None:
    config = parse_image_config(document())
    assert parse_image_config(dump_image_config(config)) == config


def test_smallest_config() -> None:
    data = dump_image_config(ImageConfig("amd64", "linux"))
    assert data == b'{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'
    assert parse_image_config(data) == ImageConfig("amd64", "linux")


def test_empty_command_is_not_an_absent_one() -> None:
    config = ImageConfig("amd64", "linux", ContainerConfig(cmd=(), entrypoint=None))
    assert parse_image_config(dump_image_config(config)).config.cmd == ()
    assert parse_image_config(dump_image_config(config)).config.entrypoint is None


def test_equal_configs_give_equal_bytes() -> None:
    one = ContainerConfig(labels={"a": "1", "b": "2"}, extra={"x": 1, "y": 2}, volumes=("/a", "/b"))
    other = ContainerConfig(labels={"b": "2", "a": "1"}, extra={"y": 2, "x": 1}, volumes=("/b", "/a"))
    images = [ImageConfig("amd64", "linux", config) for config in (one, other)]
    assert dump_image_config(images[0]) == dump_image_config(images[1])


def test_times_can_be_left_out_and_taken_from_another() -> None:
    early = parse_image_config(json.dumps(DOCKER).encode())
    history = [{**line, "created": "2031-01-01T00:00:00Z"} for line in DOCKER["history"]]
    late = parse_image_config(json.dumps({**DOCKER, "created": "", "history": history}).encode())
    assert early != late
    assert dump_image_config(early, times=False) == dump_image_config(late, times=False)
    assert b"2024" not in dump_image_config(early, times=False)
    assert with_times(early, dump_image_config(late)) == late
    assert with_times(late, dump_image_config(early)) == early


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"architecture": None}, "image config.architecture: is missing"),
        ({"os": ""}, "image config.os: is missing"),
        ({"os": 7}, "image config.os: expected a string"),
        ({"rootfs": None}, "image config.rootfs: is missing"),
        ({"rootfs": {"type": "tree", "diff_ids": []}}, "image config.rootfs.type: expected 'layers'"),
        ({"rootfs": {"type": "layers", "diff_ids": ["x"]}}, "image config.rootfs.diff_ids: not a digest: 'x'"),
        ({"config": []}, "image config.config: expected an object"),
        ({"config": {"Env": "A=1"}}, "image config.config.Env: expected a list"),
        ({"config": {"Cmd": ["sh", 1]}}, "image config.config.Cmd[1]: expected a string"),
        ({"config": {"Healthcheck": {"Interval": "30s"}}}, "image config.config.Healthcheck.Interval: expected an int"),
        ({"history": [{}, 1]}, "image config.history[1]: expected an object"),
        ({"created": "yesterday"}, "image config.created: expected a time like"),
        ({"created": "2024-13-01T00:00:00Z"}, "image config.created: expected a time like"),
        ({"history": [{"created": "2024-05-01"}]}, "image config.history[0].created: expected a time"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_image_config(document(**changes))
    assert says in str(caught.value)


def test_times() -> None:
    assert parse_time("") is None
    assert parse_time("0001-01-01T00:00:00Z") is None
    assert parse_time("2024-05-01t12:00:00.123456789z") == datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert parse_time("2024-05-01T12:00:00+02:00") == datetime(2024, 5, 1, 10, tzinfo=UTC)


TEXT = st.text(max_size=8)  # of whole characters: hypothesis makes no surrogates
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
NAMES = st.sets(TEXT, max_size=3).map(lambda names: tuple(sorted(names)))
CONTAINER = st.builds(
    ContainerConfig,
    user=TEXT,
    exposed_ports=NAMES,
    env=TEXTS,
    entrypoint=st.none() | TEXTS,
    cmd=st.none() | TEXTS,
    volumes=NAMES,
    working_dir=TEXT,
    labels=st.dictionaries(TEXT, TEXT, max_size=3),
    stop_signal=TEXT,
    healthcheck=st.none() | st.builds(Healthcheck, test=TEXTS, interval=st.integers(0, 2**40)),
    shell=st.none() | TEXTS,
    on_build=TEXTS,
    args_escaped=st.booleans(),
    extra=st.dictionaries(st.sampled_from(["Hostname", "Tty"]), TEXT | st.none() | st.integers(), max_size=2),
)


@given(CONTAINER, st.lists(st.builds(History, created_by=TEXT, empty_layer=st.booleans()), max_size=3).map(tuple))
def test_any_config_survives_the_round_trip(container: ContainerConfig, history: tuple[History, ...]) -> None:
    config = ImageConfig("arm64", "linux", container, (DIFF_ID,), history, "2024-05-01T12:00:00Z")
    assert parse_image_config(dump_image_config(config)) == config
