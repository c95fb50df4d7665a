"""The flags of restart policies and health checks, and the messages of Docker's for those that can't be."""

from __future__ import annotations

import pytest

from dockmagic.commands.catalogue import by_name
from dockmagic.commands.run_flags import run_options
from dockmagic.errors import InvalidOption
from dockmagic.oci.image import Healthcheck
from dockmagic.oci.options import RestartPolicy, RunOptions

SECOND_NS = 10**9


def options(*words: str) -> RunOptions:
    return run_options(by_name()["create"].parser("create").parse_words((*words, "busybox")))


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("no", RestartPolicy()),
        ("always", RestartPolicy("always")),
        ("unless-stopped", RestartPolicy("unless-stopped")),
        ("on-failure", RestartPolicy("on-failure")),
        ("on-failure:5", RestartPolicy("on-failure", 5)),
        ("always:0", RestartPolicy("always")),
    ],
)
def test_restart_policies(text: str, policy: RestartPolicy) -> None:
    assert options("--restart", text).restart == policy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (":3", "invalid restart policy format: no policy provided before colon"),
        ("on-failure:x", "invalid restart policy format: maximum retry count must be an integer"),
        ("on-failure:-1", "invalid restart policy: maximum retry count cannot be negative"),
        ("always:3", "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
        ("no:-3", "can only be used with 'on-failure' and cannot be negative"),
        ("sometimes", "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure'"),
    ],
)
def test_policies_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        options("--restart", text)


def test_a_container_that_removes_itself_is_not_restarted() -> None:
    with pytest.raises(InvalidOption, match="conflicting options: cannot specify both --restart and --rm"):
        options("--rm", "--restart", "always")
    assert options("--rm", "--restart", "no").remove


def test_a_health_check() -> None:
    words = "--health-interval 2s --health-timeout 1s --health-retries 4 --health-start-period 1m"
    check = options("--health-cmd", "test -f /x", *words.split(), "--health-start-interval", "500ms").healthcheck
    assert check == Healthcheck(
        ("CMD-SHELL", "test -f /x"), 2 * SECOND_NS, SECOND_NS, 60 * SECOND_NS, SECOND_NS // 2, retries=4
    )


def test_what_is_not_given_is_left_to_the_image() -> None:
    assert options().healthcheck is None
    assert options("--health-retries", "2").healthcheck == Healthcheck((), retries=2)
    assert options("--no-healthcheck").healthcheck == Healthcheck(("NONE",))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--no-healthcheck --health-cmd true", "--no-healthcheck conflicts with --health-\\* options"),
        ("--health-interval -1s", "--health-interval cannot be negative"),
        ("--health-timeout -1s", "--health-timeout cannot be negative"),
        ("--health-retries -1", "--health-retries cannot be negative"),
        ("--health-start-period -1s", "--health-start-period cannot be negative"),
        ("--health-start-interval -1s", "--health-start-interval cannot be negative"),
        ("--health-interval 999us", "Interval in Healthcheck cannot be less than 1ms"),
        ("--health-start-period 1ns", "StartPeriod in Healthcheck cannot be less than 1ms"),
        ("--health-timeout soon", "invalid duration 'soon'"),
    ],
)
def test_checks_that_cannot_be(words: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        options(*words.split())
