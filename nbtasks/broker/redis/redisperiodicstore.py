"""Periodic tasks on the broker: put, fired once for each due time, passed over, looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.brokererrors import FunctionMissing
from nbtasks.broker.verbs.periodicstore import (
    MOST_AT_ONCE,
    MOST_FRAME,
    MOST_IN_ALL,
    SAID_MS,
    Agenda,
    DueTask,
    Fired,
    PeriodicStanding,
)

from .channel import Argument
from .keys import Keys
from .link import Link
from .untrusted import batch_name, number, number_or

if TYPE_CHECKING:
    from nbtasks.core.due.periodic import DueRun


class RedisPeriodicStore:
    """The periodic tasks of one namespace and key.

    Args:
        key_id: of the key that their frames are signed with.
    """

    def __init__(self, link: Link, keys: Keys, key_id: str) -> None:
        self._link = link
        self._keys = keys
        self.key_id = key_id

    def _script(self, name: str, *args: Argument) -> Any:
        return self._link.script(name, [self._keys.root], [self.key_id, *args])

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
        args = (id, frame, timetable, function, function_frame, client, first_ms, ttl_ms)
        reply = self._script("periodic_put", *args)
        if reply[0] == b"NOFN":
            raise FunctionMissing(function)
        return _moment(reply[1])

    def agenda(self, beat: str, for_ms: int, most: int) -> Agenda:
        """Return what is due, where ``beat`` is elected to see to it for so many ms."""
        lock = self._keys.lock(f"beat:{self.key_id}")
        args: list[Argument] = [beat, for_ms, self.key_id, most]
        elected, now_ms, next_ms, *rest = self._link.script("periodic_due", [self._keys.root, lock], args)
        return Agenda(None if elected < 0 else bool(elected), now_ms, _moment(next_ms), tuple(_due(rest)))

    def frame(self, id: str) -> bytes | None:
        """Return the frame of one; None where there is none, or none of ours."""
        found = self._link.call_or_nothing(("HGET", self._keys.periodic(self.key_id, id), "d"), None)
        return found if isinstance(found, bytes) and len(found) <= MOST_FRAME else None

    def fire(self, version: str, due_ms: int | None, next_ms: int | None, run: DueRun) -> tuple[Fired, str]:
        """Submit a run; returns what came of it, and the batch that is in the way where one is.

        Args:
            version: hash of the frame that it was made of.
            due_ms: its due time; None for a run beside the timetable.
            next_ms: when it is due next.
        """
        task = run.task
        parts = [(one.lane, one.delay_ms, one.first, one.count, one.frame) for one in run.chunks]
        reply = self._script(
            "periodic_fire", task.id, version, _text(due_ms), _text(next_ms), run.batch,
            "1" if task.overlaps else "", task.count, task.address, run.label, task.ttl_ms,
            *(part for chunk in parts for part in chunk),
        )  # fmt: skip
        return reply[0].decode(), batch_name(reply[1]) if len(reply) > 1 else ""

    def pass_over(
        self, id: str, due_ms: int, next_ms: int | None, missed: int = 0, is_gone: bool = False
    ) -> bool:
        """Move on to another due time; False where somebody else has.

        Args:
            missed: due times that are counted as such.
            is_gone: whoever it ends with.
        """
        args = (id, due_ms, _text(next_ms), missed, "1" if is_gone else "")
        return bool(self._script("periodic_pass", *args))

    def pause(self, id: str) -> bool:
        """Have one pause; False where there is none."""
        return bool(self._script("periodic_pause", id, ""))

    def resume(self, id: str, next_ms: int) -> bool:
        """Have one go on; False where there is none."""
        return bool(self._script("periodic_pause", id, next_ms))

    def remove(self, id: str, client: str = "") -> bool:
        """Remove one; False where there is none.

        Args:
            client: it must be one that ends with this.
        """
        return bool(self._script("periodic_remove", id, client))

    def say_there(self, client: str, for_ms: int) -> tuple[int | None, int]:
        """Say that a client is there with which periodic tasks end; returns when it was before, and the time (ms)."""
        before, now_ms = self._link.script("say_there", [self._keys.root], [client, for_ms, SAID_MS])
        return number_or(before, 0) or None, now_ms

    def look(self, *ids: str) -> tuple[int, list[PeriodicStanding]]:
        """Return the server's time (ms), and what has become of some, or of all."""
        if ids:
            now_ms, *found = self._script("periodic_look", "", *ids)
            return now_ms, list(_standings(found))
        standings: list[PeriodicStanding] = []
        for start in range(0, MOST_IN_ALL, MOST_AT_ONCE):
            now_ms, *found = self._script("periodic_look", start, MOST_AT_ONCE)
            standings += _standings(found)
            if len(found) < MOST_AT_ONCE:
                break
        return now_ms, standings


def _text(moment_ms: int | None) -> Argument:
    return "" if moment_ms is None else moment_ms


def _moment(text: bytes) -> int | None:
    """Return a moment in ms; None where it is none."""
    with contextlib.suppress(ValueError, OverflowError):
        return int(float(text))
    return None


def _due(parts: Sequence[Any]) -> Iterator[DueTask]:
    for name, due, version, there, gone in zip(*(parts[k::5] for k in range(5)), strict=True):
        with contextlib.suppress(ValueError):
            moment = _moment(due)
            if moment is not None:
                yield DueTask(
                    batch_name(name),
                    moment,
                    version.decode(errors="replace"),
                    bool(there),
                    number_or(gone, 0),
                )


def _standings(found: Sequence[Any]) -> Iterator[PeriodicStanding]:
    for name, frame, due, paused, runs, skipped, missed, there, history, states in found:
        with contextlib.suppress(ValueError):
            codes = [number_or(code, 255) for code in states.split()]
            past = [run.partition(b"/") for run in history.split()]
            last = tuple(
                (number(moment), batch_name(batch), min(code, 255))
                for (moment, _, batch), code in zip(past, codes, strict=False)
            )
            yield PeriodicStanding(
                batch_name(name), frame, _moment(due), number(paused) if paused else None, number_or(runs, 0),
                number_or(skipped, 0), number_or(missed, 0), bool(there), last,
            )  # fmt: skip
