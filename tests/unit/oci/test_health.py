"""A health check of the user's over the image's, and Docker's defaults."""

from __future__ import annotations

import pytest

from dockmagic.oci.health import OFF, SECOND_NS, effective, merged
from dockmagic.oci.image import Healthcheck

IMAGE = Healthcheck(("CMD", "check"), interval=2 * SECOND_NS, retries=7)


def test_what_the_user_gives_wins_and_the_rest_is_the_images() -> None:
    assert merged(Healthcheck((), retries=1), IMAGE) == Healthcheck(("CMD", "check"), 2 * SECOND_NS, retries=1)
    assert merged(None, IMAGE) == IMAGE
    assert merged(IMAGE, None) == IMAGE
    assert merged(None, None) is None


def test_the_image_s_check_is_turned_off() -> None:
    assert effective(merged(OFF, IMAGE), ()) is None


def test_docker_s_defaults() -> None:
    check = effective(Healthcheck(("CMD", "check")), ())
    assert check == Healthcheck(
        ("CMD", "check"),
        interval=30 * SECOND_NS,
        timeout=30 * SECOND_NS,
        start_period=0,
        start_interval=5 * SECOND_NS,
        retries=3,
    )


@pytest.mark.parametrize(
    ("test", "shell", "command"),
    [
        (("CMD-SHELL", "a | b"), (), ("/bin/sh", "-c", "a | b")),
        (("CMD-SHELL", "a | b"), ("/bin/ash", "-eo", "pipefail", "-c"), ("/bin/ash", "-eo", "pipefail", "-c", "a | b")),
        (("CMD", "a", "b"), ("/bin/ash",), ("a", "b")),
    ],
)
def test_commands(test: tuple[str, ...], shell: tuple[str, ...], command: tuple[str, ...]) -> None:
    check = effective(Healthcheck(test), shell)
    assert check is not None
    assert check.test == ("CMD", *command)


@pytest.mark.parametrize("test", [(), ("NONE",), ("CMD",), ("HTTP", "x")])
def test_nothing_to_run(test: tuple[str, ...]) -> None:
    assert effective(Healthcheck(test), ()) is None
