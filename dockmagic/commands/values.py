"""Values of flags, from text: sizes, CPUs, durations, limits. Each raises InvalidOption and says what would do.

Source: docker-units (RAMInBytes), docker/cli opts, and `docker run`'s reference.
"""

from __future__ import annotations

import re
import signal
from decimal import Decimal, InvalidOperation

from dockmagic.dockerfile.sizes import parse_size
from dockmagic.errors import InvalidOption, one_of
from dockmagic.oci.spec import Rlimit

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_CPU_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")
_MEMORY_FLOOR_BYTES = 6 << 20
_SHARES = (2, 262144)
_LIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


def size_bytes(text: str) -> int:
    """Bytes of "64m", "1.5g", "512kb", "1GiB" or "4096"; every unit is a power of 1024.

    >>> size_bytes("1.5k")
    1536
    """
    try:
        return parse_size(text)
    except ValueError as error:
        raise InvalidOption(str(error)) from None


def memory_bytes(text: str) -> int:
    """Bytes of a memory limit, which is at least 6 MiB as Docker demands."""
    size = size_bytes(text)
    if 0 < size < _MEMORY_FLOOR_BYTES:
        raise InvalidOption(f"{text!r} is less than the least memory limit, 6m")
    return size


def swap_bytes(text: str) -> int:
    """Bytes of memory and swap together; -1 is "unlimited"."""
    return -1 if text.strip() == "-1" else size_bytes(text)


def cpus(text: str) -> float:
    """Cores' worth of CPU time, such as 0.5; at least 0.01, since a period is 100 ms and a quota no less than 1 ms."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(-1)
    if not number.is_finite() or number < 0 or 0 < number < Decimal("0.01"):
        raise InvalidOption(f"{text!r} isn't a number of CPUs; write 0.5 for half a core (the least is 0.01)")
    return float(number)


def cpu_shares(text: str) -> int:
    """A relative weight, 2 to 262144; 0 leaves the default of 1024."""
    number = integer(text)
    if number != 0 and not _SHARES[0] <= number <= _SHARES[1]:
        raise InvalidOption(f"{text!r} isn't a CPU weight; write a number from {_SHARES[0]} to {_SHARES[1]}")
    return number


def swappiness(text: str) -> int | None:
    """How readily memory goes to swap, 0 to 100; None for Docker's -1, which leaves it."""
    number = integer(text)
    if not -1 <= number <= 100:
        raise InvalidOption(f"{text!r} isn't a swappiness; write a number from 0 to 100")
    return None if number == -1 else number


def oom_score(text: str) -> int:
    """An adjustment of the score by which the kernel chooses what to kill, -1000 to 1000."""
    number = integer(text)
    if not -1000 <= number <= 1000:
        raise InvalidOption(f"{text!r} isn't an adjustment of the OOM score; write a number from -1000 to 1000")
    return number


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name for name in map(str.strip, text.split(",")) if name)


def cpu_period(text: str) -> int:
    """Microseconds over which a quota counts; 0 leaves the default of 100 ms."""
    number = integer(text)
    if number != 0 and not 1000 <= number <= 1_000_000:
        raise InvalidOption(f"{text!r} isn't a period; write 1000 to 1000000 microseconds")
    return number


def cpu_quota(text: str) -> int:
    """Microseconds of CPU time in a period, at least 1000; -1 is no limit, and 0 is as if it weren't given."""
    number = integer(text)
    if 0 < number < 1000:
        raise InvalidOption(f"{text!r} is less than the least quota, 1000 microseconds")
    return max(number, -1)


def cpu_list(text: str) -> str:
    """A list of CPUs such as "0-2,4", unchanged; "" leaves them all."""
    ranges = [_CPU_RANGE.fullmatch(part) for part in text.split(",")] if text else []
    if not all(found and int(found[1]) <= int(found[2] or found[1]) for found in ranges):
        raise InvalidOption(f"{text!r} isn't a list of CPUs; write it as 0-2,4")
    return text


def integer(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise InvalidOption(f"{text!r} isn't a whole number") from None


def natural(text: str) -> int:
    """A whole number that isn't negative."""
    number = integer(text)
    if number < 0:
        raise InvalidOption(f"{text!r} is negative; write 0 or more")
    return number


def pids_limit(text: str) -> int:
    """Most tasks at a time; 0 and less mean "unlimited" and give -1."""
    number = integer(text)
    return number if number > 0 else -1


def ulimit(text: str) -> Rlimit:
    """A limit of setrlimit(2) from "nofile=1024:2048" (soft:hard) or "nofile=1024" (both); -1 is "unlimited".

    >>> ulimit("nofile=1024:2048")
    Rlimit(type='RLIMIT_NOFILE', soft=1024, hard=2048)
    """
    name, equals, rest = text.partition("=")
    if not equals or name not in _LIMITS:
        raise InvalidOption(f"{text!r} isn't a limit; write name=soft:hard with a name of {one_of(_LIMITS)}")
    soft_text, colon, hard_text = rest.partition(":")
    soft = integer(soft_text)
    hard = integer(hard_text) if colon else soft
    if hard != -1 and (soft == -1 or soft > hard):
        raise InvalidOption(f"{text!r}: the soft limit {soft} is above the hard limit {hard}")
    return Rlimit(f"RLIMIT_{name.upper()}", soft, hard)


def duration_s(text: str) -> float:
    """Seconds of "3s", "1m30s", "500ms", or of a plain number."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidOption(f"{text!r} isn't a duration; write 3s, 500ms or 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def sampling_s(text: str) -> float:
    """Seconds to sample for: more than 0, at most a day."""
    seconds = duration_s(text)
    if not 0 < seconds <= 86400:
        raise InvalidOption(f"{text!r} is no time to sample for; write a duration from 500ms to 24h")
    return seconds


def signal_name(text: str) -> str:
    """A signal's name, with or without SIG, or its number, unchanged."""
    name = re.sub(r"(?<=RTMIN)\+[0-9]{1,2}$|(?<=RTMAX)-[0-9]{1,2}$", "", text.upper().removeprefix("SIG"))
    known = f"SIG{name}" in signal.Signals.__members__ or (text.isdecimal() and 0 < int(text) < signal.NSIG)
    if not known:
        raise InvalidOption(f"{text!r} isn't a signal; write a name such as TERM, or a number")
    return text


def tail_lines(text: str) -> int | None:
    """How many of the last lines; None for "all" or a number below 0."""
    number = -1 if text == "all" else integer(text)
    return None if number < 0 else number


def container_name(text: str) -> str:
    """A name for a container, in Docker's grammar; "" has one made up."""
    if text and re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", text) is None:
        raise InvalidOption(f"{text!r} isn't a name; use letters, digits, _ . and -, two characters or more")
    return text


def working_directory(text: str) -> str:
    """An absolute path in the container, unchanged; "" leaves the image's."""
    if text and not text.startswith("/"):
        raise InvalidOption(f"{text!r} isn't an absolute path; write /{text}")
    return text


def network(text: str) -> str:
    """The network of a build's steps: "default", "none" or "host"."""
    if text in {"default", "none", "host"}:
        return text
    hint = "default (a way out through the host), none (a loopback of its own) or host (the host's network)"
    raise InvalidOption(f"{text!r} isn't for a build's steps; use {hint}")
