"""A container's processes as ps(1) lists them, read from /proc. Source: proc(5), ps(1) "STANDARD FORMAT SPECIFIERS".

Known are the full format (`-ef`, the default), the user-oriented one (`aux`), and columns of choice (`-o`).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dockmagic.errors import InvalidOption, one_of

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_FULL: Final = ("-ef", "-fe", "-f", "-e", "-A", "ef", "-eaf", "-aef")
_USER: Final = ("aux", "-aux", "au", "u", "axu", "ux")


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `started_s` since the epoch, `cpu_s` its CPU time so far, sizes in bytes."""

    pid: int
    ppid: int
    pgid: int
    uid: int
    state: str
    terminal: int
    nice: int
    threads: int
    started_s: float
    cpu_s: float
    virtual_bytes: int
    resident_bytes: int
    name: str
    command: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Columns and a row for each process, by number; the numbers are the host's."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def listing(pids: Iterable[int], options: Sequence[str] = ()) -> Listing:
    """These processes in the form that the options choose; one that ends meanwhile is left out.

    Raises InvalidOption for other options.
    """
    columns = _columns(list(options))
    found = [process for pid in pids if (process := read(pid)) is not None]
    return Listing(
        tuple(title for title, _ in columns),
        tuple(tuple(show(process) for _, show in columns) for process in found),
    )


def read(pid: int, proc: Path = Path("/proc")) -> Process | None:
    """What /proc says of a process; None where it is gone."""
    with contextlib.suppress(OSError):
        directory = proc / str(pid)
        text = (directory / "stat").read_text()
        words = (directory / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        name, fields = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        return Process(
            pid=pid,
            ppid=int(fields[1]),
            pgid=int(fields[2]),
            uid=directory.stat().st_uid,
            state=fields[0],
            terminal=int(fields[4]),
            nice=int(fields[16]),
            threads=int(fields[17]),
            started_s=_boot_s(proc) + int(fields[19]) / _TICKS,
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
            virtual_bytes=int(fields[20]),
            resident_bytes=int(fields[21]) * _PAGE,
            name=name,
            command=" ".join(words).strip() or f"[{name}]",
        )
    return None


def _boot_s(proc: Path) -> float:
    """When this machine was started, in seconds since the epoch."""
    lines = (proc / "stat").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("btime "))


# columns

_Show = Callable[[Process], str]
_Column = tuple[str, _Show]


def _share(process: Process) -> float:
    """CPU time used per second of its life, as a fraction of one CPU."""
    return process.cpu_s / max(time.time() - process.started_s, 1 / _TICKS)


def _user(process: Process) -> str:
    """The name that the host has for its user, else the number."""
    try:
        return pwd.getpwuid(process.uid).pw_name
    except KeyError:
        return str(process.uid)


def _start(process: Process) -> str:
    """Time of the day where it is younger than a day, else the date."""
    form = "%H:%M" if time.time() - process.started_s < 86400 else "%b%d"
    return time.strftime(form, time.localtime(process.started_s))


def _clock(seconds: float) -> str:
    """[DD-]HH:MM:SS.

    >>> _clock(90061)
    '1-01:01:01'
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days}-' if days else ''}{hour:02}:{minute:02}:{second:02}"


def _terminal(process: Process) -> str:
    """The terminal that it belongs to, "?" for none. Source: tty numbers of devices.txt."""
    if process.terminal == 0:
        return "?"
    major, minor = os.major(process.terminal), os.minor(process.terminal)
    return f"pts/{minor + 256 * (major - 136)}" if 136 <= major <= 143 else f"tty{minor}"


def _memory_share(process: Process) -> str:
    total = os.sysconf("SC_PHYS_PAGES") * _PAGE
    return f"{100 * process.resident_bytes / total:.1f}"


_COLUMNS: Final[dict[str, _Column]] = {
    "uid": ("UID", lambda p: str(p.uid)),
    "user": ("USER", _user),
    "pid": ("PID", lambda p: str(p.pid)),
    "ppid": ("PPID", lambda p: str(p.ppid)),
    "pgid": ("PGID", lambda p: str(p.pgid)),
    "c": ("C", lambda p: str(min(int(100 * _share(p)), 99))),
    "pcpu": ("%CPU", lambda p: f"{100 * _share(p):.1f}"),
    "pmem": ("%MEM", _memory_share),
    "vsz": ("VSZ", lambda p: str(p.virtual_bytes // 1024)),
    "rss": ("RSS", lambda p: str(p.resident_bytes // 1024)),
    "tty": ("TTY", _terminal),
    "stat": ("STAT", lambda p: f"{p.state}{'l' if p.threads > 1 else ''}"),
    "s": ("S", lambda p: p.state),
    "ni": ("NI", lambda p: str(p.nice)),
    "nlwp": ("NLWP", lambda p: str(p.threads)),
    "stime": ("STIME", _start),
    "etime": ("ELAPSED", lambda p: _clock(time.time() - p.started_s)),
    "time": ("TIME", lambda p: _clock(p.cpu_s)),
    "comm": ("COMMAND", lambda p: p.name),
    "args": ("COMMAND", lambda p: p.command),
}
_ALIASES: Final = {
    "euser": "user", "uname": "user", "euid": "uid", "%cpu": "pcpu", "%mem": "pmem", "tt": "tty", "tname": "tty",
    "state": "s", "nice": "ni", "thcount": "nlwp", "vsize": "vsz", "rssize": "rss", "start_time": "stime",
    "cputime": "time", "cmd": "args", "command": "args", "ucmd": "comm", "ucomm": "comm",
}  # fmt: skip


def _columns(options: list[str]) -> list[_Column]:
    """The columns that the options choose. Raises InvalidOption."""
    chosen = list(_chosen(options))
    if chosen:
        return chosen
    if options and options[0] in _USER:
        names = "user pid pcpu pmem vsz rss tty stat stime time args".split()
        return [("START" if name == "stime" else _COLUMNS[name][0], _COLUMNS[name][1]) for name in names]
    full = [("UID", _user), *(_COLUMNS[name] for name in "pid ppid c stime tty time".split())]
    return [*full, ("CMD", _COLUMNS["args"][1])]


def _chosen(options: list[str]) -> Iterator[_Column]:
    """The columns of `-o`, `-eo` and the like; options that choose a whole format give none. Raises InvalidOption."""
    rest = iter(options)
    for word in rest:
        if word in _FULL or word in _USER:
            continue
        flag, _, value = word.partition("=") if word.startswith("--format=") else (word, "", "")
        if flag.startswith("-") and "o" in flag and not flag.startswith("--"):
            head, _, value = flag.partition("o")
            flag = f"{head}o"
        if flag.lstrip("-") not in ("o", "eo", "Ao", "axo", "format"):
            raise InvalidOption(f"{word!r}: known options of ps are -ef, aux, and -o with columns such as pid,args")
        yield from (_column(name) for name in (value or next(rest, "")).replace(" ", ",").split(",") if name)


def _column(text: str) -> _Column:
    """A column by its name, with a title of one's own after "=". Raises InvalidOption."""
    name, equals, title = text.partition("=")
    name = _ALIASES.get(name.lower(), name.lower())
    if name not in _COLUMNS:
        raise InvalidOption(f"{text!r} is no column; there are {one_of(sorted(_COLUMNS))}")
    return (title, _COLUMNS[name][1]) if equals else _COLUMNS[name]
