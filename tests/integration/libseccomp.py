"""Filters of system calls made by libseccomp, to be compared with ours. Source: seccomp_init(3)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

ALLOW = 0x7FFF_0000
EPERM = 0x0005_0001
KILL_PROCESS = 0x8000_0000
EQUAL, MASKED_EQUAL = 4, 7  # enum scmp_compare
_BAD_ARCHITECTURE = 2  # enum scmp_filter_attr
_UNKNOWN = -1

Test = tuple[int, int, int]  # comparison of the first argument, and one or two values


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    return library


def number(architecture: int, name: str) -> int | None:
    """The call's number in the ABI (AUDIT_ARCH_*), negative where the ABI lacks it.

    None where libseccomp doesn't know it, or treats it as a part of socketcall(2) or ipc(2).
    """
    found: int = _library().seccomp_syscall_resolve_name_arch(ctypes.c_uint32(architecture), name.encode())
    return None if found == _UNKNOWN or -300 < found < -100 else found


def program(architecture: int, rules: Iterable[tuple[str, int, Test | None]]) -> bytes:
    """A filter for one ABI: rules of name, action and test; other calls give EPERM, and other ABIs are killed."""
    library = _library()
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(EPERM)))
    try:
        done = [
            library.seccomp_attr_set(context, _BAD_ARCHITECTURE, ctypes.c_uint32(KILL_PROCESS)),
            library.seccomp_arch_remove(context, ctypes.c_uint32(library.seccomp_arch_native())),
            library.seccomp_arch_add(context, ctypes.c_uint32(architecture)),
            *(_add(library, context, *rule) for rule in rules),
        ]
        assert set(done) == {0}
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def _add(library: ctypes.CDLL, context: ctypes.c_void_p, name: str, action: int, test: Test | None) -> int:
    call = library.seccomp_syscall_resolve_name(name.encode())
    comparisons = () if test is None else (_Comparison(0, *test),)
    array = (_Comparison * len(comparisons))(*comparisons)
    arguments = (context, ctypes.c_uint32(action), call, len(comparisons), array)
    return int(library.seccomp_rule_add_array(*arguments))


def _exported(library: ctypes.CDLL, context: ctypes.c_void_p) -> bytes:
    descriptor = os.memfd_create("filter")
    try:
        assert library.seccomp_export_bpf(context, descriptor) == 0
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)
