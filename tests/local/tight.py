"""Stands before a Python program and has the system refuse a system call with an errno, as some file systems do.

``python tight.py flock 95 program.py`` (Linux on x86-64 and arm64).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

_NUMBERS = {
    "x86_64": {"flock": 73, "link": 86, "linkat": 265},
    "aarch64": {"flock": 32, "linkat": 37},
}
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ERRNO, _ALLOW = 0x00050000, 0x7FFF0000


class Program(ctypes.Structure):
    """A filter, as the kernel wants it."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def refuse(names: list[str], number: int) -> None:
    """Have these system calls of this process and its children fail."""
    calls = [_NUMBERS[platform.machine()][name] for name in names if name in _NUMBERS[platform.machine()]]
    steps = [(_LOAD, 0, 0, 0)]
    for call in calls:
        steps += [(_JUMP_IF_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ERRNO | number)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    assert libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0, os.strerror(
        ctypes.get_errno()
    )


if __name__ == "__main__":
    refuse(sys.argv[1].split(","), int(sys.argv[2]))
    os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
