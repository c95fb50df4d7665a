from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.runtime.processes import listing, read


def stat(proc: Path, pid: int, name: str = "sh", command: bytes = b"sh\0-c\0x y\0", threads: int = 1) -> None:
    directory = proc / str(pid)
    directory.mkdir(parents=True)
    fields = ["S", "1", str(pid), "1", str(os.makedev(136, 3)), "0", *["0"] * 5, "150", "50", "0", "0", "20", "0"]
    fields += [str(threads), "0", "100", "8192", "2"]
    (directory / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (directory / "cmdline").write_bytes(command)
    (proc / "stat").write_text("cpu 1\nbtime 1000\n")


def test_a_process_is_read_from_its_files(tmp_path: Path) -> None:
    stat(tmp_path, 7, name="a) (b", threads=2)
    found = read(7, tmp_path)
    assert found is not None
    assert (found.pid, found.ppid, found.state, found.name, found.threads) == (7, 1, "S", "a) (b", 2)
    assert found.command == "sh -c x y"
    assert found.cpu_s == 200 / os.sysconf("SC_CLK_TCK")
    assert found.started_s == 1000 + 100 / os.sysconf("SC_CLK_TCK")


def test_one_without_a_command_line_has_its_name(tmp_path: Path) -> None:
    stat(tmp_path, 7, command=b"")
    found = read(7, tmp_path)
    assert found is not None
    assert found.command == "[sh]"
    assert read(8, tmp_path) is None


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        ([], "UID PID PPID C STIME TTY TIME CMD"),
        (["-ef"], "UID PID PPID C STIME TTY TIME CMD"),
        (["aux"], "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        (["-o", "pid,cmd"], "PID COMMAND"),
        (["-eo", "pid,comm=NAME"], "PID NAME"),
        (["-opid", "-o", "user"], "PID USER"),
        (["--format=pid"], "PID"),
    ],
)
def test_options_choose_the_columns(options: list[str], titles: str) -> None:
    found = listing([os.getpid(), 2**22], options)
    assert found.titles == tuple(titles.split())
    assert [str(os.getpid()) in row for row in found.rows] == [True]


@pytest.mark.parametrize("options", [["--forest"], ["-o", "nothing"], ["-x"]])
def test_other_options_are_refused(options: list[str]) -> None:
    with pytest.raises(InvalidOption):
        listing([], options)
