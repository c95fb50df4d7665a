from __future__ import annotations

import pytest

from dockmagic.commands.push import COMMANDS
from dockmagic.errors import InvalidOption
from dockmagic.events import PushStarted
from dockmagic.oci.descriptor import Platform
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.images.events = (PushStarted("docker.io/library/app"),)
    return engine


def test_a_push_is_shown(engine: FakeEngine) -> None:
    console = FakeConsole()
    result = call(engine, "push", "app:1", console=console)
    assert engine.images.calls == [("push", "app:1", False, None)]
    assert console.events == list(engine.images.events)
    assert console.streams["stdout"] == b""
    assert (str(result), len(result), result[0].reference.familiar) == ("", 1, "app:1")
    result._ipython_display_()


def test_the_default_tag_is_named(engine: FakeEngine) -> None:
    console = FakeConsole()
    call(engine, "image", "push", "app", console=console)
    assert console.streams["stdout"] == b"Using default tag: latest\n"
    quiet = FakeConsole()
    call(engine, "push", "-a", "app", console=quiet)
    assert quiet.streams["stdout"] == b""
    assert engine.images.calls[-1] == ("push", "app", True, None)


def test_a_quiet_push_gives_the_name(engine: FakeEngine) -> None:
    console = FakeConsole()
    result = call(engine, "push", "--quiet", "team/app", console=console)
    assert (str(result), console.events, console.streams["stdout"]) == ("team/app", [], b"")
    with pytest.raises(NotImplementedError):
        result._ipython_display_()
    COMMANDS[0].show(result, console)
    assert console.streams["stdout"] == b"team/app\n"


def test_a_platform(engine: FakeEngine) -> None:
    call(engine, "push", "--platform", "linux/arm64", "-q", "app")
    assert engine.images.calls == [("push", "app", False, Platform("linux", "arm64"))]


def test_trust(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for flag in ("--disable-content-trust", "--disable-content-trust=true"):
        call(engine, "push", flag, "app:1")
    with pytest.raises(InvalidOption, match="--disable-content-trust=false isn't available yet: images aren't signed"):
        call(engine, "push", "--disable-content-trust=false", "app:1")
    monkeypatch.setenv("DOCKER_CONTENT_TRUST", "1")
    with pytest.raises(InvalidOption, match="DOCKER_CONTENT_TRUST isn't available yet"):
        call(engine, "push", "app:1")
    call(engine, "push", "--disable-content-trust", "app:1")
    monkeypatch.setenv("DOCKER_CONTENT_TRUST", "0")
    call(engine, "push", "app:1")
