from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.commands.mounts import Bind, prepare_sources, tmpfs, volume, volumes_from
from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import Mount
from dockmagic.oci.volumes import VolumeMount, VolumesFrom


def bind(text: str) -> Mount:
    """What `-v` mounts of the host."""
    given = volume(text)
    assert isinstance(given, Bind)
    return given.mount


def test_a_directory_of_the_host() -> None:
    assert bind("/srv:/data") == Mount("/data", "bind", "/srv", ("rbind", "rw", "rprivate"))
    assert bind("/srv:/data:ro,rslave") == Mount("/data", "bind", "/srv", ("rbind", "ro", "rslave"))
    assert bind("/srv:/a/../data/.").destination == "/data"


def test_a_relative_directory_is_the_callers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert bind("./sub:/data").source == str(tmp_path / "sub")
    assert bind(".:/data").source == str(tmp_path)
    assert bind(".hidden:/data").source == str(tmp_path / ".hidden")
    assert bind("~/x:/data").source == str(Path.home() / "x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name:/data", VolumeMount("/data", "name", mode="z")),
        ("name:/data:ro", VolumeMount("/data", "name", read_only=True, mode="ro")),
        ("name:/data:nocopy,z", VolumeMount("/data", "name", no_copy=True, mode="nocopy,z")),
        ("a.b-c_d:/data:rw", VolumeMount("/data", "a.b-c_d", mode="rw")),
        ("/data", VolumeMount("/data", implied=True)),
    ],
)
def test_volumes(text: str, expected: VolumeMount) -> None:
    assert volume(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid empty volume spec"),
        ("data", "'data' mount path must be absolute"),
        ("/a:/b:ro:x", "invalid spec: /a:/b:ro:x: too many colons"),
        (":/b", "invalid spec: :/b: empty section between colons"),
        ("/a:", "empty section between colons"),
        ("/a::ro", "empty section between colons"),
        ("/a:b", "absolute"),
        ("/a:/", "destination can't be '/'"),
        ("/", "destination can't be '/'"),
        ("name:/..", "destination can't be '/'"),
        ("/a:/b:x", "invalid mode: x"),
        ("/a:/b:readonly", "use --mount"),
        ("name:/b:volume-opt=o=x", "use --mount"),
        ("/a:/b:ro,rw", "one of ro, rw at most"),
        ("/a:/b:z,Z", "one of z, Z at most"),
        ("/a:/b:shared,slave", "at most"),
        ("/a:/b:nocopy", "nothing is ever copied into a directory"),
        ("name:/b:shared", "a volume has no propagation"),
    ],
)
def test_mounts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        volume(text)


def test_words_without_an_effect_here_change_nothing() -> None:
    assert bind("/a:/b:ro,Z,cached").options == bind("/a:/b:ro").options


def test_a_missing_source_is_made(tmp_path: Path) -> None:
    source = tmp_path / "a" / "b"
    prepare_sources([Bind(bind(f"{source}:/data"), True), Bind(bind(f"{tmp_path}:/other"), True)])
    assert source.is_dir()


def test_a_source_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidOption, match="Not a directory"):
        prepare_sources([Bind(bind(f"{tmp_path}/file/sub:/data"), True)])


def test_a_missing_source_is_an_error_where_nobody_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=f"bind source path does not exist: {tmp_path}/a; "):
        prepare_sources([Bind(bind(f"{tmp_path}/a:/data"), False)])
    assert not (tmp_path / "a").exists()


def test_other_containers_volumes() -> None:
    assert volumes_from("web") == VolumesFrom("web")
    assert volumes_from("web:ro,z") == VolumesFrom("web", "ro")
    assert volumes_from("web:rw") == volumes_from("web:z") == VolumesFrom("web")


@pytest.mark.parametrize("text", ["", ":ro", "web:x", "web:ro,rw", "web:nocopy", "web:shared"])
def test_other_containers_that_are_none(text: str) -> None:
    with pytest.raises(InvalidOption, match=r"volumes-from|invalid mode"):
        volumes_from(text)


def test_tmpfs_has_dockers_defaults() -> None:
    assert tmpfs("/run") == Mount("/run", "tmpfs", "tmpfs", ("noexec", "nosuid", "nodev"))
    assert tmpfs("/run:exec,size=1m,mode=1777").options == ("nosuid", "nodev", "exec", "size=1048576", "mode=1777")
    assert "size=10%" in tmpfs("/run:size=10%").options


@pytest.mark.parametrize(
    ("text", "message"), [("run", "absolute"), ("/run:size=big", "size"), ("/run:huge=1", "huge"), ("/run:x", "'x'")]
)
def test_tmpfs_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        tmpfs(text)
