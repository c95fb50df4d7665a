"""What an empty volume gets from an image, by hand-made layers: content, crashes and hostile links."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dockmagic.errors import BuildError, InvalidOption, StoreError
from dockmagic.volumes import populate
from dockmagic.volumes.populate import Place

Stop = type("Stop", (Exception,), {})


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer with an empty root."""
    directory = tmp_path / "layer"
    directory.mkdir()
    return directory


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A volume with nothing in it."""
    data = tmp_path / "volume" / "_data"
    data.mkdir(parents=True)
    return Place(data, data.parent)


def tree(directory: Path) -> dict[str, str]:
    """Files and their content, links and where they point, directories."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        found[name] = f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_text()
    return found


def test_files_and_directories(place: Place, layer: Path) -> None:
    (layer / "data/sub").mkdir(parents=True)
    (layer / "data/f").write_text("f")
    (layer / "data/sub/g").write_text("g")
    populate.populate(place, [layer], "/data")
    assert tree(place.data) == {"f": "f", "sub": "/", "sub/g": "g"}
    assert not place.copy.exists()
    assert not place.ready.exists()


def test_modes_links_times_and_attributes_are_kept(place: Place, layer: Path) -> None:
    data = layer / "data"
    data.mkdir()
    (data / "f").write_text("f")
    (data / "g").hardlink_to(data / "f")
    (data / "l").symlink_to("/nowhere")
    os.mkfifo(data / "p")
    (data / "f").chmod(0o4711)
    os.setxattr(data / "f", "user.x", b"1")
    os.setxattr(data, "user.top", b"2")
    os.utime(data / "f", ns=(5, 7))
    data.chmod(0o2750)
    os.utime(data, ns=(5, 9))
    populate.populate(place, [layer], "/data")
    status = (place.data / "f").stat()
    assert (status.st_mode & 0o7777, status.st_nlink, status.st_mtime_ns) == (0o4711, 2, 7)
    assert os.getxattr(place.data / "f", "user.x") == b"1"
    assert (place.data / "l").readlink() == Path("/nowhere")
    assert (place.data / "p").is_fifo()
    assert (place.data.stat().st_mode & 0o7777, place.data.stat().st_mtime_ns) == (0o2750, 9)
    assert os.getxattr(place.data, "user.top") == b"2"


