"""Periodic tasks on the broker: put, fired once for each due time, passed over, looked at."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.brokererrors import FunctionMissing
from nbtasks.broker.verbs.periodicstore import (
    MOST_AT_ONCE,
    MOST_FRAME,
    MOST_IN_ALL,
    Agenda,
    DueTask,
    Fired,
    PeriodicStanding,
    sensible,
)
from nbtasks.broker.verbs.submission import MOST_ENTRIES

if TYPE_CHECKING:
    from nbtasks.core.due.periodic import DueRun

    from .pglink import PgLink

#: Of its last runs.
_MOST_RUNS = 30
#: An id of a periodic task or of a batch.
_ID = re.compile(r"[0-9a-f]{1,20}")


class PgPeriodicStore:
    """The periodic tasks of one namespace and key.

    Attributes:
        key_id: of the key that their frames are signed with.
    """

    def __init__(self, line: PgLink, key_id: str) -> None:
        self._line = line
        self.key_id = key_id

    def put(
        self,
        id: str,
        frame: bytes,
        timetable: str,
        function: str,
        function_frame: bytes,
        client: str,
        first_ms: int,
        ttl_ms: int,
    ) -> int | None:
        """Put one, or another version of one; returns when it is due next (ms), None where it pauses.

        Raises:
            FunctionMissing: nothing was done; put it with the function's frame.
        """
        version = hashlib.sha1(frame, usedforsecurity=False).hexdigest()
        code = function, function_frame or None
        args = (id, version, frame, timetable, *code, client, first_ms, ttl_ms)
        known, next_ms = self._line.rows("periodic_put", self.key_id, *args)[0]
        if not known:
            raise FunctionMissing(function)
        return sensible(next_ms)

    def agenda(self, beat: str, for_ms: int, most: int) -> Agenda:
        """Return what is due, where ``beat`` is elected to see to it for so many ms."""
        first, *rest = self._line.rows("periodic_due", self.key_id, beat, for_ms, most)
        elected, now_ms, next_ms, *_ = first
        return Agenda(elected, now_ms, sensible(next_ms), tuple(_due(rest)))

    def frame(self, id: str) -> bytes | None:
        """Return the frame of one; None where there is none, or none of ours."""
        found: bytes | None = self._line.one("periodic_frame", self.key_id, id)
        return found if found is not None and len(found) <= MOST_FRAME else None

    def fire(self, version: str, due_ms: int | None, next_ms: int | None, run: DueRun) -> tuple[Fired, str]:
        """Submit a run; returns what came of it, and the batch that is in the way where one is.

        Args:
            version: hash of the frame that it was made of.
            due_ms: its due time; None for a run beside the timetable.
            next_ms: when it is due next.
        """
        task = run.task
        when = due_ms, next_ms
        batch = run.batch, task.overlaps, task.address, run.label, task.ttl_ms
        chunks = (
            [one.lane for one in run.chunks],
            [one.delay_ms for one in run.chunks],
            [one.first for one in run.chunks],
            [one.count for one in run.chunks],
            [one.frame for one in run.chunks],
        )
        args = (task.id, version, *when, *batch, MOST_ENTRIES, *chunks)
        came, busy = self._line.rows("periodic_fire", self.key_id, *args)[0]
        return came, busy if busy is not None and _ID.fullmatch(busy) else ""

    def pass_over(
        self, id: str, due_ms: int, next_ms: int | None, missed: int = 0, is_gone: bool = False
    ) -> bool:
        """Move on to another due time; False where somebody else has.

        Args:
            missed: due times that are counted as such.
            is_gone: whoever it ends with.
        """
        return bool(self._line.one("periodic_pass", self.key_id, id, due_ms, next_ms, missed, is_gone))

    def pause(self, id: str) -> bool:
        """Have one pause; False where there is none."""
        return bool(self._line.one("periodic_pause", self.key_id, id))

    def resume(self, id: str, next_ms: int) -> bool:
        """Have one go on; False where there is none."""
        return bool(self._line.one("periodic_resume", self.key_id, id, next_ms))

    def remove(self, id: str, client: str = "") -> bool:
        """Remove one; False where there is none.

        Args:
            client: it must be one that ends with this.
        """
        return bool(self._line.one("periodic_remove", self.key_id, id, client))

    def say_there(self, client: str, for_ms: int) -> tuple[int | None, int]:
        """Say that a client is there with which periodic tasks end; returns when it was before, and the time (ms)."""
        before, now_ms = self._line.rows("say_there", client, for_ms)[0]
        return before, now_ms

    def look(self, *ids: str) -> tuple[int, list[PeriodicStanding]]:
        """Return the server's time (ms), and what has become of some, or of all."""
        if ids:
            (now_ms, *_), *rows = self._line.rows("periodic_look", self.key_id, list(ids), None, None)
            return now_ms, list(_standings(rows))
        standings: list[PeriodicStanding] = []
        last = ""
        for _ in range(0, MOST_IN_ALL, MOST_AT_ONCE):
            (now_ms, *_), *rows = self._line.rows("periodic_look", self.key_id, None, last, MOST_AT_ONCE)
            standings += _standings(rows)
            if len(rows) < MOST_AT_ONCE:
                break
            last = rows[-1][1]
        return now_ms, standings


def _due(rows: Iterable[Sequence[Any]]) -> Iterator[DueTask]:
    for _, _, _, name, due_ms, version, there, gone_ms in rows:
        if _ID.fullmatch(name) and sensible(due_ms) is not None:
            yield DueTask(name, due_ms, version, there, gone_ms or 0)


def _standings(rows: Iterable[Sequence[Any]]) -> Iterator[PeriodicStanding]:
    for _, name, frame, next_ms, paused_ms, runs, overlapped, missed, there, *past in rows:
        if _ID.fullmatch(name) and len(frame) <= MOST_FRAME:
            last = tuple(
                (due_ms, batch, min(max(code, 0), 255))
                for due_ms, batch, code in zip(*past, strict=False)
                if sensible(due_ms) is not None and _ID.fullmatch(batch)
            )
            counts = max(0, runs), max(0, overlapped), max(0, missed)
            yield PeriodicStanding(
                name, frame, sensible(next_ms), sensible(paused_ms), *counts, there, last[:_MOST_RUNS]
            )
