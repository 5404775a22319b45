"""Periodic tasks on the broker: put, fired once for each due time, passed over, looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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

from .sqlentries import tell
from .sqlfunctions import put_functions
from .sqlhousekeeping import elect
from .sqlperiodicfire import fire, runs_in, state_of_run

if TYPE_CHECKING:
    from nbtasks.core.due.periodic import DueRun

    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

_OF_ONE = "ns = ? AND key_id = ? AND id = ?"


class SqlPeriodicStore:
    """The periodic tasks of one namespace and key.

    Attributes:
        key_id: of the key that their frames are signed with.
    """

    def __init__(self, line: SqlLink, key_id: str) -> None:
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
        row = {
            "version": hashlib.sha1(frame, usedforsecurity=False).hexdigest(), "frame": frame, "ttl": ttl_ms,
            "timetable": timetable, "digest": function, "client": client, "due": first_ms,
        }  # fmt: skip
        return sensible(self._line.write(put, self.key_id, id, row, function_frame))

    def agenda(self, beat: str, for_ms: int, most: int) -> Agenda:
        """Return what is due, where ``beat`` is elected to see to it for so many ms."""
        now_ms, next_ms = self._line.read(next_due, self.key_id)
        if next_ms is None or next_ms > now_ms:
            return Agenda(None, now_ms, sensible(next_ms), ())
        return self._line.write_lazily(agenda, self.key_id, beat, for_ms, most)

    def frame(self, id: str) -> bytes | None:
        """Return the frame of one; None where there is none, or none of ours."""
        found = self._line.read(periodic_frame, self.key_id, id)
        return found if found is not None and len(found) <= MOST_FRAME else None

    def fire(self, version: str, due_ms: int | None, next_ms: int | None, run: DueRun) -> tuple[Fired, str]:
        """Submit a run; returns what came of it, and the batch that is in the way where one is.

        Args:
            version: hash of the frame that it was made of.
            due_ms: its due time; None for a run beside the timetable.
            next_ms: when it is due next.
        """
        return self._line.write(fire, self.key_id, version, due_ms, next_ms, run)

    def pass_over(
        self, id: str, due_ms: int, next_ms: int | None, missed: int = 0, is_gone: bool = False
    ) -> bool:
        """Move on to another due time; False where somebody else has.

        Args:
            missed: due times that are counted as such.
            is_gone: whoever it ends with.
        """
        return self._line.write_lazily(pass_over, self.key_id, id, due_ms, next_ms, missed, is_gone)

    def pause(self, id: str) -> bool:
        """Have one pause; False where there is none."""
        return self._line.write(pause, self.key_id, id)

    def resume(self, id: str, next_ms: int) -> bool:
        """Have one go on; False where there is none."""
        return self._line.write(resume, self.key_id, id, next_ms)

    def remove(self, id: str, client: str = "") -> bool:
        """Remove one; False where there is none.

        Args:
            client: it must be one that ends with this.
        """
        return self._line.write(remove, self.key_id, id, client)

    def say_there(self, client: str, for_ms: int) -> tuple[int | None, int]:
        """Say that a client is there with which periodic tasks end; returns when it was before, and the time (ms)."""
        return self._line.write_lazily(say_there, client, for_ms)

    def look(self, *ids: str) -> tuple[int, list[PeriodicStanding]]:
        """Return the server's time (ms), and what has become of some, or of all."""
        if ids:
            return self._line.read(look, self.key_id, ids)
        standings: list[PeriodicStanding] = []
        last = ""
        for _ in range(0, MOST_IN_ALL, MOST_AT_ONCE):
            names = self._line.read(behind, self.key_id, last)
            now_ms, some = self._line.read(look, self.key_id, names)
            standings += some
            if len(names) < MOST_AT_ONCE:
                break
            last = names[-1]
        return now_ms, standings


