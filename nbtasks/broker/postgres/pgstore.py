"""What is kept about batches: their labels, states, result records, functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.store import BatchRecord, final_states

from .pgdelivery import finish

if TYPE_CHECKING:
    from .pglink import PgLink

#: Calls of a batch that single ones share, which may be forgotten one by one.
_MOST_SHARING = 10_000
#: Batches whose states are asked for in one go.
_MOST_AT_ONCE = 500


class PgStore:
    """Reads what is kept; both ends use it."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def finish(self, report: Finish) -> int:
        """Apply a report in which no entry ends; returns how many results were new."""
        return finish(self._line, report)

    def function(self, digest: str) -> bytes | None:
        """Return a function's record."""
        frame: bytes | None = self._line.one("function_record", digest)
        return frame

    def plan(self, workflow: str) -> bytes | None:
        """Return the signed graph of a workflow."""
        frame: bytes | None = self._line.one("plan", workflow)
        return frame

    def keep_plan(self, name: str, frame: bytes, ttl_ms: int) -> None:
        """Keep a signed graph, or group, for a time."""
        self._line.rows("keep_plan", name, frame, ttl_ms)

    def states(self, batch: str, first: int, count: int) -> bytes:
        """Return ``count`` state codes from ``first`` on; zero where a call is not final."""
        if count <= 0:
            return b""
        return states_in(self._line.rows("states", batch, first, count), first, count)

    def standing(self, batch: str, first: int, count: int) -> tuple[bytes, dict[int, bytes]]:
        """Return what :meth:`states` does, and the orders that revoked some of these calls while they ran."""
        # In this order: what has ended meanwhile is no trouble, an order that is missed would be.
        states, orders = self._line.several(
            [("states", (batch, first, count)), ("revoked_running", (batch, first, count))]
        )
        return states_in(states, first, count), dict(orders)

    def states_of(self, batches: list[tuple[str, int]]) -> list[bytes]:
        """Return the state codes of several batches, each with its number of calls."""
        found: list[bytes] = []
        for start in range(0, len(batches), _MOST_AT_ONCE):
            part = batches[start : start + _MOST_AT_ONCE]
            rows: dict[int, list[tuple[Any, ...]]] = {}
            for place, *row in self._line.rows("states_of", [name for name, _ in part]):
                rows.setdefault(place - 1, []).append(tuple(row))
            found += [states_in(rows.get(place, ()), 0, max(0, n)) for place, (_, n) in enumerate(part)]
        return found

    def ranges(self, batch: str) -> list[tuple[int, int]]:
        """Return the (first, count) of every result record of a batch."""
        return [(first, count) for _, first, count in self._line.rows("ranges", [batch])]

    def record(self, batch: str, first: int, count: int) -> bytes | None:
        """Return one result record."""
        frame: bytes | None = self._line.one("record", batch, first, count)
        return frame

    def batch(self, batch: str) -> BatchRecord | None:
        """Return what is known of a batch, or None when nobody recorded it."""
        rows = self._line.rows("batches_named", [batch])
        return _record(rows[0], told=False) if rows else None

    def own_states(self, batch: str) -> list[tuple[bytes, bytes]]:
        """Return (index, frame) of the calls of a batch that have named a state of their own."""
        return [(b"%d" % index, frame) for index, frame in self._line.rows("own_states_of", batch)]

    def newest(self, most: int) -> list[str]:
        """Return the ids of the newest batches, newest first."""
        return [row[0] for row in self._line.rows("newest_batches", most, False)]

    def listed(self, most: int, *, unfinished: bool) -> list[BatchRecord]:
        """Return the newest batches, newest first."""
        rows = self._line.rows("newest_batches", most, True)
        return [_record(row) for row in rows if not (unfinished and _is_over(row))]

    def named(self, batches: Iterable[str]) -> list[BatchRecord]:
        """Return those batches that somebody has recorded; how far they are is not looked at."""
        return [_record(row, told=False) for row in self._line.rows("batches_named", list(batches))]

    def forget(self, batch: str) -> list[str]:
        """Drop the results of a batch; returns the keys of its large values, which are still there."""
        return [key for (key,) in self._line.rows("forget", batch)]

    def forget_call(self, batch: str, index: int) -> int:
        """Note that a call is not wanted any more that shares its batch with others; returns how many are."""
        return int(self._line.one("forget_call", batch, index, _MOST_SHARING))

    def forgotten(self, batch: str) -> frozenset[int]:
        """Return the indexes of those of which that was noted."""
        return frozenset(index for (index,) in self._line.rows("forgotten", batch))


def states_in(rows: Sequence[tuple[Any, ...]] | tuple[()], first: int, count: int) -> bytes:
    """Return the state codes of calls, out of rows of first, count and states."""
    found = bytearray(count)
    for begin, _, states in rows:
        at = begin - first
        piece = states[max(0, -at) : max(0, count - at)]
        found[max(0, at) : max(0, at) + len(piece)] = piece
    return final_states(found)


def _is_over(row: tuple[Any, ...]) -> bool:
    _, _, _, ended, n, done = row
    return ended is not None or 0 <= n <= done


def _record(row: tuple[Any, ...], *, told: bool = True) -> BatchRecord:
    """Return a batch.

    Args:
        told: how many of its calls have ended is told.
    """
    name, label, submitted, ended, _, done = row
    return BatchRecord(
        name, label, submitted / 1000, None if ended is None else ended / 1000, done if told else 0
    )