def test_layers_are_one_tree(place: Place, layer: Path, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    for directory, name in ((layer, "a"), (upper, "b")):
        (directory / "data").mkdir(parents=True)
        (directory / "data" / name).write_text(name)
    populate.populate(place, [upper, layer], "/data")
    assert tree(place.data) == {"a": "a", "b": "b"}


def test_what_is_in_the_volume_stays(place: Place, layer: Path) -> None:
    (layer / "data").mkdir()
    (layer / "data/f").write_text("f")
    (place.data / "mine").write_text("m")
    populate.populate(place, [layer], "/data")
    assert tree(place.data) == {"mine": "m"}


@pytest.mark.parametrize("path", ["/missing", "/file", "/dangling"])
def test_where_the_image_has_no_directory_nothing_is_copied(place: Place, layer: Path, path: str) -> None:
    (layer / "file").write_text("f")
    (layer / "dangling").symlink_to("nowhere")
    populate.populate(place, [layer], path)
    assert tree(place.data) == {}


def test_an_empty_directory_gives_its_mode(place: Place, layer: Path) -> None:
    (layer / "data").mkdir(mode=0o711)
    populate.populate(place, [layer], "/data")
    assert place.data.stat().st_mode & 0o777 == 0o711


# crashes


def stop(*_: object) -> None:
    """As a crash."""
    raise Stop


@pytest.mark.parametrize("at", ["syncfs", "apply", "_move"])
def test_a_copy_that_was_cut_short_never_counts(
    place: Place, layer: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    (layer / "data").mkdir()
    for name in "abc":
        (layer / "data" / name).write_text(name)
    with monkeypatch.context() as patched:
        patched.setattr(populate, at, stop)
        with pytest.raises(Stop):
            populate.populate(place, [layer], "/data")
    assert tree(place.data) == {}
    populate.populate(place, [layer], "/data")
    assert tree(place.data) == {"a": "a", "b": "b", "c": "c"}


def test_a_move_that_was_cut_short_is_finished_whoever_comes(
    place: Place, layer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (layer / "data").mkdir(mode=0o750)
    for name in "abc":
        (layer / "data" / name).write_text(name)
    rename, moved = Path.rename, list[Path]()

    def once(path: Path, target: Path) -> Path:
        if path.parent == place.ready and moved:
            raise Stop
        moved.append(path) if path.parent == place.ready else None
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", once)
        with pytest.raises(Stop):
            populate.populate(place, [layer], "/data")
    assert len(tree(place.data)) == 1
    (place.data / moved[0].name).write_text("changed since")
    populate.finish(place)
    assert tree(place.data) == {"a": "a", "b": "b", "c": "c"} | {moved[0].name: "changed since"}
    assert not place.ready.exists()


def test_a_full_disk_is_told(place: Place, layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (layer / "data").mkdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(populate, "syncfs", full)
    with pytest.raises(StoreError, match=r"cannot fill .* with the image's files: No space left"):
        populate.populate(place, [layer], "/data")


def test_a_directory_of_the_host_is_filled_like_a_volume(tmp_path: Path, layer: Path) -> None:
    (layer / "data").mkdir()
    (layer / "data/f").write_text("f")
    target, home = tmp_path / "target", tmp_path / "home"
    target.mkdir()
    (home / "_copy" / "half").mkdir(parents=True)
    populate.populate(Place(target, home), [layer], "/data")
    assert tree(target) == {"f": "f"}
    assert tree(home) == {}


def test_a_directory_of_another_disk_is_not(place: Place, layer: Path) -> None:
    (layer / "data").mkdir()
    with TemporaryDirectory(dir="/dev/shm") as target:
        assert Path(target).stat().st_dev != place.home.stat().st_dev
        with pytest.raises(InvalidOption, match="another file system than the state root"):
            populate.populate(Place(Path(target), place.home), [layer], "/data")
        assert tree(Path(target)) == {}
    assert tree(place.home) == {"_data": "/"}


# hostile images


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host that no image may see or change."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "secret").write_text("s")
    return directory


@pytest.mark.parametrize(
    "link", ["{0}", "../outside", "../../../../../../../../../../../..{0}", "/proc/self/root{0}", "one"]
)
def test_a_volume_on_a_link_stays_in_the_image(place: Place, layer: Path, outside: Path, link: str) -> None:
    (layer / "data").symlink_to(link.format(outside))
    (layer / "one").symlink_to(f"..{outside}")
    populate.populate(place, [layer], "/data")
    assert tree(place.data) == {}


def test_a_link_is_followed_inside_the_image(place: Place, layer: Path, outside: Path) -> None:
    inside = layer / str(outside)[1:]
    inside.mkdir(parents=True)
    (inside / "own").write_text("o")
    (layer / "data").symlink_to(outside)
    populate.populate(place, [layer], "/data")
    assert tree(place.data) == {"own": "o"}


def test_links_in_the_content_are_copied_and_never_followed(place: Place, layer: Path, outside: Path) -> None:
    (layer / "data").mkdir()
    (layer / "data/a").symlink_to(outside)
    (layer / "data/b").symlink_to(outside / "secret")
    (layer / "data/c").symlink_to("../../../outside/new")
    populate.populate(place, [layer], "/data")
    assert tree(place.data) == {"a": f"-> {outside}", "b": f"-> {outside}/secret", "c": "-> ../../../outside/new"}
    assert tree(outside) == {"secret": "s"}


def test_a_link_that_a_container_put_into_the_volume_is_not_written_through(
    place: Place, layer: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (layer / "data/sub").mkdir(parents=True)
    (layer / "data/sub/secret").write_text("hostile")

    def meanwhile(_: Path) -> None:
        (place.data / "sub").symlink_to(outside)

    monkeypatch.setattr(populate, "syncfs", meanwhile)
    populate.populate(place, [layer], "/data")
    assert tree(outside) == {"secret": "s"}
    assert (place.data / "sub").is_symlink()


def test_links_in_a_circle(place: Place, layer: Path) -> None:
    (layer / "data").symlink_to("data")
    with pytest.raises(BuildError, match="too many levels of symbolic links"):
        populate.populate(place, [layer], "/data")
