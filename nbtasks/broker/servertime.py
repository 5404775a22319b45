"""The server's time, as all reckon it who share a server: it goes on evenly, whatever clock is set.

Each reckons it with a steady clock of its own, from what the server told. When server and reckoning come apart, a
clock was set, and it is the server's, most likely: then a supervisor notes on the server by how much it is ahead, for
those who ask from now on. What was reckoned before stays right.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nbtasks.core.clock import steady

#: Seconds by which a clock may be off without having been set.
_SET_S = 1.0
#: Seconds after a correction in which those of others count more.
_YIELD_S = 60.0
#: Corrections that are remembered.
_MOST_REPLACED = 8
_MOST_DIGITS = 14


@dataclass(frozen=True)
class Reading:
    """What the server has told of its time.

    Attributes:
        at: its clock, in epoch seconds.
        noted: by how much that is known to be ahead (ms), as it was told.
        asked_at: when it was asked, by our steady clock; ``wall_at`` by the one that can be set.
        heard_at: when it had answered.
    """

    at: float
    noted: bytes
    asked_at: float
    heard_at: float
    wall_at: float

    @property
    def ahead_s(self) -> float:
        """By how much the server's clock is known to be ahead; a note that is none of ours is none."""
        digits = self.noted.removeprefix(b"-")
        return int(self.noted) / 1000 if digits.isdigit() and len(digits) < _MOST_DIGITS else 0.0

    @property
    def even_at(self) -> float:
        """The time without the jumps of that clock."""
        return self.at - self.ahead_s


class TimeSource(Protocol):
    """A server's clock, and what is noted there of how it was set."""

    def ask(self) -> Reading:
        """Return what the server tells of its time: its clock now, and the note, empty where there is none."""

    def set_ahead(self, noted: bytes, ahead: bytes) -> bool:
        """Note by how much the server's clock is ahead (ms), in one step; False where ``noted`` is the note no more."""


