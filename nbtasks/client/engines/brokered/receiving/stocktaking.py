"""Looks whether the broker still has what it should have; puts back what it has lost, or ends it with an error.

A server is emptied or restored, somebody deletes a key: then calls wait that nobody will ever take. Every call that has
not ended lies in its queue, waiting or in a worker's hands. What does not lie there, and does not run, is lost. Nothing
of this is on a call's way: it is looked at now and then, where nothing has ended for a while.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbtasks.broker.runners import Runners
from nbtasks.core import states as st
from nbtasks.core.errors import OperationalError, UnknownCall, WorkerLostError
from nbtasks.core.ids import call_id
from nbtasks.core.ranges import runs
from nbtasks.wire.errors import failures
from nbtasks.wire.record import Record

from .restoring import restore

if TYPE_CHECKING:
    from nbtasks.broker.servertime import ServerClock
    from nbtasks.broker.verbs.stock import Stock
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.parcel import Parcel
    from nbtasks.client.batches.registry import Registry
    from nbtasks.client.engines.brokered.roster import WorkerRoster
    from nbtasks.client.engines.brokered.sending.endings import Endings
    from nbtasks.client.engines.brokered.sending.outbox import Item
    from nbtasks.client.engines.brokered.sending.sender import Sender

    from .adoption import Adoption
    from .intake import Intake

_log = logging.getLogger("nbtasks")
#: Seconds between two looks, and how much longer than a look the rest is: a long queue takes its time.
_EVERY_S = 5.0
_REST = 20
#: Seconds between looks while something is in doubt.
_AGAIN_S = 0.5
#: A call counts as lost that so many looks have missed, where calls may have moved during each of them.
_MISSES = 3
#: Seconds that workers have to show what they run, after a loss; they do it at each renewal of their lease.
_GRACE_S = 6.0
#: Seconds for which a worker is believed that it still runs what it does not name.
_VAGUE_S = 60.0
#: Seconds that another client has to put back what it has submitted.
_OTHERS_S = 60.0
#: Batches of one look.
_MOST_BATCHES = 2000

_OPEN = bytes(code < st.FIRST_READY_CODE for code in range(256))


@dataclass
class _Doubt:
    """What is known of a batch of which something is missing."""

    since: float = field(default_factory=time.monotonic)
    #: Calls that were missed, and in how many looks.
    missed: dict[int, int] = field(default_factory=dict)


class Stocktaking:
    """A thread that looks when it is asked to."""

    def __init__(
        self,
        stock: Stock,
        roster: WorkerRoster,
        registry: Registry,
        sender: Sender,
        intake: Intake,
        adoption: Adoption,
        endings: Endings,
        clock: ServerClock,
    ) -> None:
        self._stock = stock
        self._roster = roster
        self._registry = registry
        self._sender = sender
        self._intake = intake
        self._adoption = adoption
        self._endings = endings
        self._clock = clock
        self._doubts: dict[str, _Doubt] = {}
        #: How many calls of a batch had ended when it was looked at.
        self._ended: dict[str, int] = {}
        #: Ledger -> first calls of chunks that the broker never had, None for all of them.
        self._unsent: dict[str, set[int] | None] = {}
        #: Ledger -> calls that were put back: what the broker never had before, it has had since.
        self._given_again: dict[str, set[int]] = {}
        #: Workflows that were recorded anew in this look.
        self._retold: set[str] = set()
        #: Batches to be recorded anew, for the broker has lost what was sent.
        self._restored: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._next_at = 0.0
        self._started = self._closed = False

    def soon(self) -> None:
        """Look, unless it was done a moment ago."""
        if time.monotonic() >= self._next_at:
            self._go()

    def broker_lost(self, unsent: Sequence[Item]) -> None:
        """The broker has lost flushes: look at once.

        Args:
            unsent: what it surely never had of what was to be sent.
        """
        with self._lock:
            for item in unsent:
                if item.batch:
                    known = self._unsent.get(item.batch, set())
                    if item.firsts is None or known is None:
                        self._unsent[item.batch] = None
                    else:
                        self._unsent[item.batch] = known | item.firsts
            self._restored |= {
                batch.id for batch in self._registry.all_unfinished() if _submitted_here(batch)
            }
        self._go()

    def close(self) -> None:
        """Stop looking."""
        self._closed = True
        self._wake.set()

    def _go(self) -> None:
        with self._lock:
            self._wake.set()
            if not self._started:
                self._started = True
                threading.Thread(target=self._loop, name="nbtasks-stocktaking", daemon=True).start()

    def _loop(self) -> None:
        while True:
            self._wake.wait(_AGAIN_S if self._doubts or self._restored else None)
            self._wake.clear()
            if self._closed:
                return
            began = time.monotonic()
            try:
                self._look()
            except OperationalError:
                # Whoever looks whether the connection is there asks again.
                self._wake.wait(_AGAIN_S)
            except Exception:
                if not self._closed:
                    _log.exception("it could not be looked whether the broker has lost calls")
                    self._wake.wait(_EVERY_S)
            now = time.monotonic()
            self._next_at = now + max(_EVERY_S, _REST * (now - began))

    # -- one look

    def _look(self) -> None:
        batches = self._registry.all_unfinished()
        self._forget_others(batches)
        due = [batch for batch in batches if self._is_due(batch)]
        # What they have sent so far is with the broker before it is looked for.
        sent = {
            batch.id: [(item.first, item.count) for item in list(batch.parcel.sent)]
            for batch in due
            if batch.parcel is not None
        }
        if not due or not self._sender.flush_so_far(1.0):
            return
        runners = self._roster.runners()
        self._retold.clear()
        for start in range(0, len(due), _MOST_BATCHES):
            part = due[start : start + _MOST_BATCHES]
            recorded = self._stock.known([batch.id for batch in part])
            # Before the queues, for calls go from there to them.
            parked = self._parked(part)
            found = self._found(part)
            for batch, known in zip(part, recorded, strict=True):
                ranges, at_once = found[batch.id]
                ranges = [*ranges, *parked.get(batch.id, ())]
                parcel = batch.parcel
                if parcel is not None and parcel.frame:
                    missing = _missing(batch, sent[batch.id], ranges)
                    self._see_to(batch, parcel, known, missing, at_once, runners)
                else:
                    # Of one that grows nobody knows here what was sent.
                    every = [] if batch.followed else [(0, batch.n)]
                    self._see_to_foreign(batch, known, _missing(batch, every, ranges))

    def _forget_others(self, batches: list[Ledger]) -> None:
        there = {batch.id for batch in batches}
        with self._lock:
            notes: tuple[dict[str, Any], ...] = (
                self._doubts,
                self._ended,
                self._unsent,
                self._given_again,
            )
            for known in notes:
                for name in known.keys() - there:
                    del known[name]
            self._restored &= there

    def _is_due(self, batch: Ledger) -> bool:
        """Whether nothing has ended since the last look, or something is in doubt."""
        before, now = self._ended.get(batch.id), batch.finished_count
        self._ended[batch.id] = now
        parcel = batch.parcel
        if parcel is not None and (parcel.sending or (parcel.frame and not parcel.sent)):
            return False
        return before == now or batch.id in self._doubts or batch.id in self._restored

    def _parked(self, batches: list[Ledger]) -> dict[str, list[tuple[int, int]]]:
        """Return what waits of these batches for others: it lies in no queue. Of those of others that is all."""
        asked = [one for one in batches if one.parcel is None or one.parcel.step is not None]
        firsts = self._stock.parked([one.id for one in asked])
        return {
            one.id: [(0, one.n)] * bool(firsts[one.id])
            if one.parcel is None
            else [(item.first, item.count) for item in one.parcel.sent if item.first in firsts[one.id]]
            for one in asked
        }

    def _found(self, batches: list[Ledger]) -> dict[str, tuple[list[tuple[int, int]], bool]]:
        queues: dict[str, list[str]] = {}
        for batch in batches:
            queues.setdefault(batch.queue, []).append(batch.id)
        found = {}
        for queue, names in queues.items():
            look = self._stock.look(self._roster.address(queue), names)
            found.update({name: (look.found[name], look.at_once) for name in names})
        return found

    def _see_to(
        self, batch: Ledger, parcel: Parcel, known: bool, missing: set[int], at_once: bool, runners: Runners
    ) -> None:
        """See to a batch that was submitted here."""
        # After the queue: what has ended meanwhile is not missing.
        self._intake.refresh(batch)
        if missing and known:
            # Of a result that lies there without its state nobody tells.
            self._intake.take_in_all(batch)
        missing = _open(batch, missing)
        with self._lock:
            restored = batch.id in self._restored
            self._restored.discard(batch.id)
        if (not known or restored) and not self._is_told_again(parcel):
            self._record_again(batch, parcel)
        if parcel.step is not None and parcel.step.is_after_failure:
            # Perhaps there is no worker that would pass it on.
            self._endings.pass_on(parcel.step.workflow.record)
        if not missing or self._is_told_again(parcel):
            self._doubts.pop(batch.id, None)
            return
        doubt = self._doubts.setdefault(batch.id, _Doubt())
        doubt.missed = {index: doubt.missed.get(index, 0) + 1 for index in missing}
        enough = 1 if at_once else _MISSES
        lost = {index for index, times in doubt.missed.items() if times >= enough}
        age = time.monotonic() - doubt.since
        lost = {index for index in lost if not _runs(batch, index, runners, age)}
        if lost:
            self._end_or_put_back(batch, parcel, lost, age)

    def _is_told_again(self, parcel: Parcel) -> bool:
        return parcel.step is not None and parcel.step.workflow.id in self._retold

    def _record_again(self, batch: Ledger, parcel: Parcel) -> None:
        _log.warning("batch %s: the broker has lost what was told about it; it is told again", batch.id)
        if parcel.step is not None:
            workflow = parcel.step.workflow
            with self._lock:
                self._restored -= {one.id for one in workflow.own}
                self._retold.add(workflow.id)
            restore(workflow, self._sender, self._intake, self._endings)
            return
        there = bytes(batch.n)
        self._sender.put_back(batch, parcel, (), recorded=False)
        if batch.finished_count:
            self._intake.put_back(batch, there)
        for index in sorted(batch.revoked.running):
            batch.revoke(terminate=False, index=index)
        self._sender.flush()
        self._endings.counted(batch.id)

    def _end_or_put_back(self, batch: Ledger, parcel: Parcel, lost: set[int], age: float) -> None:
        lost = lost - self._end_revoked(batch, lost)
        harmless = self._never_begun(batch, parcel, lost)
        if harmless:
            _log.warning(
                "batch %s: %d call(s) are sent again, for the broker has lost them", batch.id, len(harmless)
            )
            self._given_again.setdefault(batch.id, set()).update(harmless)
            pieces = runs(sorted(harmless))
            for first, count in pieces:
                batch.note_given(first, count)
            self._sender.put_back(batch, parcel, pieces, recorded=True)
            self._sender.flush()
        risky = lost - harmless
        if risky and age > _GRACE_S:
            self._end(batch, risky)
        doubt = self._doubts.get(batch.id)
        if doubt is not None:
            for index in harmless:
                doubt.missed.pop(index, None)
            if not doubt.missed:
                del self._doubts[batch.id]

    def _end_revoked(self, batch: Ledger, lost: set[int]) -> set[int]:
        """End what was revoked and does not run any more; returns those calls."""
        orders = set(batch.revoked.running)
        revoked = lost if -1 in orders else lost & orders
        for first, count in runs(sorted(revoked)):
            batch.note_given(first, count)
        for index in (-1,) if -1 in orders and revoked else sorted(revoked):
            batch.revoke(terminate=False, index=index)
        return revoked

    def _never_begun(self, batch: Ledger, parcel: Parcel, lost: set[int]) -> set[int]:
        """Return those lost calls that may be sent again: they have not been begun, or may be begun twice."""
        if not parcel.sent:
            return set()
        if parcel.options.task.acks_late:
            return lost
        if parcel.due_ms > self._clock.now() * 1000:
            return lost
        lost = lost - self._given_again.get(batch.id, set())
        with self._lock:
            firsts = self._unsent.get(batch.id, set())
        if firsts is None:
            return lost
        spans = [range(one.first, one.first + one.count) for one in parcel.sent if one.first in firsts]
        return {index for index in lost if any(index in span for span in spans)}

    def _end(self, batch: Ledger, indexes: set[int]) -> None:
        single = 1 if batch.origin.single else None
        _log.warning(
            "batch %s: %d call(s) may have been begun, and are not sent again", batch.id, len(indexes)
        )
        self._endings.tell(
            batch.id, (_lost(batch, index, call_id(batch.id, index, single)) for index in sorted(indexes))
        )
        self._intake.refresh(batch)
        self._registry.announce()

    def _see_to_foreign(self, batch: Ledger, known: bool, missing: set[int]) -> None:
        """See to a batch that another client has submitted: only that one can put something back."""
        if known:
            # Events of it were to be sent here; what has been recorded anew does not say so any more.
            self._adoption.listen(batch)
            self._intake.refresh(batch)
        missing = _open(batch, missing)
        if batch.done or (known and not missing):
            self._doubts.pop(batch.id, None)
            return
        doubt = self._doubts.setdefault(batch.id, _Doubt())
        if time.monotonic() - doubt.since > _OTHERS_S:
            what = "calls of it" if known else "it"
            self._registry.fail(
                batch,
                UnknownCall(
                    f"the broker has lost {what}: {batch.name} ({batch.id}), and who has submitted it does not put it "
                    "back; submit it anew"
                ),
            )
            self._registry.drop(batch)


def _lost(batch: Ledger, index: int, name: str) -> Record:
    """Return the end of a call that the broker has lost."""
    error = WorkerLostError(
        f"the broker has lost call {name}, which may have been begun: it was emptied or restored to an "
        "older state, or somebody has deleted a key. With acks_late=False it is not sent again: see what "
        "it has done, then submit it anew",
        name,
    )
    payload = failures.pack(error, with_traceback=False)
    return Record.alike(batch.id, index, 1, st.FAILURE_CODE, payload)


def _submitted_here(batch: Ledger) -> bool:
    """Whether this process has submitted it, and can do so again as long as it has not ended."""
    return batch.parcel is not None and bool(batch.parcel.frame)


def _missing(batch: Ledger, sent: list[tuple[int, int]], found: list[tuple[int, int]]) -> set[int]:
    """Return the calls that were sent, have not ended, and were not found. Fast also for a million calls."""
    wanted, states = bytearray(batch.n), batch.own_states
    for first, count in sent:
        wanted[first : first + count] = states[first : first + count].translate(_OPEN)
    for first, count in found:
        # Anybody may have written where it is.
        begin, end = max(first, 0), min(first + count, batch.n)
        if begin < end:
            wanted[begin:end] = bytes(end - begin)
    return {index for index, flag in enumerate(wanted) if flag} if any(wanted) else set()


def _open(batch: Ledger, indexes: set[int]) -> set[int]:
    """Return those calls that have not ended."""
    states = batch.own_states
    return {index for index in indexes if states[index] < st.FIRST_READY_CODE}


def _runs(batch: Ledger, index: int, runners: Runners, age: float) -> bool:
    if runners.run(batch.id, index):
        return True
    # Just after a loss nobody has shown yet what runs.
    if age < _GRACE_S:
        return index in batch.running
    told = batch.running.get(index)
    return told is not None and age < _VAGUE_S and runners.may_run_more(told.worker)
