"""Runs a server for the tests, and ends it with all that it has started when nobody uses it any more.

``python guard.py '{"folder": ..., "uid": ..., "gid": ..., "disk_mb": ...}'``: whoever uses the server holds a shared
lock on the file ``users`` of the folder, which the system takes from a process that dies, however it dies. When the
last one is gone, everything below this process is killed, and the folder removed. Standard library only.

Each line of the input asks for one thing, in JSON, and has its answer in one line of the output:

- ``{"run": COMMAND, ...}``: run a command to its end -> its exit code
- ``{"start": COMMAND, "ending": NUMBER, ...}``: start the server -> its pid. A server that has to clean up after itself
  gets the signal before it is killed
- ``{"status": 0}``: -> None while it runs, then its exit code
- ``{"kill": 0}``: kill everything, as a power failure does -> the exit code of the server

Both commands take ``environment`` and ``output``, a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_PRIVATE_BELOW = 0x4000 | 0x40000
_DETACH = 2
_ENDING_S = 5.0
_libc = ctypes.CDLL(None, use_errno=True)


class Guard:
    """The server, and what else runs below this process."""

    def __init__(self, folder: str, uid: int | None, gid: int | None, disk_mb: int | None = None) -> None:
        self._folder, self._uid, self._gid = folder, uid, gid
        self._server: int | None = None
        self._ending: int | None = None
        self._ended: dict[int, int] = {}
        _checked(_libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        if disk_mb is not None:
            self._mount(f"{folder}/disk", disk_mb)

    def do(self, asked: dict[str, Any]) -> int | None:
        """Do one thing."""
        if "run" in asked:
            return self._wait(self._spawn(asked["run"], asked))
        if "start" in asked:
            self._ending = asked.get("ending")
            self._server = self._spawn(asked["start"], asked)
            return self._server
        if "kill" in asked:
            self._kill()
        self._reap()
        return self._ended.get(self._server or 0)

    def end_with_users(self) -> None:
        """Wait until nobody uses the server, end it, remove the folder and leave."""
        with open(f"{self._folder}/users", "r+b") as users:  # noqa: PTH123  # pathlib takes longer than all else
            fcntl.lockf(users, fcntl.LOCK_EX)
            with contextlib.suppress(Exception):
                if self._ending is not None and self._server not in self._ended:
                    self._end_gently(self._ending)
            with contextlib.suppress(Exception):
                self._kill()
            _libc.umount2(f"{self._folder}/disk".encode(), _DETACH)
            shutil.rmtree(self._folder, ignore_errors=True)
            os._exit(0)

    def _spawn(self, command: list[str], asked: dict[str, Any]) -> int:
        rights: dict[str, Any] = {}
        if self._uid is not None:
            rights = {"user": self._uid, "group": self._gid, "extra_groups": []}
        with open(asked["output"], "ab") as output:  # noqa: PTH123
            process = subprocess.Popen(
                command, env=asked["environment"], cwd=self._folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, umask=0o077,
                preexec_fn=_die_with_the_guard,  # noqa: PLW1509  # the other thread waits for a lock and holds none
                **rights,
            )  # fmt: skip
        # All children are waited for in one place.
        process.returncode = 0
        return process.pid

    def _wait(self, pid: int) -> int:
        while pid not in self._ended:
            self._note(*os.waitpid(-1, 0))
        return self._ended[pid]

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._note(pid, status)

    def _note(self, pid: int, status: int) -> None:
        self._ended[pid] = os.waitstatus_to_exitcode(status)

    def _end_gently(self, number: int) -> None:
        end = time.monotonic() + _ENDING_S
        os.kill(self._server or 0, number)
        while self._server not in self._ended and time.monotonic() < end:
            time.sleep(0.01)
            self._reap()

    def _kill(self) -> None:
        """Kill until nothing is left: what is killed may have started something at that moment."""
        while left := below(os.getpid()):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
            self._reap()

    def _mount(self, place: str, size_mb: int) -> None:
        """Put a small disk there, in a namespace of this process, with which it goes."""
        uid, gid = os.geteuid(), os.getegid()
        _checked(_libc.unshare(_NEW_MOUNTS | (_NEW_USERS if uid else 0)))
        if uid:
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"{uid} {uid} 1"),
                ("gid_map", f"{gid} {gid} 1"),
            ):
                with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                    file.write(text)
        _checked(_libc.mount(None, b"/", None, _PRIVATE_BELOW, None))
        owner = uid if self._uid is None else self._uid
        options = f"size={size_mb}m,mode=0700,uid={owner}".encode()
        _checked(_libc.mount(b"tmpfs", place.encode(), b"tmpfs", 0, options))


def _die_with_the_guard() -> None:
    _libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _checked(status: int) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def below(top: int) -> list[int]:
    """Return the processes that a process has started, and those have started, as far as they live."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{int(name)}/stat") as file:  # noqa: PTH123
            state, parent = file.read().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(name)] = int(parent)
    found = {top}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {top})


def main() -> None:
    """Do what is asked for, until nobody uses the server."""
    try:
        guard = Guard(**json.loads(sys.argv[1]))
    except OSError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(json.dumps({"answer": os.getpid()}), flush=True)
    ending = threading.Thread(target=guard.end_with_users)
    ending.start()
    for line in sys.stdin:
        try:
            said = {"answer": guard.do(json.loads(line))}
        except Exception as error:  # noqa: BLE001  # whoever asked is told
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), flush=True)
    ending.join()


if __name__ == "__main__":
    main()
