"""Run a command under a second kernel with pure cgroup v2, over a copy-on-write view of this machine's files.

    python -m tests.v2 [--seconds 1200] [--mebibytes 3072] [--] COMMAND…

The kernel is User Mode Linux: an ordinary program of Debian's, which needs no KVM. What the command writes is lost at
the end; its output comes through, and so does its status (128+n for signal n, 124 where the time is up, 125 where the
kernel never came to run it). `TMPDIR` is on a real file system there, as the upper directories of overlays want it.
It has one processor, a slow fork, no PSI, no cpuset controller, no nf_tables for IP, and only a loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

KERNEL: Final = "/usr/bin/linux.uml"
MODULES: Final = Path("/usr/lib/uml/modules")
NEEDED: Final = ("hostfs", "overlay", "ext4")
PASSED_ON: Final = ("PATH", "LANG", "HOME", "CI")
SCRATCH_BYTES: Final = 8 << 30
HERE: Final = Path(__file__).parent
TIME_IS_UP: Final = 124
NOT_RUN: Final = 125


def main(argv: Sequence[str] | None = None) -> int:
    """Boot, run the command, give its status."""
    parser = argparse.ArgumentParser(prog="python -m tests.v2", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1200, help="time for all of it")
    parser.add_argument("--mebibytes", type=int, default=3072, help="memory of the machine")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    missing = [tool for tool in (KERNEL, "busybox", "depmod", "mkfs.ext4") if shutil.which(tool, path=search()) is None]
    if missing:
        parser.error(f"needs {', '.join(missing)}; `make packages` installs what tests/system-packages.txt lists")
    with tempfile.TemporaryDirectory(prefix="dockmagic-v2-") as directory:
        return boot(Path(directory), command, args.seconds, args.mebibytes)


def search() -> str:
    """Where programs are looked for: those of the system's administrator too."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def boot(directory: Path, command: Sequence[str], seconds: float, mebibytes: int) -> int:
    """Boot the kernel with a job that runs the command, wait for its end, and give the job's status."""
    job = directory / "job"
    job.mkdir()
    shutil.copy(HERE / "second_stage.sh", job)
    (job / "command").write_text(script(command))
    (job / "version").write_text(version())
    scratch = directory / "scratch.img"
    make_scratch(scratch)
    make_initramfs(directory / "initramfs.gz", directory / "tree")
    machine = [
        KERNEL, f"mem={mebibytes}M", f"initrd={directory}/initramfs.gz", f"ubda={scratch}",
        "con=null", "con0=null,fd:2", "ssl=null", "ssl0=null,fd:1", f"uml_dir={directory}", "umid=machine",
        "quiet", "loglevel=4", "panic=-1", "cgroup_no_v1=all", f"job={job}",
    ]  # fmt: skip
    with (directory / "console").open("wb") as console:
        status = run(machine, console.fileno(), seconds)
    with contextlib.suppress(FileNotFoundError):
        return int((job / "status").read_text())
    print((directory / "console").read_text(errors="replace")[-4000:], file=sys.stderr)
    print("The time is up." if status == TIME_IS_UP else "The kernel didn't run the command.", file=sys.stderr)
    return status


def run(machine: Sequence[str], console: int, seconds: float) -> int:
    """Let the kernel run; it has its memory in a file of /dev/shm. Ends its processes where it doesn't end in time."""
    environment = {"TMPDIR": "/dev/shm", "PATH": search()}
    process = subprocess.Popen(
        machine, stdin=subprocess.DEVNULL, stderr=console, env=environment, process_group=0
    )  # fmt: skip
    try:
        process.wait(seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as error:
        os.killpg(process.pid, 9)
        process.wait()
        return TIME_IS_UP if isinstance(error, subprocess.TimeoutExpired) else 130
    return NOT_RUN


def script(command: Sequence[str]) -> str:
    """The command as a script of bash, in this directory and with these variables."""
    exports = [f"export {name}={shlex.quote(os.environ[name])}" for name in PASSED_ON if name in os.environ]
    return "\n".join([*exports, f"cd {shlex.quote(str(Path.cwd()))} || exit 125", f"exec {shlex.join(command)}", ""])


def version() -> str:
    """The version of the kernel that is installed."""
    return max(entry.name for entry in MODULES.iterdir())


def make_scratch(image: Path) -> None:
    """A sparse file with an empty ext4 in it."""
    with image.open("wb") as file:
        file.truncate(SCRATCH_BYTES)
    options = ["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-O", "^has_journal"]
    subprocess.run(["mkfs.ext4", *options, image], check=True, env={"PATH": search()})


def make_initramfs(archive: Path, tree: Path) -> None:
    """An archive with busybox, the modules that the root file system takes, and the script that mounts it."""
    for name in ("bin", "proc", "sys", "dev", "modules", "host", "own", "newroot"):
        (tree / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox", path=search()) or "", tree / "bin/busybox")
    order = list(dict.fromkeys(in_order(NEEDED)))
    for path in order:
        shutil.copy(path, tree / "modules")
    (tree / "modules/order").write_text("".join(f"{path.name}\n" for path in order))
    shutil.copy(HERE / "first_stage.sh", tree / "init")
    (tree / "init").chmod(0o755)
    subprocess.run("find . | busybox cpio -o -H newc 2>/dev/null | gzip -1", shell=True, check=True, cwd=tree,
                   stdout=archive.open("wb"))  # fmt: skip


def in_order(names: Sequence[str]) -> Iterator[Path]:
    """Files of the modules, each after those that it depends on. Source: modules.dep(5)."""
    base = MODULES / version()
    for line in (base / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        if Path(path).stem in names:
            yield from (base / name for name in reversed(needs.split()))
            yield base / path


if __name__ == "__main__":
    sys.exit(main())
