"""What a flush says of workflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.core.states import SUCCESS_CODE

from .sqlentries import LATER, WAITS, add_entries, covered, place_of, queue_of, results_of
from .sqlworkflows import Workflows, add_waits

if TYPE_CHECKING:
    from .sqltransaction import Transaction

#: What needs more than one flush may stay in part where its client dies between them: somebody looks after this (us).
_LOOK_AFTER_US = 60_000_000
#: Operations of workflows.
KINDS = "VWXPLI"


class Weaving:
    """Records it.

    Args:
        of: returns the operations of a kind, each without its letter.

    Attributes:
        workflows: what goes on by it.
    """

    def __init__(self, tx: Transaction, session: str, now: int, of: Any) -> None:
        self._tx = tx
        self._session = session
        self._now = now
        self._of = of
        self.workflows = Workflows(tx, now)

    def apply(self) -> None:
        """Apply all of it, behind the batches that are recorded by the same flush."""
        self._lock()
        rows = [(self._tx.ns, name, None, frame) for name, frame in self._of("V")]
        columns = ("ns", "name", "expires", "frame")
        self._tx.put_many("@plans", ("ns", "name"), columns, rows, ("expires", "frame"))
        self._step()
        bad = [parts[4] for parts in self._of("X") if self._await(*parts)]
        for workflow in sorted({workflow for workflow, _ in self._of("I")}):
            marks = {mark for name, mark in self._of("I") if name == workflow}
            self._come(workflow, begins="" in marks, ends="1" in marks)
        self._park()
        for (batch,) in self._of("L"):
            self._tx.run(
                "UPDATE @steps SET complete = 1 WHERE ns = ? AND batch = ? AND own = 1", self._tx.ns, batch
            )
        self._go_on()
        self.workflows.fail(bad)

    def _lock(self) -> None:
        """Lock what is there already of what is tied together, in one order: batches by their names, then steps."""
        names = {parts[0] for kind in "BNWXL" for parts in self._of(kind)}
        names |= {parts[1] for parts in self._of("X")}
        names |= {name for parts in self._of("W") for name in parts[2].split()}
        some = sorted(names)
        self._tx.rows_in(
            "SELECT batch FROM @batches WHERE ns = ? AND batch IN (*) ORDER BY batch FOR UPDATE",
            (self._tx.ns,),
            some,
        )
        self._tx.rows_in(
            "SELECT batch FROM @steps WHERE ns = ? AND batch IN (*) AND own = 1 ORDER BY batch FOR UPDATE",
            (self._tx.ns,),
            some,
        )

    def _step(self) -> None:
        """Batches are steps of a workflow. What of it is known already is so from before: it was sent again."""
        new = [parts for parts in self._of("W") if self._is_new(parts)]
        for batch, _, awaited, *_ in new:
            self._tx.run("UPDATE @batches SET tied = 1 WHERE ns = ? AND batch = ?", self._tx.ns, batch)
            # One may have ended before where the server has lost this one, and not the other.
            ended = "SELECT 1 FROM @batches WHERE ns = ? AND batch = ? AND ended IS NOT NULL"
            still = [
                name
                for name in dict.fromkeys(awaited.split())
                if self._tx.value(ended, self._tx.ns, name) is None
            ]
            add_waits(self._tx, [(name, batch, 0, -1, 0) for name in still])
            self._tx.run(
                "UPDATE @steps SET awaits = ? WHERE ns = ? AND batch = ? AND own = 1",
                len(still),
                self._tx.ns,
                batch,
            )
        for batch, _, _, _, fed, _ in new:
            for follower in fed.split():
                self._follow(batch, *follower.split("/"))

    def _is_new(self, parts: Sequence[Any]) -> bool:
        batch, workflow, _, _, _, excuses = parts
        statement = "SELECT 1 FROM @steps WHERE ns = ? AND batch = ? AND workflow = ?"
        if self._tx.value(statement, self._tx.ns, batch, workflow) is not None:
            return False
        self._tx.run(
            "INSERT INTO @steps (ns, batch, workflow, own, excuses) VALUES (?, ?, ?, 1, ?)",
            *(self._tx.ns, batch, workflow, int(excuses == "1")),
        )
        return True

    def _follow(self, batch: str, follower: str, size: str) -> None:
        """Calls of a batch follow those of another one, one by one."""
        calls = max(1, int(size))
        add_waits(self._tx, [(batch, follower, 0, 0, calls)])
        self._tx.run(
            "UPDATE @steps SET each_of = ?, size = ? WHERE ns = ? AND batch = ? AND own = 1",
            *(batch, calls, self._tx.ns, follower),
        )

    def _await(self, batch: str, before: str, first: int, count: int, workflow: str) -> bool:
        """A parked batch waits for calls of one that was submitted before; returns whether one of them has failed.

        That one is kept for it from now on.
        """
        tx = self._tx
        parked = "SELECT 1 FROM @steps WHERE ns = ? AND batch = ? AND own = 1 AND released = 0"
        known = "SELECT 1 FROM @batches WHERE ns = ? AND batch = ? AND (expires IS NULL OR expires > ?)"
        if tx.value(parked, tx.ns, batch) is None or tx.value(known, tx.ns, before, self._now) is None:
            return False
        tx.run("UPDATE @batches SET tied = 1, expires = NULL WHERE ns = ? AND batch = ?", tx.ns, before)
        step = {"ns": tx.ns, "batch": before, "workflow": workflow, "own": 0}
        tx.put("@steps", ("ns", "batch", "workflow"), step)
        if covered(tx, before, first, count) < count and not self._waits(batch, before, first, count):
            add_waits(tx, [(before, batch, first, count, 0)])
            tx.run(
                "UPDATE @steps SET awaits = awaits + 1 WHERE ns = ? AND batch = ? AND own = 1", tx.ns, batch
            )
        for begin, _, states in results_of(tx, before, first, count):
            some = states[max(0, first - begin) : first + count - begin]
            if some.strip(bytes([SUCCESS_CODE])):
                return True
        return False

    def _waits(self, batch: str, before: str, first: int, count: int) -> bool:
        """Whether it waits for these calls already."""
        found = self._tx.value(
            "SELECT 1 FROM @waits WHERE ns = ? AND awaited = ? AND batch = ? AND first = ? AND calls = ?",
            *(self._tx.ns, before, batch, first, count),
        )
        return found is not None

    def _come(self, workflow: str, *, begins: bool, ends: bool) -> None:
        if begins and not ends:
            until = self._tx.now_us() + _LOOK_AFTER_US
            row = {"ns": self._tx.ns, "workflow": workflow, "until_us": until, "session": self._session}
            self._tx.put("@fallout", ("ns", "workflow"), row, ("session",))
        elif ends and not begins:
            self._tx.run(
                "UPDATE @fallout SET session = NULL WHERE ns = ? AND workflow = ?", self._tx.ns, workflow
            )

    def _park(self) -> None:
        rows = []
        for batch, address, lane, delay_ms, first, count, frame in self._of("P"):
            standing = LATER if delay_ms else WAITS
            place = (
                -queue_of(self._tx, address),
                standing,
                place_of(lane),
                batch,
                delay_ms or None,
                self._now,
            )
            rows.append((*place, first, count, 1, "", frame))
        add_entries(self._tx, rows)

    def _go_on(self) -> None:
        """Let go what waits for something that has ended before; or was sent once more, and was released before."""
        names = {parts[0] for kind in "PL" for parts in self._of(kind)}
        rows = self._tx.rows_in(
            "SELECT batch, released, complete, each_of FROM @steps "
            "WHERE ns = ? AND batch IN (*) AND own = 1 AND awaits = 0",
            (self._tx.ns,),
            sorted(names),
        )
        self.workflows.let_go(
            batch for batch, released, complete, each_of in rows if released or (complete and each_of is None)
        )
