from __future__ import annotations

import pytest

from dockmagic.errors import DockmagicError, InvalidOption, RegistryError
from dockmagic.events import PullProgress
from dockmagic.oci.descriptor import Platform
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeEngine, FakeImages


def engine(*tags: str, failing: tuple[str, ...] = ()) -> FakeEngine:
    events = (PullProgress("sha256:1", "complete", 1, 1),)
    return FakeEngine(images=FakeImages(events=events, tag_names=tags, failing=failing))


def test_progress_is_shown_unless_quiet() -> None:
    console = FakeConsole()
    stored = call(engine(), "pull", "busybox", console=console)
    assert (str(stored), len(console.events)) == ("docker.io/library/busybox:latest", 1)
    assert console.streams["stdout"] == b"Using default tag: latest\n"
    quiet = FakeConsole()
    stored = call(engine(), "pull", "-q", "busybox", console=quiet)
    assert str(stored) == "docker.io/library/busybox:latest"
    assert (quiet.events, quiet.streams["stdout"]) == ([], b"")


@pytest.mark.parametrize("name", ["busybox:latest", "r.example:5000/app:1", "busybox@sha256:" + "a" * 64])
def test_with_a_tag_there_is_no_word_on_the_default(name: str) -> None:
    console = FakeConsole()
    call(engine(), "pull", name, console=console)
    assert console.streams["stdout"] == b""


def test_the_platform_is_that_of_the_flag_or_of_docker_s_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = engine()
    call(asked, "pull", "-q", "--platform", "linux/arm/v7", "busybox")
    call(asked, "pull", "-q", "busybox")
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/s390x")
    call(asked, "pull", "-q", "busybox")
    assert [platform for _, _, platform in asked.images.calls] == [
        Platform("linux", "arm", "v7"),
        None,
        Platform("linux", "s390x"),
    ]
    with pytest.raises(InvalidOption, match=r"--platform plan9/mips: plan9 isn't a system"):
        call(asked, "pull", "--platform", "plan9/mips", "busybox")


def test_all_tags() -> None:
    asked = engine("1", "2")
    every = call(asked, "pull", "-a", "team/app")
    assert (str(every), len(every)) == ("docker.io/team/app", 2)
    assert every[1].references[0].tag == "2"
    assert [name for verb, name, *_ in asked.images.calls if verb == "pull"] == [
        "docker.io/team/app:1",
        "docker.io/team/app:2",
    ]
    for name in ("app:1", "app@sha256:" + "a" * 64):
        with pytest.raises(InvalidOption, match="tag can't be used with --all-tags/-a"):
            call(asked, "pull", "--all-tags", name)
    with pytest.raises(RegistryError, match="app has no tags"):
        call(engine(), "pull", "-a", "app")


def test_a_tag_that_can_t_be_had_doesn_t_keep_the_others_away() -> None:
    asked = engine("1", "bad\x1b", "2", failing=("docker.io/library/app:1",))
    console = FakeConsole()
    with pytest.raises(DockmagicError, match=r"no docker.io/library/app:1\n.*bad\\x1b") as caught:
        call(asked, "pull", "-a", "app", console=console)
    assert "\x1b" not in str(caught.value)
    assert console.streams["stdout"] == b"docker.io/library/app:2\n"


def test_signatures_can_t_be_asked_for() -> None:
    assert call(engine(), "pull", "-q", "--disable-content-trust", "app")
    assert call(engine(), "pull", "-q", "--disable-content-trust=true", "app")
    with pytest.raises(InvalidOption, match="signatures of images can't be verified"):
        call(engine(), "pull", "--disable-content-trust=false", "app")
