"""The children of a worker: forked and replaced, kept going, and ended with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence

from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import WorkersError
from nbtasks.local.processes.proctree import kill_tree, look_up, send
from nbtasks.worker.log import LOGGER
from nbtasks.worker.seats import Seat
from nbtasks.worker.slots import BUSY, CONCURRENT, IDLE, STARTING

from .forkserver import Birth, Death, Forkserver

#: Children that a worker can have more than it begins with: their seats are there from its start.
ROOM = 32
#: Seconds between two looks whether all children go on.
_GOING_S = 1.0
#: Seconds until children are told again to end.
_REMIND_S = 1.0
#: Seconds that a child which runs nothing has to end; by then it has told what it had to tell, or given that up.
_LEAVE_S = 15.0
_BEFORE_NEXT_CHILD = Backoff(0.1, 10.0)

#: How children end: after the calls that they run, or at once.
WARM, COLD = "warm", "cold"


class Children:
    """One in each seat that is wanted; no other code of the supervisor starts or ends them.

    Args:
        seats: for as many as there can ever be.
        n: so many are wanted at first.

    Attributes:
        pids: of those that live, by seat.
        used: the seats that have had a child so far.
        ending: WARM or COLD once they shall end.
    """

    def __init__(self, seats: Sequence[Seat], n: int) -> None:
        self._seats = seats
        self._wanted = set(range(n))
        #: Seats whose children shall end after the calls that they run, though the worker goes on.
        self._leaving: set[int] = set()
        #: Nobody shall be there for now, however many are wanted.
        self._paused = False
        self.pids: dict[int, int] = {}
        self.used: set[int] = set()
        self.ending: str | None = None
        #: Seats whose children are being forked -> whether they begin with what no longer holds.
        self._expected: dict[int, bool] = {}
        self._deaths_in_a_row: dict[int, int] = {}
        #: Seat -> when it may be filled again (monotonic); and those whose last child has left nothing behind.
        self._next_at: dict[int, float] = {}
        self._vacant: set[int] = set(range(n, len(seats)))
        #: Since when a child that shall end has had nothing to run (monotonic).
        self._idle_since: dict[int, float] = {}
        self._reminded_at = self._seen_going_at = 0.0

    def start(self, run: Callable[[int, int], None]) -> None:
        """Fork the first ones.

        Args:
            run: what a child does; gets the number of its seat, and a descriptor that ends with the supervisor.
        """
        life_read, self._life_write = os.pipe()
        self._forkserver = Forkserver(lambda number: run(number, life_read), (self._life_write,))
        os.close(life_read)
        for number in sorted(self._wanted):
            self._spawn(number)

    def _spawn(self, number: int) -> None:
        self._expected[number] = False
        self.used.add(number)
        self._forkserver.spawn(number)

    def fileno(self) -> int:
        """File descriptor that is readable when there is news."""
        return self._forkserver.fileno()

    @property
    def are_ready(self) -> bool:
        """Whether all of them have started."""
        wanted = set() if self._paused else self._wanted
        return self.pids.keys() == wanted and all(
            self._seats[number].slot.status()[1] != STARTING for number in wanted
        )

    @property
    def size(self) -> int:
        """How many are wanted."""
        return len(self._wanted)

    @property
    def most(self) -> int:
        """How many there can be."""
        return len(self._seats)

    def in_use(self) -> list[Seat]:
        """Return the seats whose children are wanted, or still there."""
        return [seat for seat in self._seats if seat.number in self._wanted or seat.number in self.pids]

    def is_leaving(self, number: int) -> bool:
        """Whether the child in a seat was told to end, though the worker goes on."""
        return number in self._leaving

    @property
    def have_ended(self) -> bool:
        """Whether they were to end, and have."""
        return self.ending is not None and not self.pids

    # -- born and dead

    def deaths(self) -> list[Death]:
        """Note what has happened; returns who has died.

        Raises:
            WorkersError: there can be no more children.
        """
        dead = []
        for item in self._news():
            if isinstance(item, Birth):
                self._note_birth(item)
            else:
                self._note_death(item)
                dead.append(item)
        return dead

    def _news(self) -> list[Birth | Death]:
        try:
            return self._forkserver.news()
        except (EOFError, ConnectionError) as error:
            for pid in self.pids.values():
                kill_tree(pid)
            _await_end(list(self.pids.values()))
            raise WorkersError(
                "the process that children are forked from has died; the worker starts anew"
            ) from error

    def _note_birth(self, birth: Birth) -> None:
        number, pid = birth.slot, birth.pid
        self.pids[number] = pid
        outdated = self._expected.pop(number, False)
        if self.ending == COLD:
            kill_tree(pid)
        elif self.ending == WARM or outdated or self._paused or number not in self._wanted:
            self._let_go([number])

    def _note_death(self, death: Death) -> None:
        """Children that work are replaced at once; those that die before they are ready, more and more slowly."""
        number = death.slot
        self.pids.pop(number, None)
        self._idle_since.pop(number, None)
        was_ready = self._seats[number].slot.status()[1] != STARTING
        self._deaths_in_a_row[number] = 0 if was_ready else self._deaths_in_a_row.get(number, 0) + 1
        self._next_at[number] = time.monotonic() + _BEFORE_NEXT_CHILD.after(self._deaths_in_a_row[number] - 2)

    def replace(self, number: int) -> None:
        """Fill a seat again, whose child has died; what that one held has been given back."""
        self._vacant.add(number)
        self._leaving.discard(number)

    # -- more, fewer, others

    def resize(self, n: int) -> None:
        """Have so many: those that have nothing to do go first, and the others after the calls that they run."""
        free = [seat.number for seat in self._seats if seat.number not in self._wanted]
        self._wanted.update(free[: max(0, n - self.size)])
        # The first one speaks for its worker, so it stays.
        order = sorted(self._wanted, key=lambda number: (self._is_busy(number), -number))
        going = [number for number in order if number != min(self._wanted)][: max(0, self.size - n)]
        self._wanted.difference_update(going)
        self._let_go(going)

    def renew(self) -> None:
        """Replace all of them, each after the calls that it runs."""
        self._expected = dict.fromkeys(self._expected, True)
        self._let_go(list(self.pids))

    def pause(self, paused: bool) -> None:
        """Have none for now, or those again that are wanted."""
        self._paused = paused
        if paused:
            self.renew()

    def _let_go(self, numbers: list[int]) -> None:
        for number in numbers:
            if number in self.pids:
                self._leaving.add(number)
                _ask_to_end(self.pids[number])

    def _is_busy(self, number: int) -> bool:
        return self._seats[number].slot.status()[1] in {BUSY, CONCURRENT}

    # -- looked after

    def look(self, now: float) -> None:
        """Do what is due."""
        for number in sorted(self._vacant & self._wanted):
            if now >= self._next_at.get(number, 0.0) and not (self.ending or self._paused):
                self._vacant.remove(number)
                self._spawn(number)
        self._keep_going(now)
        self._remind(now)

    def _keep_going(self, now: float) -> None:
        """Have what a task has stopped go on: itself, another child, the forkserver."""
        self._forkserver.keep_going()
        if now - self._seen_going_at < _GOING_S:
            return
        self._seen_going_at = now
        for pid in list(self.pids.values()):
            process = look_up(pid)
            if process is not None and process.state == "T":
                LOGGER.warning("the child with pid %d was stopped by a signal; it goes on", pid)
                send(pid, signal.SIGCONT)

    def _remind(self, now: float) -> None:
        """Tell children again to end: one that was just being forked has not heard it."""
        going = set(self.pids) if self.ending == WARM else self._leaving & self.pids.keys()
        if not going or now - self._reminded_at <= _REMIND_S:
            return
        self._reminded_at = now
        for number in going:
            pid = self.pids[number]
            _ask_to_end(pid)
            slot = self._seats[number].slot
            since = self._idle_since.setdefault(number, now)
            if slot.status()[1] != IDLE or slot.running() is not None:
                del self._idle_since[number]
            elif now - since > _LEAVE_S:
                kill_tree(pid, spare=self.pids.values())

    # -- ended

    def end(self, how: str) -> None:
        """Have all of them end, WARM or COLD; what is COLD stays so."""
        if self.ending in {how, COLD}:
            return
        self.ending = how
        LOGGER.info("%s shutdown", how)
        for pid in list(self.pids.values()):
            kill_tree(pid, spare=self.pids.values()) if how == COLD else _ask_to_end(pid)

    def close(self) -> None:
        """End what still lives; returns when all have gone."""
        self._forkserver.close()


def _ask_to_end(pid: int) -> None:
    send(pid, signal.SIGTERM)
    # One that was stopped hears nothing.
    send(pid, signal.SIGCONT)


def _await_end(pids: list[int]) -> None:
    """Wait until processes are gone that are not this one's children."""
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline and any(_alive(pid) for pid in pids):
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
