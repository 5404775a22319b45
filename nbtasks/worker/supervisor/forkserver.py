"""The process that children are forked from: everything is imported, no thread runs, no connection is open.

It forks when the supervisor says so and reports who was born and how each one died. When the supervisor is gone it
kills all children and ends. Why not multiprocessing's: that one starts a second interpreter (0.2 s) and keeps the
exit status to itself.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nbtasks.local.processes.proctree import kill_tree
from nbtasks.worker.executing.interrupts import ORDER
from nbtasks.worker.memory import peak_bytes

from .orphans import Orphans, adopt, hear_of_parents_death

#: Seconds between two looks for daemons, and those that the forkserver has to end by itself.
_LOOK_S = 1.0
_CLOSE_S = 10.0
#: Exit code of a child whose own code has raised something.
FAILED = 1

#: Starts a child in the slot with this number; does not return.
ChildMain = Callable[[int], None]


@dataclass(frozen=True)
class Birth:
    """A child has been forked."""

    slot: int
    pid: int


@dataclass(frozen=True)
class Death:
    """A child has ended. ``status`` is a wait status, for ``os.waitstatus_to_exitcode``."""

    slot: int
    pid: int
    status: int
    peak_bytes: int


class Forkserver:
    """The supervisor's end.

    Args:
        child_main: what a child runs.
        close_fds: descriptors of the supervisor that nobody else may hold.
    """

    def __init__(self, child_main: ChildMain, close_fds: tuple[int, ...] = ()) -> None:
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            for fd in close_fds:
                os.close(fd)
            code = 1
            try:
                code = _serve(theirs, child_main)
            finally:
                os._exit(code)
        theirs.close()
        self._gone = False
        self._socket = ours
        self._rest = b""

    def fileno(self) -> int:
        """File descriptor that is readable when there is news."""
        return self._socket.fileno()

    def spawn(self, slot: int) -> None:
        """Ask for a child in a slot."""
        self._socket.sendall(b"%d\n" % slot)

    def news(self) -> list[Birth | Death]:
        """Read what has happened.

        Raises:
            EOFError: the forkserver itself has died.
        """
        data = self._socket.recv(65536)
        if not data:
            raise EOFError
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [_parse(line) for line in lines]

    def keep_going(self) -> None:
        """Have it go on where a task has stopped it; reap what the system has given to a first process."""
        whom = -1 if os.getpid() == 1 else self.pid
        while not self._gone:
            try:
                pid, status = os.waitpid(whom, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                self._gone = True
                return
            if pid == 0:
                return
            if pid == self.pid and os.WIFSTOPPED(status):
                os.kill(pid, signal.SIGCONT)
            elif pid == self.pid:
                self._gone = True

    def close(self) -> None:
        """End it, and every child with it and what those have started; returns when all have gone."""
        self._socket.close()
        deadline = time.monotonic() + _CLOSE_S
        while not self._gone and time.monotonic() < deadline:
            self.keep_going()
            time.sleep(0.001)
        if not self._gone:
            kill_tree(self.pid)


def _parse(line: bytes) -> Birth | Death:
    numbers = [int(word) for word in line.split()]
    return Birth(*numbers) if len(numbers) == 2 else Death(*numbers)


def _serve(link: socket.socket, child_main: ChildMain) -> int:
    gc.collect()
    gc.freeze()
    children: dict[int, int] = {}
    orphans = Orphans()
    adopt()
    # If it was stopped by a task, it has to go on and see that the supervisor is gone.
    hear_of_parents_death(signal.SIGCONT)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, ORDER):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        try:
            while True:
                for key, _ in selector.select(_LOOK_S):
                    if key.fd == wake_read:
                        _drain(wake_read)
                        _bury(link, children, orphans)
                    elif not _fork_as_told(link, child_main, children, (wake_read, wake_write)):
                        return 0
                orphans.look(children)
        finally:
            _end_all(children, orphans)


def _fork_as_told(
    link: socket.socket, child_main: ChildMain, children: dict[int, int], fds: tuple[int, int]
) -> bool:
    try:
        data = link.recv(4096)
    except ConnectionError:
        data = b""
    for word in data.split():
        pid = os.fork()
        if pid == 0:
            _become_child(link, child_main, int(word), fds)
        children[pid] = int(word)
        link.sendall(b"%d %d\n" % (int(word), pid))
    return bool(data)


def _become_child(link: socket.socket, child_main: ChildMain, slot: int, fds: tuple[int, int]) -> None:
    code = FAILED
    try:
        # A group of its own: what a task starts is stopped with it, and a terminal's ^C does not reach it.
        os.setpgid(0, 0)
        # Until the child has a handler: else one that is told to end in its first moments is gone without a word.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        link.close()
        for fd in fds:
            os.close(fd)
        child_main(slot)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 4096):
            pass


def _reap() -> Iterator[tuple[int, int, int]]:
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status, peak_bytes(usage)


def _bury(link: socket.socket, children: dict[int, int], orphans: Orphans) -> None:
    """Tell which children have ended; others were adopted, and nobody waits for them."""
    for pid, status, peak in _reap():
        slot = children.pop(pid, None)
        if slot is None:
            continue
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        orphans.end_new(children)
        link.sendall(b"%d %d %d %d\n" % (slot, pid, status, peak))


def _end_all(children: dict[int, int], orphans: Orphans) -> None:
    for pid in children:
        kill_tree(pid)
    orphans.end_all()
