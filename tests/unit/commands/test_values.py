from __future__ import annotations

import pytest

from dockmagic.commands import values
from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import Rlimit


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64m", 64 << 20),
        ("1.5g", 3 << 29),
        ("512kb", 512 << 10),
        ("1GiB", 1 << 30),
        ("4096", 4096),
        ("10 M", 10 << 20),
        (".5g", 1 << 29),
        ("5.k", 5 << 10),
        ("8b", 8),
    ],
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert values.size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1m", "64x", "1e3", "64 mb b", "64ib", "64bb", "."])
def test_a_size_that_is_none_says_what_would_be_one(text: str) -> None:
    with pytest.raises(InvalidOption, match="such as 64m"):
        values.size_bytes(text)


def test_memory_has_a_least_limit() -> None:
    assert values.memory_bytes("6m") == 6 << 20
    assert values.memory_bytes("0") == 0
    with pytest.raises(InvalidOption, match="6m"):
        values.memory_bytes("1k")


def test_swap_may_be_unlimited() -> None:
    assert values.swap_bytes("-1") == -1
    assert values.swap_bytes("1g") == 1 << 30


@pytest.mark.parametrize(("text", "cores"), [("0.5", 0.5), ("2", 2.0), ("0", 0.0), ("1e1", 10.0)])
def test_cpus(text: str, cores: float) -> None:
    assert values.cpus(text) == cores


@pytest.mark.parametrize("text", ["", "half", "-1", "0.001", "nan", "inf"])
def test_cpus_that_are_no_number(text: str) -> None:
    with pytest.raises(InvalidOption, match="half a core"):
        values.cpus(text)


def test_cpu_shares_have_a_range() -> None:
    assert values.cpu_shares("512") == 512
    with pytest.raises(InvalidOption, match="2 to 262144"):
        values.cpu_shares("1")


@pytest.mark.parametrize("text", ["0", "0-2", "0-2,4", "1-1", ""])
def test_lists_of_cpus(text: str) -> None:
    assert values.cpu_list(text) == text


@pytest.mark.parametrize("text", ["a", "0-", "0,,1", "1-0", ","])
def test_lists_of_cpus_that_are_none(text: str) -> None:
    with pytest.raises(InvalidOption, match="0-2,4"):
        values.cpu_list(text)


@pytest.mark.parametrize(("text", "limit"), [("10", 10), ("0", -1), ("-1", -1), ("-2", -1)])
def test_no_limit_of_processes_is_minus_one(text: str, limit: int) -> None:
    assert values.pids_limit(text) == limit


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("nofile=1024:2048", Rlimit("RLIMIT_NOFILE", 1024, 2048)),
        ("nproc=10", Rlimit("RLIMIT_NPROC", 10, 10)),
        ("core=0:-1", Rlimit("RLIMIT_CORE", 0, -1)),
    ],
)
def test_ulimits(text: str, limit: Rlimit) -> None:
    assert values.ulimit(text) == limit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("files=1", "isn't a limit"),
        ("nofile", "isn't a limit"),
        ("nofile=x", "whole"),
        ("nofile=5:3", "above the hard"),
    ],
)
def test_ulimits_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        values.ulimit(text)


@pytest.mark.parametrize(("text", "seconds"), [("3s", 3.0), ("500ms", 0.5), ("1m30s", 90.0), ("2", 2.0), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert values.duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "3 s", "1m-3s", "-3s", "3d"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(InvalidOption, match="1m30s"):
        values.duration_s(text)


@pytest.mark.parametrize("text", ["0", "25h"])
def test_sampling_takes_some_time_but_not_forever(text: str) -> None:
    with pytest.raises(InvalidOption, match="24h"):
        values.sampling_s(text)


@pytest.mark.parametrize("text", ["TERM", "SIGTERM", "9", "RTMIN+3", "term"])
def test_signals(text: str) -> None:
    assert values.signal_name(text) == text


@pytest.mark.parametrize("text", ["", "-9", "TERM;", "999", "0", "65", "SIGBOGUS", "TERM+1"])
def test_signals_that_are_none(text: str) -> None:
    with pytest.raises(InvalidOption, match="signal"):
        values.signal_name(text)


def test_tail_of_a_log() -> None:
    assert values.tail_lines("all") is None
    assert values.tail_lines("10") == 10
    assert values.tail_lines("-1") is None
    with pytest.raises(InvalidOption, match="whole number"):
        values.tail_lines("x")


@pytest.mark.parametrize("text", ["a", "-ab", "a b"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(InvalidOption, match="two characters"):
        values.container_name(text)


def test_an_empty_name_is_made_up() -> None:
    assert values.container_name("") == ""


def test_a_working_directory_is_absolute() -> None:
    assert values.working_directory("/app") == "/app"
    assert values.working_directory("") == ""
    with pytest.raises(InvalidOption, match="write /app"):
        values.working_directory("app")


def test_networks() -> None:
    assert values.network("host") == "host"
    with pytest.raises(InvalidOption, match="none"):
        values.network("bridge")
    with pytest.raises(InvalidOption, match="none"):
        values.network("container:web")  # but for containers, see run_networks
