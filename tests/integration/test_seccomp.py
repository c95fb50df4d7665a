"""The default filter in force: what is refused is refused by the kernel, and ordinary programs work."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONFINE = """
import ctypes, os, sys
from dockmagic.linux.seccomp import set_filter
from dockmagic.runtime.seccomp import default_filter
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
set_filter(default_filter(frozenset(sys.argv[1].split())))
"""
TRY = (
    CONFINE
    + """
import json
from dockmagic.linux.syscalls import numbers
table = numbers(os.uname().machine)
def attempt(name, *arguments):
    result = libc.syscall(ctypes.c_long(table[name]), *[ctypes.c_ulong(value) for value in arguments])
    return ctypes.get_errno() if result < 0 else 0
print(json.dumps([attempt(*call) for call in json.loads(sys.argv[2])]))
"""
)
EPERM, EBADF, EFAULT, EINVAL, ENOSYS = 1, 9, 14, 22, 38
NEWUSER = 0x1000_0000


def errnos(*calls: tuple[Any, ...], capabilities: str = "") -> list[int]:
    """The errno of each call in a process under the filter, 0 for success."""
    arguments = [sys.executable, "-c", TRY, capabilities, json.dumps(calls)]
    done = subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True)
    return [int(number) for number in json.loads(done.stdout)]


def confined(*command: str) -> subprocess.CompletedProcess[str]:
    """A program, started under the filter."""
    script = CONFINE + "os.execvp(sys.argv[2], sys.argv[2:])"
    return subprocess.run(
        [sys.executable, "-c", script, "", *command], cwd=ROOT, check=True, capture_output=True, text=True
    )


def test_what_reaches_out_of_a_container_is_refused() -> None:
    names = (
        "mount umount2 pivot_root setns sethostname swapon reboot init_module kexec_load bpf perf_event_open keyctl"
        " add_key userfaultfd io_uring_setup open_by_handle_at fsopen move_mount quotactl settimeofday unshare acct"
        " chroot"
    ).split()
    assert dict(zip(names, errnos(*((name, 0, 0, 0, 0, 0) for name in names)), strict=True)) == dict.fromkeys(
        names, EPERM
    )


def test_namespaces_and_clone3() -> None:
    assert errnos(("unshare", NEWUSER), ("clone", NEWUSER | 17), ("clone3", 0, 88)) == [EPERM, EPERM, ENOSYS]


def test_arguments_decide() -> None:
    sockets = [("socket", family, 2, 0) for family in (1, 2, 38, 40)]
    assert errnos(*sockets) == [0, 0, EPERM, EPERM]
    values = (0xFFFF_FFFF, 0x8, 0x0, 0x4_0000)
    assert errnos(*(("personality", value) for value in values)) == [0, 0, 0, EPERM]


def test_allowed_calls_reach_the_kernel() -> None:
    assert errnos(("getpid",), ("close", 12345), ("openat2", -1, 0, 0, 0), ("statx", -1, 0, 0, 0, 0)) == [
        0,
        EBADF,
        EINVAL,
        EFAULT,
    ]


def test_a_number_from_the_future_is_not_implemented() -> None:
    program = TRY.replace("table = ", "table = {'later': 900} | ").replace("numbers(os.uname().machine)", "{}")
    done = subprocess.run(
        [sys.executable, "-c", program, "", '[["later"]]'], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == [ENOSYS]


def test_a_capability_opens_its_calls() -> None:
    calls = (("mount", 0, 0, 0, 0, 0), ("unshare", 0), ("clone3", 0, 0))
    assert errnos(*calls, capabilities="CAP_SYS_ADMIN") != errnos(*calls)
    assert errnos(*calls, capabilities="CAP_SYS_ADMIN")[1:] == [0, EINVAL]


def test_busybox_works() -> None:
    script = "mkdir -p d && echo one > d/f && cp d/f d/g && ls d | sort -r && cat d/g && (sleep 0.01 & wait) && id -u"
    done = confined("busybox", "sh", "-c", f'cd "$(mktemp -d)" && {script} && rm -r d && rmdir "$PWD"')
    assert done.stdout.split()[:3] == ["g", "f", "one"]


def test_python_with_threads_processes_and_sockets_works() -> None:
    script = (
        "import subprocess, socket, threading, tempfile, time, ssl, asyncio;"
        "t = threading.Thread(target=time.sleep, args=(0.01,)); t.start(); t.join();"
        "s = socket.create_server(('127.0.0.1', 0)); s.close();"
        "asyncio.run(asyncio.sleep(0));"
        "f = tempfile.TemporaryFile(); f.write(b'x'); f.close();"
        "print(subprocess.check_output(['echo', 'fine'], text=True).strip())"
    )
    assert confined(sys.executable, "-c", script).stdout == "fine\n"


def test_the_filter_is_inherited() -> None:
    status = confined(
        "busybox", "sh", "-c", "busybox grep -E '^(Seccomp|Seccomp_filters|NoNewPrivs):' /proc/self/status"
    ).stdout
    assert dict(line.split() for line in status.splitlines()) == {
        "NoNewPrivs:": "1",
        "Seccomp:": "2",
        "Seccomp_filters:": "1",
    }


def test_i386_programs_run_under_their_own_numbers(tmp_path: Path) -> None:
    """An i386 program of two calls: mount, and an exit with 7 where that gave -EPERM."""
    program = tmp_path / "i386"
    program.write_bytes(
        _elf32(b"\xb8\x15\0\0\0\x31\xdb\xcd\x80\x83\xf8\xff\x75\x05\xbb\x07\0\0\0\xb8\x01\0\0\0\xcd\x80")
    )
    program.chmod(0o755)
    try:
        subprocess.run([program], check=False)
    except OSError:
        pytest.skip("this kernel runs no i386 programs")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        confined(str(program))
    assert caught.value.returncode == 7


def _elf32(code: bytes) -> bytes:
    """An i386 executable that consists of the code."""
    base, head = 0x0804_8000, 52 + 32
    size = head + len(code)
    words = (2, 3, 1, base + head, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIIIIIHHHHHH", *words)
    return header + struct.pack("<8I", 1, 0, base, base, size, size, 5, 4096) + code
