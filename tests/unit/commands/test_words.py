from __future__ import annotations

import pytest

from dockmagic.commands.catalogue import by_name
from dockmagic.commands.command import CommandParser
from dockmagic.errors import InvalidOption


@pytest.fixture
def run() -> CommandParser:
    return by_name()["run"].parser("run")


@pytest.fixture
def rm() -> CommandParser:
    return by_name()["rm"].parser("rm")


@pytest.mark.parametrize("words", ["-di", "-id", "-d -i", "-d=true -i=1", "--detach=True --interactive=t"])
def test_switches_stand_together_or_apart(run: CommandParser, words: str) -> None:
    args = run.parse_words([*words.split(), "busybox"])
    assert args.detach
    assert args.interactive


@pytest.mark.parametrize("words", ["-d=false", "--detach=0", "-d --detach=false", "-d -i -d=F"])
def test_the_last_word_on_a_switch_counts(run: CommandParser, words: str) -> None:
    assert not run.parse_words([*words.split(), "busybox"]).detach


def test_a_refused_switch_may_be_off(run: CommandParser) -> None:
    assert run.parse_words(["--use-api-socket=false", "busybox"]).image == "busybox"
    with pytest.raises(InvalidOption, match="--use-api-socket"):
        run.parse_words(["--use-api-socket=true", "busybox"])


@pytest.mark.parametrize("words", [["-h-x"], ["-h=-x"], ["-h", "-x"], ["--hostname", "-x"], ["-ih", "-x"]])
def test_a_value_may_begin_with_a_dash(run: CommandParser, words: list[str]) -> None:
    assert run.parse_words([*words, "busybox"]).hostname == "-x"


def test_values_may_be_empty_or_have_blanks_and_equals_signs(run: CommandParser) -> None:
    args = run.parse_words(["-u", "", "-e", "A B=c=d", "--env=", "-eX=-1", "busybox"])
    assert args.user == ""
    assert args.env == ["A B=c=d", "", "X=-1"]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["busybox", "--", "echo"], ["--", "echo"]),
        (["--", "busybox", "--", "echo"], ["--", "echo"]),
        (["--", "busybox"], []),
        (["busybox", "echo", "--rm", "-it", "--bogus"], ["echo", "--rm", "-it", "--bogus"]),
        (["busybox", ""], [""]),
    ],
)
def test_flags_end_at_the_image(run: CommandParser, words: list[str], command: list[str]) -> None:
    args = run.parse_words(words)
    assert args.image == "busybox"
    assert args.command == command
    assert not args.remove


@pytest.mark.parametrize("words", ["-f a b", "a -f b", "a b --force", "-f -- a b"])
def test_elsewhere_flags_may_follow_words(rm: CommandParser, words: str) -> None:
    args = rm.parse_words(words.split())
    assert args.containers == ["a", "b"]
    assert args.force


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-dx busybox", "unknown flag -x in -dx; see run --help"),
        ("-y busybox", "unknown flag -y; see run --help"),
        ("--bogus=1 busybox", "unknown flag --bogus; see run --help"),
        ("-d=no busybox", "-d: 'no' is neither true nor false"),
        ("-m", "-m/--memory: expected one argument"),
        ("", "missing: IMAGE; see run --help"),
    ],
)
def test_what_is_wrong_with_a_flag(run: CommandParser, words: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=f"^{message}"):
        run.parse_words(words.split())
