"""Calls that write down when they hold a lock, and what the ledger says about that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def held(ledger, index, seconds=0.0, gate=None, places=0):
    """Task code: write down that it holds the lock, wait, and write down that it does no longer.

    With ``places`` it sits down on one of so many: the system frees that of a process at the moment of its death. Where
    all are taken, too many are in, and it writes that down.
    """
    import fcntl
    import time

    from nbtasks import current_call

    call = current_call()
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    seats = [os.open(f"{ledger}.{n}", os.O_RDWR | os.O_CREAT) for n in range(places)]
    for seat in seats:
        try:
            fcntl.flock(seat, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            continue
    else:
        if places:
            os.write(file, f"!{index}:{os.getpid()}\n".encode())
    token, attempt = (None, 0) if call is None else (call.lock_token, call.attempt)
    os.write(file, f"+{index}:{os.getpid()}:{token or 0}:{attempt}\n".encode())
    end = time.monotonic() + 120
    while gate is not None and not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(seconds)
    os.write(file, f"-{index}:{os.getpid()}\n".encode())
    for one in (file, *seats):
        os.close(one)
    return token


def forget(app, lock_id):
    """Have the broker forget who holds a lock, as one does that comes back with older data."""
    locks = app.session.line.locks()
    for holder in locks.occupancy(lock_id, 1).holders:
        locks.unlock(holder.worker)


class Entries:
    """What calls have written: who entered, who left, and how many were in at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.path = str(path)
        path.touch()

    def lines(self) -> list[tuple[str, ...]]:
        """Each line as (sign and index, pid, token, attempt)."""
        return [tuple(line.split(":")) for line in self._path.read_text().split()]

    def entered(self) -> list[int]:
        """Indexes in the order in which calls have entered."""
        return [int(line[0][1:]) for line in self.lines() if line[0][0] == "+"]

    def left(self) -> list[int]:
        """The same of those that have left."""
        return [int(line[0][1:]) for line in self.lines() if line[0][0] == "-"]

    def too_many(self) -> list[str]:
        """Those that came in when all places were taken."""
        return [line[0] for line in self.lines() if line[0][0] == "!"]

    def pids(self) -> dict[int, int]:
        """Index -> process, of those that are in now."""
        inside: dict[int, int] = {}
        for line in self.lines():
            if line[0][0] == "+":
                inside[int(line[0][1:])] = int(line[1])
            elif line[0][0] == "-":
                inside.pop(int(line[0][1:]), None)
        return inside

    def most(self, killed: frozenset[int] | set[int] = frozenset()) -> int:
        """How many were in at once, at most; one in a process that was killed until the next enters in its place."""
        inside: dict[tuple[int, int], bool] = {}
        most = 0
        for line in self.lines():
            index, pid = int(line[0][1:]), int(line[1])
            if line[0][0] != "+":
                inside.pop((index, pid), None)
                continue
            # Whoever enters finds those of dead processes gone.
            for one in [one for one in inside if one[1] in killed]:
                del inside[one]
            inside[index, pid] = True
            most = max(most, len(inside))
        return most


@pytest.fixture
def entries(tmp_path: Path) -> Entries:
    """An empty ledger of entries."""
    return Entries(tmp_path / "entries")