def put(tx: Transaction, key_id: str, name: str, row: dict[str, Any], function_frame: bytes) -> int | None:
    """Put a periodic task, or another version of one; returns when it is due next.

    Its history stays, and where it is due at the same times, its next due time, and a pause.

    Raises:
        FunctionMissing: nothing was done.
    """
    digest = row["digest"]
    if function_frame:
        put_functions(tx, [(digest, function_frame)])
    # Locked: it does not go between this look and the periodic task that needs it.
    there = "SELECT digest FROM @functions WHERE ns = ? AND digest = ? FOR UPDATE"
    if tx.value(there, tx.ns, digest) is None:
        raise FunctionMissing(digest)
    found = tx.row(
        f"SELECT due, paused, timetable, client FROM @periodic_tasks WHERE {_OF_ONE} FOR UPDATE",  # noqa: S608
        *(tx.ns, key_id, name),
    )
    next_ms: int | None = row["due"]
    if found is None:
        whole = {"ns": tx.ns, "key_id": key_id, "id": name, "runs": "", **row}
        marks = ", ".join("?" * len(whole))
        tx.run(f"INSERT INTO @periodic_tasks ({', '.join(whole)}) VALUES ({marks})", *whole.values())  # noqa: S608
    else:
        due, paused, timetable, client = found
        # While the notebook of the one before was closed, nothing was due.
        goes_on = timetable == row["timetable"] and client in {"", row["client"]}
        next_ms = None if paused is not None else due if goes_on else row["due"]
        changed = {**row, "due": next_ms, "gone": None}
        columns = ", ".join(f"{one} = ?" for one in changed)
        tx.run(
            f"UPDATE @periodic_tasks SET {columns} WHERE {_OF_ONE}",  # noqa: S608
            *(*changed.values(), tx.ns, key_id, name),
        )
    tell(tx, "sd", b"")
    return next_ms


def next_due(tx: Transaction, key_id: str) -> tuple[int, int | None]:
    """Return the server's time, and when something is due, or was."""
    statement = "SELECT min(due) FROM @periodic_tasks WHERE ns = ? AND key_id = ? AND due IS NOT NULL"
    return tx.now_ms(), tx.value(statement, tx.ns, key_id)


def agenda(tx: Transaction, key_id: str, beat: str, for_ms: int, most: int) -> Agenda:
    """Tell the one beat that is elected which periodic tasks are due."""
    now_ms, next_ms = next_due(tx, key_id)
    if next_ms is None or next_ms > now_ms:
        return Agenda(None, now_ms, sensible(next_ms), ())
    if not elect(tx, f"beat:{key_id}", beat, for_ms):
        return Agenda(False, now_ms, sensible(next_ms), ())
    rows = tx.rows(
        "SELECT id, due, version, client, gone FROM @periodic_tasks WHERE ns = ? AND key_id = ? AND due <= ? "
        "ORDER BY due LIMIT ?",
        *(tx.ns, key_id, now_ms, most),
    )
    tasks = tuple(
        DueTask(name, due, version, is_there(tx, client), gone or 0)
        for name, due, version, client, gone in rows
    )
    return Agenda(True, now_ms, sensible(next_ms), tasks)


def is_there(tx: Transaction, client: str) -> bool:
    """Return whether a client is there with which periodic tasks end; "" is none, and always there.

    Where the server's clock was set, what was said before counts no more: it is said again every few seconds.
    """
    found = tx.row("SELECT said, span FROM @periodic_clients WHERE ns = ? AND client = ?", tx.ns, client)
    return not client or (found is not None and abs(tx.now_ms() - found[0]) < found[1])


def say_there(tx: Transaction, client: str, for_ms: int) -> tuple[int | None, int]:
    """Say that a client is there; returns when it was said before, and the time."""
    before = tx.value("SELECT said FROM @periodic_clients WHERE ns = ? AND client = ?", tx.ns, client)
    now_ms = tx.now_ms()
    if not for_ms:
        tx.run("DELETE FROM @periodic_clients WHERE ns = ? AND client = ?", tx.ns, client)
        return before, now_ms
    row = {"ns": tx.ns, "client": client, "said": now_ms, "span": for_ms}
    tx.put("@periodic_clients", ("ns", "client"), row, ("said", "span"))
    return before, now_ms


