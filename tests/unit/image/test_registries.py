from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.image.configuration import certificates_of, configuration_path, read_registries
from dockmagic.image.registries import Registries, parse_registries

WHOLE = """
[registries]
insecure = ["lan:5000"]
[registries.mirrors]
"docker.io" = ["https://mirror.example", "http://lan:5000"]
[registries.certificates]
"r.example" = "/certs"
"""


def test_a_whole_file() -> None:
    assert parse_registries(WHOLE, "f") == Registries(
        {"docker.io": ("https://mirror.example", "http://lan:5000")}, frozenset({"lan:5000"}), {"r.example": "/certs"}
    )
    assert parse_registries("", "f") == Registries()
    assert parse_registries("[registries]\npackages = false", "f") == Registries(packages=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[registries", "f: not TOML"),
        ("registries = 1", "f: registries: expected a table"),
        ("[registries]\nmirror = 1", "f: registries.mirror: unknown; there are mirrors"),
        ("[registries]\nmirrors = 1", "f: registries.mirrors: expected a table"),
        ('[registries.mirrors]\na = "https://x"', "f: registries.mirrors.a: expected a list of texts"),
        ('[registries.mirrors]\na = ["http://far.example"]', "f: mirror 'http://far.example' of a: expected https"),
        ("[registries]\ninsecure = [1]", "f: registries.insecure: expected a text, got 1"),
        ("[registries]\npackages = 1", "f: registries.packages: expected true or false, got 1"),
        ("[registries.certificates]\na = 1", "f: registries.certificates.a: expected a text"),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_registries(text, "f")
    assert str(caught.value).startswith(words)


def test_where_the_file_is() -> None:
    home = Path("/home/a")
    assert configuration_path({}, is_root=True, home=home) == Path("/etc/dockmagic/dockmagic.toml")
    assert configuration_path({}, is_root=False, home=home) == home / ".config/dockmagic/dockmagic.toml"
    given = {"XDG_CONFIG_HOME": "/x", "DOCKMAGIC_CONFIG": "/y.toml"}
    assert configuration_path(given, is_root=True, home=home) == Path("/y.toml")
    del given["DOCKMAGIC_CONFIG"]
    assert configuration_path(given, is_root=False, home=home) == Path("/x/dockmagic/dockmagic.toml")


def test_the_environment_s_mirror_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "dockmagic.toml"
    path.write_text(WHOLE)
    environ = {"DOCKMAGIC_CONFIG": str(path), "DOCKMAGIC_REGISTRY_MIRROR": "https://near.example"}
    assert read_registries(environ).mirrors["docker.io"][:2] == ("https://near.example", "https://mirror.example")
    with pytest.raises(InvalidOption, match="DOCKMAGIC_REGISTRY_MIRROR: mirror"):
        read_registries(environ | {"DOCKMAGIC_REGISTRY_MIRROR": "ftp://x"})
    with pytest.raises(InvalidOption, match="there is no file"):
        read_registries({"DOCKMAGIC_CONFIG": str(tmp_path / "none")})


def test_certificates_of_a_host(tmp_path: Path) -> None:
    (tmp_path / "r.example").mkdir()
    (tmp_path / "r.example" / "ca.crt").touch()
    assert certificates_of("r.example", Registries(), tmp_path) == {"ca.crt": tmp_path / "r.example" / "ca.crt"}
    assert certificates_of("other", Registries(), tmp_path) == {}
    (tmp_path / "r.example" / "client.key").touch()
    with pytest.raises(InvalidOption, match="belong together"):
        certificates_of("r.example", Registries(), tmp_path)
    with pytest.raises(InvalidOption, match="there is no directory"):
        certificates_of("r.example", Registries(certificates={"r.example": "/none"}), tmp_path)


def test_the_size_of_chunks() -> None:
    assert parse_registries("[registries]\nchunk_size = 1000", "f").chunk_bytes == 1000
    assert parse_registries("", "f").chunk_bytes == 16 << 20
    for text in ("0", "true", '"16MB"', "1.5"):
        with pytest.raises(InvalidOption, match=r"f: registries\.chunk_size: expected a number of bytes, got "):
            parse_registries(f"[registries]\nchunk_size = {text}", "f")
