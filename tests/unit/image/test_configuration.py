from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.image.configuration import certificates_of, configuration_path, read_registries
from dockmagic.image.registries import Registries

MIRRORS = '[registries.mirrors]\n"docker.io" = ["https://file.example"]\n"r.example" = ["https://other.example"]\n'


def written(tmp_path: Path, text: str | bytes) -> dict[str, str]:
    """An environment that names a file with this text."""
    path = tmp_path / "dockmagic.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return {"DOCKMAGIC_CONFIG": str(path)}


@pytest.mark.parametrize(
    ("environ", "is_root", "expected"),
    [
        ({}, True, "/etc/dockmagic/dockmagic.toml"),
        ({"XDG_CONFIG_HOME": "/x"}, True, "/etc/dockmagic/dockmagic.toml"),
        ({}, False, "/home/ann/.config/dockmagic/dockmagic.toml"),
        ({"XDG_CONFIG_HOME": ""}, False, "/home/ann/.config/dockmagic/dockmagic.toml"),
        ({"XDG_CONFIG_HOME": "/x"}, False, "/x/dockmagic/dockmagic.toml"),
        ({"DOCKMAGIC_CONFIG": "/y/z.toml", "XDG_CONFIG_HOME": "/x"}, False, "/y/z.toml"),
    ],
)
def test_where_the_file_is(environ: dict[str, str], is_root: bool, expected: str) -> None:
    assert configuration_path(environ, is_root=is_root, home=Path("/home/ann")) == Path(expected)


def test_the_file_is_read(tmp_path: Path) -> None:
    registries = read_registries(written(tmp_path, f'[registries]\ninsecure = ["r.lan:5000"]\n{MIRRORS}'))
    assert registries.insecure == {"r.lan:5000"}
    assert registries.mirrors["docker.io"] == ("https://file.example",)


def test_the_environment_s_mirror_goes_first(tmp_path: Path) -> None:
    environ = written(tmp_path, MIRRORS) | {"DOCKMAGIC_REGISTRY_MIRROR": "https://env.example"}
    assert read_registries(environ).mirrors == {
        "docker.io": ("https://env.example", "https://file.example"),
        "r.example": ("https://other.example",),
    }


def test_a_mirror_that_the_file_declares_insecure_may_be_plain(tmp_path: Path) -> None:
    environ = written(tmp_path, '[registries]\ninsecure = ["r.lan"]\n')
    environ["DOCKMAGIC_REGISTRY_MIRROR"] = "http://r.lan"
    assert read_registries(environ).mirrors["docker.io"] == ("http://r.lan",)
    with pytest.raises(InvalidOption, match=r"DOCKMAGIC_REGISTRY_MIRROR: .*http://q.lan.*expected https"):
        read_registries(environ | {"DOCKMAGIC_REGISTRY_MIRROR": "http://q.lan"})


def test_no_file_is_no_settings_unless_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert read_registries({"XDG_CONFIG_HOME": str(tmp_path)}) == Registries()
    with pytest.raises(InvalidOption, match=r"DOCKMAGIC_CONFIG: there is no file .*none\.toml"):
        read_registries({"DOCKMAGIC_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[registries", "not TOML"),
        (b"\xff\xfe", "can't be read"),
        ("registries = 5", "expected a table, got 5"),
        ("[registries]\nmirror = 1", r"registries\.mirror: unknown; there are mirrors"),
        ("[registries]\ninsecure = 'r.lan'", r"registries\.insecure: expected a list"),
        ("[registries]\ninsecure = [1]", r"registries\.insecure: expected a text, got 1"),
        ("[registries]\nmirrors = []", r"registries\.mirrors: expected a table of registries"),
        ("[registries.mirrors]\n'docker.io' = 'https://m.example'", r"mirrors\.docker\.io: expected a list"),
        ("[registries.mirrors]\n'docker.io' = ['http://m.example']", r"mirror 'http://m\.example' of docker\.io"),
        ("[registries.certificates]\n'r.example' = ['/x']", r"certificates\.r\.example: expected a text"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path, text: str | bytes, words: str) -> None:
    environ = written(tmp_path, text)
    with pytest.raises(InvalidOption, match=words) as caught:
        read_registries(environ)
    assert environ["DOCKMAGIC_CONFIG"] in str(caught.value)


def test_a_directory_in_the_file_s_place_can_t_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="can't be read"):
        read_registries({"DOCKMAGIC_CONFIG": str(tmp_path)})


def make(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text("")
    return directory


def test_certificates_are_those_of_the_host_and_port(tmp_path: Path) -> None:
    docker = make(tmp_path / "r.example:5000", "ca.crt", "client.cert", "client.key", "other.crt")
    found = certificates_of("r.example:5000", Registries(), tmp_path)
    assert found == {name: docker / name for name in ("ca.crt", "client.cert", "client.key")}
    assert certificates_of("r.example", Registries(), tmp_path) == {}


def test_a_directory_that_was_named_replaces_docker_s(tmp_path: Path) -> None:
    make(tmp_path / "docker" / "r.example", "ca.crt")
    named = make(tmp_path / "named")
    registries = Registries(certificates={"r.example": str(named)})
    assert certificates_of("r.example", registries, tmp_path / "docker") == {}
    registries = Registries(certificates={"r.example": str(tmp_path / "none")})
    with pytest.raises(InvalidOption, match="there is no directory"):
        certificates_of("r.example", registries, tmp_path / "docker")


@pytest.mark.parametrize("half", ["client.cert", "client.key"])
def test_half_a_client_certificate_is_refused(tmp_path: Path, half: str) -> None:
    make(tmp_path / "r.example", half)
    with pytest.raises(InvalidOption, match="belong together"):
        certificates_of("r.example", Registries(), tmp_path)