class ServerClock:
    """Reckons the server's time.

    Args:
        source: what the server tells.
        same_machine: the server has the clock of this machine.
    """

    def __init__(self, source: TimeSource, same_machine: bool = False) -> None:
        self._source = source
        self._same_machine = same_machine
        self._lock = threading.Lock()
        #: What to add to the steady clock; None before it was first asked.
        self._offset: float | None = None
        self._first: Reading | None = None
        self._last: Reading | None = None
        #: By how much the server seemed to be off when it was asked last.
        self._doubt_s = 0.0
        #: What was noted on the server when it fitted last, and whether somebody has noted what does not.
        self._fitting = b""
        self._contested = False
        self._corrected_at = float("-inf")
        #: What our corrections have replaced, as far as they are young enough to be answered.
        self._replaced_s: list[float] = []

    def now(self) -> float:
        """Return the time in epoch seconds. No round trip.

        Raises:
            OperationalError: the server was never asked before, and does not answer.
        """
        if self._offset is None:
            self.follow()
        assert self._offset is not None
        return steady() + self._offset

    def moment_here(self, at: float) -> float:
        """Return a moment of the server's clock by the clock of this machine, as both stand now."""
        return at - self._apart_s()

    def server_moment(self, at: float) -> float:
        """Return a moment of this machine's clock by the server's, or one before; 0 where clocks were set since."""
        return at + self._apart_s() if self._is_even() else 0.0

    def reckoned(self, at: float) -> float:
        """Return a moment of this machine's clock in the server's time as it is reckoned; 0 where clocks were set."""
        return self.now() + at - time.time() if self._is_even() else 0.0

    def ahead_s(self) -> float:
        """Return what to add to the server's time, as it is reckoned, for that of this machine's clock."""
        return time.time() - self.now()

    def _apart_s(self) -> float:
        """What to add to this machine's clock to get the server's."""
        last = self._last
        return self.now() + (last.ahead_s if last is not None else 0.0) - time.time()

    def _is_even(self) -> bool:
        """Whether the clocks stand as they stood when the server was first asked."""
        first = self._first
        if first is None or abs(time.time() - steady() - (first.wall_at - first.asked_at)) > _SET_S:
            return False
        return self._last is None or self._last.noted == first.noted

    @property
    def offset_s(self) -> float:
        """What to add to the steady clock of this machine."""
        return self.now() - steady()

    def ask(self) -> Reading:
        """Ask the server."""
        return self._source.ask()

    def follow(self) -> None:
        """Ask the server, and follow it where it is off twice running: this machine was stopped, most likely.

        A jump of the server's clock is noted before one asks a second time, as long as there is a worker.
        """
        reading = self.ask()
        with self._lock:
            off_s, before = self._compare(reading), self._last
            # With another note it is another jump, by as much.
            is_same = before is not None and before.noted == reading.noted
            if off_s and is_same and abs(off_s - self._doubt_s) < _SET_S:
                self._set(reading)
                off_s = 0.0
            self._doubt_s = off_s
            self._last = reading

    def keep(self, reading: Reading) -> bool:
        """Compare with what the server has just told, and note on the server if its clock was set.

        Returns whether to look again soon.

        Raises:
            OperationalError: that could not be noted; it is, the next time.
        """
        with self._lock:
            off_s, before = self._compare(reading), self._last
            self._last = reading
            if not off_s:
                self._fitting, self._contested = reading.noted, False
                return False
            if before is not None and self._was_stopped(before, reading):
                self._set(reading)
                return False
            if before is not None and _was_set_between(before, reading):
                # What somebody has noted meanwhile is of a jump before this one, and no answer to ours.
                self._fitting = reading.noted
            if reading.noted != self._fitting and not self._is_convinced(reading):
                return True
            lately = self._replaced_s[-_MOST_REPLACED:] if self._yields() else []
            self._replaced_s = [*lately, reading.ahead_s]
            self._corrected_at = steady()
            noted = b"%d" % round((reading.ahead_s + off_s) * 1000)
        if self._source.set_ahead(reading.noted, noted):
            self._fitting = noted
        return True

    def _is_convinced(self, reading: Reading) -> bool:
        """Whether to correct what somebody else has noted: at a second look, and not in return for a correction."""
        if self._yields() and any(abs(reading.ahead_s - one) < _SET_S for one in self._replaced_s):
            # Somebody has put back what stood there before.
            self._set(reading)
            return False
        contested, self._contested = self._contested, True
        return contested

    def _yields(self) -> bool:
        return steady() - self._corrected_at < _YIELD_S

    def _was_stopped(self, before: Reading, reading: Reading) -> bool:
        """Whether two clocks of three say that our steady one stood still, and the server's is right."""
        if self._same_machine:
            return False
        by_wall = reading.wall_at - before.wall_at
        by_server = reading.at - before.at
        by_us = reading.asked_at - before.asked_at
        return abs(by_wall - by_server) < _SET_S < abs(by_server - by_us)

    def _compare(self, reading: Reading) -> float:
        """Return by how much the server is off (0: it fits); what fits makes the reckoning more exact."""
        least, most = reading.even_at - reading.heard_at, reading.even_at - reading.asked_at
        if self._offset is None:
            self._set(reading)
            return 0.0
        # The server looked at its clock at some moment in between.
        nearest = min(max(self._offset, least), most)
        off_s = nearest - self._offset
        if abs(off_s) > _SET_S:
            return off_s
        self._offset = nearest
        return 0.0

    def _set(self, reading: Reading) -> None:
        self._first = self._first or reading
        self._offset = reading.even_at - (reading.asked_at + reading.heard_at) / 2


def _was_set_between(before: Reading, reading: Reading) -> bool:
    """Whether, by our steady clock, the server's was set since the last look."""
    least, most = reading.asked_at - before.heard_at, reading.heard_at - before.asked_at
    return not least - _SET_S <= reading.at - before.at <= most + _SET_S


def quickest_look(ask: Callable[[], float]) -> tuple[float, float]:
    """Return how long the quickest of three questions took (s), and how far the server's clock was ahead of ours then.

    Args:
        ask: returns the server's clock in epoch seconds.
    """
    best, offset = float("inf"), 0.0
    for _ in range(3):
        before = time.time()
        at = ask()
        after = time.time()
        if after - before < best:
            best, offset = after - before, at - (before + after) / 2
    return best, offset
