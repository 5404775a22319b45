"""Workflows: batches that wait, parked, for others to end, and go on when they have. In a transaction.

Rows are locked in one order: batches, steps, workflows in fallout, each by their names. Whoever makes a step go on has
its row, so of several who report at once what it waits for, the last one sees what the others have done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .sqlentries import LATER, WAITS, add_copy, covered, drop_entries, tell
from .sqltime import ahead_ms

if TYPE_CHECKING:
    from .sqltransaction import Row, Transaction

#: Entries of batches that are released in one go; what is more goes on with what is due.
_MOST_AT_ONCE = 1000
#: A batch, the calls in a chunk of its, and the first and the number of calls that feed it.
Food = tuple[str, int, int, int]
#: Calls of a batch that have a result now.
Ended = tuple[str, int, int]


class Workflows:
    """What goes on in one transaction.

    Attributes:
        due_ms: when the first of those calls is due that come later; None where none does.
    """

    def __init__(self, tx: Transaction, now: int) -> None:
        self._tx = tx
        self._now = now
        self.due_ms: int | None = None

    def _rows(self, statement: str, names: Iterable[str], *after: Any) -> list[Row]:
        """Return rows of this namespace, by names."""
        return self._tx.rows_in(statement, (self._tx.ns,), sorted(set(names)), *after)

    def _run(self, statement: str, names: Iterable[str]) -> None:
        self._tx.run_in(statement, (self._tx.ns,), sorted(set(names)))

    # -- what is parked

    def let_go(self, batches: Iterable[str]) -> None:
        """Queue what is parked of some batches, and note that it is; what is many entries goes on later."""
        left = _MOST_AT_ONCE
        for batch in sorted(set(batches)):
            rows = self._tx.rows(
                "SELECT id, queue, due FROM @entries WHERE batch = ? AND queue < 0 AND ns = ? ORDER BY first LIMIT ? "
                "FOR UPDATE",
                *(batch, self._tx.ns, left + 1),
            )
            flag = self._flag(batch)
            for row in rows[:left] if flag is not None else ():
                self._queue(row, flag=flag)
            self._tx.run(
                "UPDATE @steps SET released = 1, releasing = ? WHERE ns = ? AND batch = ? AND own = 1",
                *(int(len(rows) > left), self._tx.ns, batch),
            )
            left = max(0, left - len(rows))

    def _flag(self, batch: str) -> str | None:
        """Return the flag of what is queued of a batch; None where nobody knows it."""
        statement = "SELECT flagged FROM @batches WHERE ns = ? AND batch = ?"
        found = self._tx.value(statement, self._tx.ns, batch)
        return None if found is None else "1" if found else ""

    def _queue(self, row: Row, *, stays: bool = False, **changed: Any) -> None:
        """Queue something that is parked.

        Args:
            stays: it is a part of what is parked; the others are queued later.
        """
        entry, queue, delay_ms = row
        due = None if delay_ms is None else self._now - ahead_ms(self._tx) + delay_ms
        if due is not None:
            self.due_ms = due if self.due_ms is None else min(due, self.due_ms)
        standing = WAITS if due is None else LATER
        add_copy(self._tx, entry, queue=-queue, standing=standing, due=due, queued=self._now, **changed)
        if not stays:
            drop_entries(self._tx, [entry])

    def _feed(self, food: Sequence[Food]) -> None:
        """Calls have results, and each feeds the call of the same index of another batch."""
        for batch, size, first, count in food:
            flag, end = self._flag(batch), first + count
            if flag is None:
                continue
            rows = self._tx.rows(
                "SELECT id, queue, due, first, size FROM @entries WHERE batch = ? AND queue < 0 AND ns = ? "
                "AND first >= ? AND first < ? ORDER BY first FOR UPDATE",
                *(batch, self._tx.ns, first // size * size, end),
            )
            for *row, begin, held in rows:
                begins, stops = max(begin, first), min(begin + held, end)
                if begins >= stops:
                    continue
                # A chunk stays parked until all of it goes: that is how its client knows that it is not lost.
                part = {"first": begins, "size": stops - begins, "follows": f"{first}+{count}", "flag": flag}
                self._queue(tuple(row), stays=stops - begins < held, **part)

    def _unpark(self, batches: Iterable[str]) -> None:
        """Nothing of some batches is parked any more, nor will be."""
        names = sorted(set(batches))
        self._run(
            "UPDATE @steps SET released = 1, releasing = 0 WHERE own = 1 AND ns = ? AND batch IN (*)", names
        )
        self._run("DELETE FROM @entries WHERE queue < 0 AND ns = ? AND batch IN (*)", names)

    # -- what has failed

    def fail(self, workflows: Iterable[str]) -> None:
        """Something has failed that must reach what comes after it: have a supervisor see to that."""
        is_new = False
        for workflow in sorted(set(workflows)):
            found = self._tx.value(
                "SELECT until_us FROM @fallout WHERE ns = ? AND workflow = ? FOR UPDATE",
                self._tx.ns,
                workflow,
            )
            if found != 0:
                row = {"ns": self._tx.ns, "workflow": workflow, "until_us": 0}
                self._tx.put("@fallout", ("ns", "workflow"), row, ("until_us",))
                is_new = True
        if is_new:
            tell(self._tx, "wf", b"")

    # -- what goes on

    def advance(self, tied: Sequence[str], ended: Sequence[Ended], bad: Iterable[str]) -> None:
        """A report has ended calls of batches that others wait for, or that are parts of workflows.

        Args:
            tied: all of these batches, which are locked.
            ended: those calls of them that have a result now.
            bad: those of them of which a call has not succeeded.
        """
        over = {
            batch
            for (batch,) in self._rows(
                "SELECT batch FROM @batches WHERE ns = ? AND batch IN (*) AND ended IS NOT NULL", tied
            )
        }
        waits = self._rows(
            "SELECT id, awaited, batch, first, calls, size FROM @waits WHERE ns = ? AND awaited IN (*)", tied
        )
        steps = self._locked_steps({*over, *(wait[2] for wait in waits)})
        self._feed(
            [
                (batch, size, first, count)
                for _, awaited, batch, _, _, size in waits
                if size and steps.get(batch) == 0
                for before, first, count in ended
                if before == awaited
            ]
        )
        self._meet([wait for wait in waits if not wait[5] and self._is_met(wait, over)])
        if over:
            self._end(over, waits)
        rows = self._rows("SELECT workflow FROM @steps WHERE ns = ? AND batch IN (*)", bad)
        # What runs only after a failure is not needed, perhaps.
        rows += self._rows("SELECT workflow FROM @steps WHERE ns = ? AND batch IN (*) AND excuses = 1", over)
        self.fail(workflow for (workflow,) in rows)

    def _locked_steps(self, batches: Iterable[str]) -> dict[str, int]:
        """Return batch -> for how much it waits."""
        rows = self._rows(
            "SELECT batch, awaits FROM @steps WHERE ns = ? AND batch IN (*) AND own = 1 ORDER BY batch FOR UPDATE",
            batches,
        )
        return dict((batch, awaits) for batch, awaits in rows)  # noqa: C402  # rows are of any width

    def _is_met(self, wait: Row, over: set[str]) -> bool:
        _, awaited, _, first, calls, _ = wait
        return awaited in over or (calls > 0 and covered(self._tx, awaited, first, calls) == calls)

    def _meet(self, met: Sequence[Row]) -> None:
        """Some waits have ended; what waits for nothing any more goes on."""
        self._tx.run_in("DELETE FROM @waits WHERE id IN (*)", (), [wait[0] for wait in met])
        names = []
        for batch in sorted({wait[2] for wait in met}):
            number = sum(wait[2] == batch for wait in met)
            self._tx.run(
                "UPDATE @steps SET awaits = awaits - ? WHERE ns = ? AND batch = ? AND own = 1",
                *(number, self._tx.ns, batch),
            )
            statement = "SELECT awaits FROM @steps WHERE ns = ? AND batch = ? AND own = 1"
            if self._tx.value(statement, self._tx.ns, batch) == 0:
                names.append(batch)
        if names:
            self._go_on(names)

    def _end(self, over: set[str], waits: Sequence[Row]) -> None:
        """Batches have ended. What was fed by one has all that it will get, unless it waits for something else, too."""
        fed = [wait[2] for wait in waits if wait[5] and wait[1] in over]
        steps = self._locked_steps(fed)
        self._unpark([*over, *(batch for batch in fed if steps.get(batch) == 0)])
        rows = self._rows(
            "SELECT batch FROM @batches WHERE ns = ? AND batch IN (*) AND ended >= ?", over, self._now
        )
        self._tx.many(
            "INSERT INTO @closing (ns, batch) VALUES (?, ?)", [(self._tx.ns, batch) for (batch,) in rows]
        )

    def _go_on(self, names: Sequence[str]) -> None:
        """All that some steps wait for has ended. They are locked."""
        rows = self._rows(
            "SELECT batch, entry, each_of, complete, released, size FROM @steps "
            "WHERE ns = ? AND batch IN (*) AND own = 1",
            names,
        )
        self.let_go(
            batch
            for batch, entry, each_of, complete, released, _ in rows
            if entry is None and each_of is None and complete and not released
        )
        for batch, entry, *_ in rows:
            if entry is not None:
                self._bring_back(batch, entry)
        # Those that are fed: by what has a result by now.
        for batch, _, each_of, _, _, size in rows:
            if each_of is None:
                continue
            ended = self._tx.rows(
                "SELECT first, size FROM @results WHERE ns = ? AND batch = ? ORDER BY first",
                self._tx.ns,
                each_of,
            )
            self._feed([(batch, size, first, count) for first, count in ended])
            statement = "SELECT 1 FROM @batches WHERE ns = ? AND batch = ? AND ended IS NOT NULL"
            if self._tx.value(statement, self._tx.ns, each_of) is not None:
                self._unpark([batch])

    def _bring_back(self, step: str, entry: int) -> None:
        """Queue a call that was put aside, unless its time had come before."""
        found = self._tx.row(
            "SELECT batch, flag FROM @entries WHERE id = ? AND standing = ? FOR UPDATE", entry, LATER
        )
        if found is not None:
            batch, flag = found
            anew = flag or self._flag(batch) or ""
            add_copy(self._tx, entry, standing=WAITS, due=None, queued=self._now, flag=anew)
            drop_entries(self._tx, [entry])
        self._tx.run("DELETE FROM @steps WHERE ns = ? AND batch = ? AND own = 1", self._tx.ns, step)

    def put_aside(self, name: str, entry: int, before: Sequence[str]) -> bool:
        """Have a call go on when some batches have ended, which are locked. Returns whether it may at once."""
        rows = self._rows(
            "SELECT batch FROM @batches WHERE ns = ? AND batch IN (*) AND ended IS NULL", before
        )
        still = [batch for (batch,) in rows]
        if not still:
            return True
        statement = "SELECT 1 FROM @steps WHERE ns = ? AND batch = ? AND workflow = ?"
        if self._tx.value(statement, self._tx.ns, name, name) is None:
            self._tx.run(
                "INSERT INTO @steps (ns, batch, workflow, own, complete, awaits, entry) VALUES (?, ?, ?, 1, 1, ?, ?)",
                *(self._tx.ns, name, name, len(still), entry),
            )
            add_waits(self._tx, [(awaited, name, 0, -1, 0) for awaited in still])
            self._run("UPDATE @batches SET tied = 1 WHERE ns = ? AND batch IN (*)", still)
        return False


def add_waits(tx: Transaction, rows: Iterable[tuple[str, str, int, int, int]]) -> None:
    """Note what steps wait for: batch, the step's, first, calls, size."""
    tx.many(
        "INSERT INTO @waits (ns, awaited, batch, first, calls, size) VALUES (?, ?, ?, ?, ?, ?)",
        [(tx.ns, *row) for row in rows],
    )


def release_more(tx: Transaction) -> bool:
    """Go on with the release of a large batch; returns whether there is one."""
    batch = tx.value(
        "SELECT batch FROM @steps WHERE ns = ? AND releasing = 1 LIMIT 1 FOR UPDATE SKIP LOCKED", tx.ns
    )
    if batch is None:
        return False
    Workflows(tx, tx.now_ms()).let_go([batch])
    return True


def is_releasing(tx: Transaction) -> bool:
    """Return whether a large batch is to be released on."""
    return tx.value("SELECT 1 FROM @steps WHERE ns = ? AND releasing = 1 LIMIT 1", tx.ns) is not None