def periodic_frame(tx: Transaction, key_id: str, name: str) -> bytes | None:
    """Return the frame of one."""
    found: bytes | None = tx.value(
        f"SELECT frame FROM @periodic_tasks WHERE {_OF_ONE}",  # noqa: S608
        *(tx.ns, key_id, name),
    )
    return found


def pass_over(
    tx: Transaction, key_id: str, name: str, due_ms: int, next_ms: int | None, missed: int, is_gone: bool
) -> bool:
    """Pass over due times; returns whether nobody else has moved on meanwhile."""
    gone = "coalesce(gone, ?)" if is_gone else "coalesce(NULL, ?)"
    statement = (
        f"UPDATE @periodic_tasks SET due = ?, missed = missed + ?, gone = {gone} WHERE {_OF_ONE} AND due = ?"  # noqa: S608
    )
    args = next_ms, missed, tx.now_ms() if is_gone else None
    return tx.changed(statement, *args, tx.ns, key_id, name, due_ms) > 0


def pause(tx: Transaction, key_id: str, name: str) -> bool:
    """Have a periodic task pause; returns whether there is one."""
    statement = f"UPDATE @periodic_tasks SET paused = coalesce(paused, ?), due = NULL WHERE {_OF_ONE}"  # noqa: S608
    return _told(tx, tx.changed(statement, tx.now_ms(), tx.ns, key_id, name))


def resume(tx: Transaction, key_id: str, name: str, next_ms: int) -> bool:
    """Have one go on, which is due next then; one that does not pause keeps its due time."""
    found = tx.row(
        f"SELECT paused FROM @periodic_tasks WHERE {_OF_ONE} FOR UPDATE",  # noqa: S608
        *(tx.ns, key_id, name),
    )
    if found is not None and found[0] is not None:
        statement = f"UPDATE @periodic_tasks SET paused = NULL, due = ? WHERE {_OF_ONE}"  # noqa: S608
        tx.run(statement, next_ms, tx.ns, key_id, name)
    return _told(tx, found is not None)


def remove(tx: Transaction, key_id: str, name: str, client: str) -> bool:
    """Remove one; its runs go on. Returns whether there was one, which ended with that client, where one is named."""
    statement = f"DELETE FROM @periodic_tasks WHERE {_OF_ONE}"  # noqa: S608
    args = tx.ns, key_id, name
    if client:
        return _told(tx, tx.changed(f"{statement} AND client = ?", *args, client))
    return _told(tx, tx.changed(statement, *args))


def _told(tx: Transaction, found: int) -> bool:
    """Tell supervisors where something was found."""
    if found:
        tell(tx, "sd", b"")
    return bool(found)


def behind(tx: Transaction, key_id: str, name: str) -> list[str]:
    """Return the ids of some that come behind one."""
    rows = tx.rows(
        "SELECT id FROM @periodic_tasks WHERE ns = ? AND key_id = ? AND id > ? ORDER BY id LIMIT ?",
        *(tx.ns, key_id, name, MOST_AT_ONCE),
    )
    return [one for (one,) in rows]


def look(tx: Transaction, key_id: str, names: Sequence[str]) -> tuple[int, list[PeriodicStanding]]:
    """Return the server's time, and what has become of some, in the order of their ids."""
    rows = tx.rows_in(
        "SELECT id, frame, due, paused, fired, overlapped, missed, client, runs FROM @periodic_tasks "
        "WHERE ns = ? AND key_id = ? AND id IN (*)",
        (tx.ns, key_id),
        names,
    )
    return tx.now_ms(), [_standing(tx, row) for row in sorted(rows) if len(row[1]) <= MOST_FRAME]


def _standing(tx: Transaction, row: Row) -> PeriodicStanding:
    name, frame, due, paused, fired, overlapped, missed, client, runs = row
    last = tuple((moment, batch, state_of_run(tx, batch)) for moment, batch in runs_in(runs))
    return PeriodicStanding(
        name, frame, sensible(due), sensible(paused), fired, overlapped, missed, is_there(tx, client), last
    )
