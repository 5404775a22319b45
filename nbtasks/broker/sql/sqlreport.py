"""One report of a worker: results (the first one wins), news to sessions, retries, entries that end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtasks.broker.verbs.entry import LOST
from nbtasks.broker.verbs.finish import PUSH_BYTES, Finish
from nbtasks.core.states import SUCCESS_CODE

from .sqlblobs import put_blobs
from .sqlentries import (
    LATER,
    WAITS,
    add_copy,
    add_entry,
    drop_entries,
    number_of,
    place_of,
    queue_of,
    results_of,
    tell_due,
)
from .sqllockbook import LockBook
from .sqlworkflowends import MOST_TTL_MS
from .sqlworkflows import Workflows

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

#: News of a session that are unread; more of them bring no records along.
_MOST_UNREAD = 500
_NO_NAME = "0" * 64
_UNREAD = "SELECT count(*) FROM (SELECT 1 FROM @news WHERE ns = ? AND session = ? LIMIT 500) AS unread"


@dataclass
class ReportedBatch:
    """A batch that a report is about, as it is while the report is applied."""

    batch: str
    n: int
    done: int
    ttl_ms: int
    ended: int | None
    sessions: str
    tied: bool
    #: How many had ended before.
    before: int


def send_report(line: SqlLink, report: Finish) -> int:
    """Report in one step, after the blobs; returns how many results were new."""
    put_blobs(line, report.blobs)
    return line.write(apply_report, list(report.operations())) if report else 0


def apply_report(tx: Transaction, operations: Sequence[Sequence[Any]]) -> int:
    """Apply all operations; returns how many results were new."""
    named = {str(one[1]) for one in operations if one[0] not in "HAU"}
    # What somebody is to wait for is locked with the rest.
    named |= {batch for one in operations if one[0] == "Y" for batch in one[-1].split()}
    tx.want_time()
    batches = _locked(tx, sorted(named))
    return Report(tx, tx.now_ms(), batches).apply(operations)


def _locked(tx: Transaction, batches: Sequence[str]) -> dict[str, ReportedBatch | None]:
    """Lock batches, in one order, so that no two reports wait for each other; returns those that there are."""
    rows = tx.rows_in(
        "SELECT batch, n, done, ttl, ended, sessions, tied FROM @batches WHERE ns = ? AND batch IN (*) "
        "ORDER BY batch FOR UPDATE",
        (tx.ns,),
        batches,
    )
    found: dict[str, ReportedBatch | None] = dict.fromkeys(batches)
    for batch, n, done, ttl_ms, ended, sessions, tied in rows:
        found[batch] = ReportedBatch(batch, n, done, ttl_ms, ended, sessions, bool(tied), done)
    return found


class Report:
    """Applies one, in a transaction.

    Args:
        now: the server's time (ms).
        batches: those that it is about, which are locked.
    """

    def __init__(self, tx: Transaction, now: int, batches: dict[str, ReportedBatch | None]) -> None:
        self._tx = tx
        self._now = now
        self._batches = batches
        #: Which of the last results were new: empty for all of them, None for none.
        self._wins: str | None = None
        self._fresh = 0
        #: Kind, batch, first, count, wins and frame of each piece of news, and the sessions that hear it.
        self._news: list[tuple[tuple[str, str, int, int, str, bytes], str]] = []
        self._due_ms: int | None = None
        self._ended: list[int] = []
        #: Lock, name and consumer of what calls are through with.
        self._through: list[tuple[str, str, str]] = []
        #: Of batches that others wait for, or that wait for others: what has ended, and where something has failed.
        self._tied_ends: list[tuple[str, int, int]] = []
        self._bad: set[str] = set()
        self._workflows = Workflows(tx, now)

    def apply(self, operations: Sequence[Sequence[Any]]) -> int:
        """Apply all operations; returns how many results were new."""
        for kind, *parts in operations:
            if kind == "A":
                self._end(parts)
            elif kind == "H":
                self._note(*parts)
            elif kind == "U":
                self._through.append((str(parts[0]), str(parts[1]), str(parts[2])))
            else:
                found = self._batches[str(parts[0])]
                if found is not None:
                    _APPLYING[kind](self, found, *parts[1:])
        self._settle()
        drop_entries(self._tx, self._ended)
        tied = [one.batch for one in self._batches.values() if one is not None and one.tied]
        if tied:
            self._workflows.advance(tied, self._tied_ends, self._bad)
        if self._through:
            # After the entries: who asks for locks has its entry first, too.
            book = LockBook(self._tx, [lock for lock, *_ in self._through])
            for one in self._through:
                book.through(*one)
        self._tell_news()
        tell_due(self._tx, _sooner(self._due_ms, self._workflows.due_ms))
        return self._fresh

    def _settle(self) -> None:
        """Note how many calls of batches have ended; one whose calls all have is kept for its time from now on."""
        for one in self._batches.values():
            if one is None:
                continue
            is_over = 0 <= one.n <= one.done
            if is_over and one.ended is None:
                # Unless others may need it: then that is looked at when they have ended.
                expires = None if one.tied else self._now + min(one.ttl_ms, MOST_TTL_MS)
                self._tx.run(
                    "UPDATE @batches SET done = ?, ended = ?, expires = coalesce(expires, ?) "
                    "WHERE ns = ? AND batch = ?",
                    *(one.done, self._now, expires, self._tx.ns, one.batch),
                )
            elif one.done != one.before:
                self._tx.run(
                    "UPDATE @batches SET done = ? WHERE ns = ? AND batch = ?",
                    one.done,
                    self._tx.ns,
                    one.batch,
                )

    # -- operations

    def _results(self, batch: ReportedBatch, first: int, count: int, states: bytes, record: bytes) -> None:
        """File a record under those of its calls that have no result yet."""
        gaps, begin, end = [], first, first + count
        for there, size, _ in results_of(self._tx, batch.batch, first, count) if batch.done else ():
            if there > begin:
                gaps.append((begin, there - begin))
            begin = there + size
        if begin < end:
            gaps.append((begin, end - begin))
        self._tx.many(
            "INSERT INTO @results (ns, batch, first, size, states, record) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (self._tx.ns, batch.batch, a, n, bytes(states[a - first : a - first + n]), record)
                for a, n in gaps
            ],
        )
        won = sum(n for _, n in gaps)
        if batch.tied and won:
            self._tied_ends += [(batch.batch, a, n) for a, n in gaps]
            if bytes(states).strip(bytes([SUCCESS_CODE])):
                self._bad.add(batch.batch)
        batch.done += won
        self._fresh += won
        self._wins = None if not won else "" if won == count else " ".join(f"{a}+{n}" for a, n in gaps)
        if self._wins is not None:
            self._news.append((("r", batch.batch, first, count, self._wins, record), batch.sessions))

    def _event(self, batch: ReportedBatch, frame: bytes) -> None:
        self._news.append((("e", batch.batch, 0, 0, "", frame), batch.sessions))

    def _own_state(self, batch: ReportedBatch, first: int, count: int, frame: bytes) -> None:
        if frame:
            row = {"ns": self._tx.ns, "batch": batch.batch, "nth": first, "told": self._now, "frame": frame}
            self._tx.put("@own_states", ("ns", "batch", "nth"), row, ("told", "frame"))
            return
        self._tx.run(
            "DELETE FROM @own_states WHERE ns = ? AND batch = ? AND nth >= ? AND nth < ?",
            *(self._tx.ns, batch.batch, first, first + count),
        )

    def _again(
        self,
        batch: ReportedBatch,
        address: str,
        lane: str,
        due_ms: int,
        first: int,
        count: int,
        attempt: Any,
        frame: bytes,
        name: str = "",
        before: str = "",
    ) -> None:
        number, _, doubt = str(attempt).partition(" ")
        self._due_ms = min(due_ms, due_ms if self._due_ms is None else self._due_ms)
        # Said again, it is the same one.
        if self._tx.value(
            "SELECT id FROM @entries WHERE batch = ? AND due = ? AND first = ? AND size = ? AND attempt = ?",
            *(batch.batch, due_ms, first, count, int(number)),
        ):
            return
        place = (queue_of(self._tx, address), LATER, place_of(lane), batch.batch, due_ms, self._now)
        entry = add_entry(self._tx, *place, first, count, int(number), doubt, frame)
        if name and self._workflows.put_aside(name, entry, before.split()):
            self._tx.run("UPDATE @entries SET standing = ?, due = NULL WHERE id = ?", WAITS, entry)

    def _keep_blob(self, batch: ReportedBatch, name: str) -> None:
        if batch.ended is not None:
            return
        row = {"ns": self._tx.ns, "batch": batch.batch, "name": name}
        self._tx.put("@batch_blobs", ("ns", "batch", "name"), row)
        self._tx.run("UPDATE @blobs SET expires = NULL WHERE ns = ? AND name = ?", self._tx.ns, name)

    def _name(self, batch: ReportedBatch, first: int, names: str) -> None:
        """Names lead to the calls that have succeeded, for as long as results are kept."""
        count, until = len(names) // 64, self._now + min(batch.ttl_ms, MOST_TTL_MS)
        states: dict[int, int] = {}
        for begin, _, codes in results_of(self._tx, batch.batch, first, count):
            states.update(enumerate(codes, begin))
        rows = [
            (self._tx.ns, name, batch.batch, first + k, until)
            for k in range(count)
            if (name := names[64 * k : 64 * (k + 1)]) != _NO_NAME and states.get(first + k) == SUCCESS_CODE
        ]
        columns = ("ns", "name", "batch", "nth", "expires")
        self._tx.put_many("@kept_calls", ("ns", "name"), columns, sorted(rows), ("batch", "nth", "expires"))

    def _counted(self, batch: ReportedBatch) -> None:
        """Whether it is over is looked at with all that are reported about."""

    def _note(self, frame: bytes, if_new: str) -> None:
        if if_new and self._wins is None:
            return
        self._tx.run(
            "INSERT INTO @happened (ns, told, name, wins, frame) VALUES (?, ?, 'h', ?, ?)",
            *(self._tx.ns, self._now, (self._wins or None) if if_new else None, frame),
        )

    def _end(self, parts: Sequence[Any]) -> None:
        _, _, entry_id, kept = parts
        entry = number_of(entry_id)
        self._ended.append(entry)
        if not kept:
            return
        # Where the server has forgotten what was given away of one, that is queued again.
        stop = sum(map(int, kept.split()))
        found = self._tx.row("SELECT first, size, place FROM @entries WHERE id = ? FOR UPDATE", entry)
        if found is not None and found[0] + found[1] > stop:
            first, size, place = found
            add_copy(
                self._tx, entry, standing=WAITS, place=place // 2 * 2, due=None, queued=self._now, first=stop,
                size=first + size - stop, flag=LOST, waits_for="",
            )  # fmt: skip

    # -- news

    def _tell_news(self) -> None:
        """Tell sessions what they hear. Each of their rows is locked from here on, in one order."""
        sessions = sorted({one for _, heard in self._news for one in heard.split()})
        for session in sessions:
            last, unread = self._heard_by(session)
            rows = []
            for place, (piece, _) in enumerate(
                ((piece, heard) for piece, heard in self._news if session in heard.split()), 1
            ):
                *where, frame = piece
                is_far = piece[0] == "r" and (len(frame) > PUSH_BYTES or unread + place > _MOST_UNREAD)
                rows.append((self._tx.ns, session, last + place, self._now, *where, b"" if is_far else frame))
            self._tx.many(
                "INSERT INTO @news (ns, session, id, told, kind, batch, first, size, wins, frame) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._tx.run(
                "UPDATE @listeners SET told = ? WHERE ns = ? AND session = ?",
                last + len(rows),
                self._tx.ns,
                session,
            )

    def _heard_by(self, session: str) -> tuple[int, int]:
        """Return the number of a session's last news, and how many it has not read.

        No other transaction tells it any from here on.
        """
        listener, (unread,) = self._tx.each(
            ("SELECT told FROM @listeners WHERE ns = ? AND session = ? FOR UPDATE", self._tx.ns, session),
            (_UNREAD, self._tx.ns, session),
        )
        last = listener[0][0] if listener else None
        # By the clock where the last number was lost: who reads on from there misses nothing.
        now = self._tx.now_us()
        if last is None:
            self._tx.run(
                "INSERT INTO @listeners (ns, session, told) VALUES (?, ?, ?)", self._tx.ns, session, now
            )
        return max(last or 0, now), unread[0]


def _sooner(one: int | None, other: int | None) -> int | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


_APPLYING: dict[str, Callable[..., None]] = {
    "R": Report._results,
    "E": Report._event,
    "P": Report._own_state,
    "Z": Report._again,
    "Y": Report._again,
    "O": Report._keep_blob,
    "N": Report._name,
    "S": Report._counted,
}
