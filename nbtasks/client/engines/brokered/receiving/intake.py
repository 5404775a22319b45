"""What comes back: events as they are pushed, and results as the store has them. Nothing is believed unverified."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import logging
from collections.abc import Iterator

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.sessionnews import SessionEvent
from nbtasks.broker.verbs.store import Store
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.lostvalues import lost_among, without_value
from nbtasks.client.batches.parcel import Parcel
from nbtasks.client.batches.registry import Registry
from nbtasks.client.engines.brokered.sending.endings import Endings
from nbtasks.client.engines.brokered.sending.repacking import Repacking
from nbtasks.client.engines.brokered.sending.sender import Sender
from nbtasks.core import states as st
from nbtasks.core.errors import (
    BackPressure,
    BrokerUnavailable,
    OperationalError,
    SignatureMismatch,
    ValueLost,
    WireError,
)
from nbtasks.core.events import GivenBack, Progressed, Refusal, Retried
from nbtasks.core.ranges import runs
from nbtasks.wire.codec import Codec
from nbtasks.wire.errors import failures
from nbtasks.wire.record import Record

from .garbage import Garbage

_log = logging.getLogger("nbtasks")
#: Results of one batch that cannot be trusted, after which no more of them are looked at: others wait meanwhile.
_MOST_REFUSED = 1000


class Intake:
    """Takes in what the broker tells of a session's batches.

    Args:
        garbage: clears away large arguments of what has ended.
        clock: of the server.
    """

    def __init__(
        self,
        registry: Registry,
        sender: Sender,
        repacking: Repacking,
        store: Store,
        codec: Codec,
        endings: Endings,
        garbage: Garbage,
        clock: ServerClock,
    ) -> None:
        self._registry = registry
        self._sender = sender
        self._repacking = repacking
        self._store = store
        self._codec = codec
        self._endings = endings
        self._garbage = garbage
        self._clock = clock

    # -- events

    def complete(self, event: SessionEvent) -> SessionEvent:
        """Return an event with the results that it only points to."""
        if not event.is_elsewhere or self._registry.unfinished(event.batch) is None:
            return event
        try:
            place = _ranges(event)[0]
        except SignatureMismatch:
            # It is refused when it is taken in.
            return event
        return dataclasses.replace(event, frame=self._store.record(event.batch, *place) or b"")

    def take_in(self, events: list[SessionEvent]) -> list[Ledger]:
        """Take in what was pushed; asks nobody for anything.

        Returns batches of which something was told, by whomever, that cannot be trusted: the store knows what is true.
        """
        doubtful: dict[str, Ledger] = {}
        for event in events:
            batch = self._registry.unfinished(event.batch)
            if batch is None:
                continue
            try:
                self._take_in_one(batch, event)
            except SignatureMismatch as error:
                _log.error("batch %s: refused: %s", event.batch, error)
                doubtful[batch.id] = batch
        self._registry.announce()
        return list(doubtful.values())

    def look_up(self, batches: list[Ledger]) -> None:
        """Take in what the broker has of these batches."""
        for batch in batches:
            self.refresh(batch)
        self._registry.announce()

    def _take_in_one(self, batch: Ledger, event: SessionEvent) -> None:
        if not event.kind:
            return
        if event.kind == "r":
            self._apply(batch, self._codec.open_record(event.frame, batch.id), _ranges(event))
            return
        news = self._codec.open_events(event.frame, batch.id)
        for item in news.events if batch.is_new(news) else ():
            if isinstance(item, Refusal):
                self._take_in_refusal(batch, item)
                continue
            batch.apply_event(news.worker, item, news.child)
            if isinstance(item, GivenBack):
                if item.after:
                    batch.revoked.stand_ins[item.index] = item.after
                self._revoke_if_waiting(batch, item.index, item.count)
            elif isinstance(item, Retried):
                self._revoke_if_waiting(batch, item.index, 1)

    def _revoke_if_waiting(self, batch: Ledger, first: int, count: int) -> None:
        """Calls that were revoked while they ran wait again; whoever queued them did not know yet."""
        # Numbers of an entry, which a worker has believed: they may be of any size.
        waiting = [index for index in batch.revoked.running if index == -1 or first <= index < first + count]
        for index in waiting:
            self._registry.in_background(functools.partial(batch.revoke, terminate=False, index=index))

    def _take_in_refusal(self, batch: Ledger, item: Refusal) -> None:
        """A worker could not trust what reached it of this batch."""
        if batch.note_refusal(item.reason):
            # Once: who writes to the server can have it told as often as they like.
            _log.warning(
                "batch %s on queue %s: a worker has refused it: %s", batch.id, batch.queue, item.reason
            )
        parcel = batch.parcel
        if parcel is not None and parcel.sent:
            self._registry.pack_in_background(lambda: self._answer_refusal(batch, parcel, item))

    def _answer_refusal(self, batch: Ledger, parcel: Parcel, item: Refusal) -> None:
        """Send refused calls again, with their function; what was refused too often has failed."""
        sent, gone = parcel.sent, item.gone
        if not sent:
            return
        at_most_once = not (parcel.options.task.acks_late or gone)
        verdict = parcel.refusals.judge(sent, batch.own_states, item.index, item.count, at_most_once, gone)
        if verdict.again:
            # Perhaps the worker is on another machine, where there are no such files; or they were removed.
            again = self._repacking.repacked(batch, parcel, verdict.again) if gone else (verdict.again,)
            self._sender.send_once_more(batch, parcel, *again)
        if verdict.lost:
            error = _error_of_refusal(batch, item.reason, gone)
            records = [_failed(batch.id, piece.first, piece.count, error) for piece in verdict.lost]
            try:
                self._endings.tell(batch.id, records)
            except (BrokerUnavailable, BackPressure):
                raise
            except OperationalError:
                # The broker takes no result of it, this one neither.
                for record in records:
                    self._apply(batch, record, [(record.first, len(record.states))])
                self._registry.announce()

    def _apply(self, batch: Ledger, record: Record, ranges: list[tuple[int, int]]) -> None:
        _check_place(batch, record, ranges)
        record.ahead_s = self._clock.ahead_s()
        if batch.followed:
            batch.grow(max(first + count for first, count in ranges))
        lost = lost_among(record, ranges, batch.shelf)
        if lost:
            for index in lost:
                error = ValueLost(
                    "the file of its result is gone, or was not saved before the machine stopped"
                )
                self._apply(batch, without_value(batch, index, error), [(index, 1)])
            ranges = list(runs(sorted(set(_indexes(ranges)).difference(lost))))
        fresh = batch.apply_record(record, ranges)
        for ended in self._registry.note_results(batch, record) if fresh else ():
            self._clear_arguments(ended)

    def _clear_arguments(self, batch: Ledger) -> None:
        spent = batch.parcel.take_spent() if batch.parcel is not None else []
        if spent:
            self._garbage.spent(spent)

    def forget(self, batch: Ledger) -> None:
        """Drop the results of a batch from the broker, as soon as all its calls have ended."""
        step = batch.parcel.step if batch.parcel is not None else None
        if step is None:
            self._registry.when(batch, lambda: batch.all_ended, lambda: self._forget(batch), duty=True)
            return
        # What comes later needs the results.
        for one in step.workflow.ledgers:
            self._registry.when(one, lambda: step.workflow.all_ended, lambda: self._forget(batch), duty=True)

    def forget_call(self, batch: Ledger, index: int) -> None:
        """Have a call forgotten that shares its batch, as soon as it has ended; with the last one the batch goes."""

        def forget() -> None:
            if not self._store.forget_call(batch.id, index):
                self._forget(batch)

        self._registry.when(batch, lambda: batch.states[index] >= st.FIRST_READY_CODE, forget, duty=True)

    def _forget(self, batch: Ledger) -> None:
        self._garbage.drop(self._store.forget(batch.id))
        self._registry.forget(batch)

    def clear_leftovers(self) -> None:
        """Have large values removed that nobody needs any more, where it is time."""
        if self._garbage.due:
            self._registry.in_background(self._garbage.clear)

    # -- the truth

    def refresh(self, batch: Ledger, states: bytes | None = None) -> None:
        """Take in every result of a batch that the broker has.

        Args:
            states: what it has of them, where that was just read; the batch may have grown since.
        """
        if states is None:
            states = self._store.states(batch.id, 0, batch.n)
        own = batch.own_states
        if _are_missing(own, states):
            there = states
            self._registry.in_background(lambda: self.put_back(batch, there))
        missing = [
            index
            for index, (theirs, ours) in enumerate(zip(states, own, strict=False))
            if theirs >= st.FIRST_READY_CODE > ours
        ]
        if missing:
            self._take_in_missing(batch, missing, states)

    def _take_in_missing(self, batch: Ledger, missing: list[int], states: bytes) -> None:
        problem = SignatureMismatch("its result is gone from the broker")
        refused = 0
        for first, count in self._store.ranges(batch.id):
            place = bisect.bisect_left(missing, first)
            if first + count > batch.n or place == len(missing) or missing[place] >= first + count:
                continue
            if refused > _MOST_REFUSED:
                break
            try:
                frame = self._store.record(batch.id, first, count) or b""
                self._apply_counted(batch, self._codec.open_record(frame, batch.id), (first, count), states)
            except SignatureMismatch as error:
                problem = error
                refused += 1
                _log.error("batch %s: refused: %s", batch.id, error)
        self._give_up(batch, missing, problem)

    def _apply_counted(self, batch: Ledger, record: Record, filed: tuple[int, int], states: bytes) -> None:
        """Take in what counts of a record: another one may count where a crash came before its states were set."""
        _check_place(batch, record, [filed])
        first, count = filed
        counted = runs(
            index
            for index in range(first, min(first + count, len(states)))
            if record.states[index - record.first] == states[index]
        )
        if counted:
            self._apply(batch, record, counted)

    def _give_up(self, batch: Ledger, indexes: list[int], problem: SignatureMismatch) -> None:
        """Calls have ended, and what the broker has in the place of their results cannot be trusted."""
        lost = [index for index in indexes if batch.states[index] < st.FIRST_READY_CODE]
        error = SignatureMismatch(f"a call of {batch.name} has ended, and there is no result: {problem}")
        for first, count in runs(lost):
            # Here only: the broker's own record is final.
            self._apply(batch, _failed(batch.id, first, count, error), [(first, count)])

    def take_in_all(self, batch: Ledger) -> None:
        """Take in the results of a batch that another client lets grow: they alone say how far it is."""
        refused = 0
        for first, count in self._store.ranges(batch.id):
            if refused > _MOST_REFUSED:
                break
            if first + count > batch.n or min(batch.own_states[first : first + count]) < st.FIRST_READY_CODE:
                frame = self._store.record(batch.id, first, count) or b""
                try:
                    self._apply(batch, self._codec.open_record(frame, batch.id), [(first, count)])
                except SignatureMismatch:
                    refused += 1

    def take_in_own_states(self, batch: Ledger) -> None:
        """Take in what calls that run have named their states, which was told before this process asked."""
        for index, frame in self._store.own_states(batch.id):
            try:
                news = self._codec.open_events(frame, batch.id)
            except SignatureMismatch as error:
                _log.debug("batch %s: a state of a task's own was refused: %s", batch.id, error)
                continue
            for event in news.events:
                if isinstance(event, Progressed) and index == b"%d" % event.index:
                    batch.apply_event(news.worker, event, news.child)

    def put_back(self, batch: Ledger, there: bytes) -> None:
        """Tell the broker results that it has lost, of which it has the states ``there``.

        What was seen here once stays so for everybody, and without them the batch would never end there.
        """
        self._sender.flush()
        for record, first, count in batch.known_records(own=True):
            if 0 not in there[first : first + count]:
                continue
            self._endings.tell_again(batch.id, record, first, count)


#: State codes that are final, and those that say that nothing has ended, as 1 in a translation table.
_FINAL = bytes(code >= st.FIRST_READY_CODE for code in range(256))
_OPEN = bytes(code == 0 for code in range(256))


def _are_missing(here: bytearray, there: bytes) -> bool:
    """Whether some call has ended here of which the broker knows nothing. Fast also for a million calls."""
    ended, unknown = here.translate(_FINAL), there.translate(_OPEN)
    return bool(int.from_bytes(ended, "little") & int.from_bytes(unknown, "little"))


def _ranges(event: SessionEvent) -> list[tuple[int, int]]:
    """Return the (first, count) that an event is about."""
    if not event.wins:
        return [(event.first, event.count)]
    try:
        return [(int(a), int(b)) for a, _, b in (part.partition("+") for part in event.wins.split())]
    except ValueError as error:
        raise SignatureMismatch("an event cannot be read") from error


def _indexes(ranges: list[tuple[int, int]]) -> Iterator[int]:
    for first, count in ranges:
        yield from range(first, first + count)


def _error_of_refusal(batch: Ledger, reason: str, gone: bool) -> WireError:
    if gone:
        return ValueLost(
            f"{batch.name} could not be started: {reason}, although it was sent several times. See what removes "
            "them (docs/how-it-works.md, Large values), then submit the call again"
        )
    return SignatureMismatch(
        f"{batch.name} was refused by the workers: {reason}. Somebody writes to the broker who does not have "
        "the key; see who has access to it, then submit the call again"
    )


def _check_place(batch: Ledger, record: Record, ranges: list[tuple[int, int]]) -> None:
    n = len(record.states)
    for first, count in ranges:
        inside = record.first <= first < first + count <= record.first + n and len(record.payloads) == n
        if not inside or not (batch.followed or first + count <= batch.n):
            raise SignatureMismatch(
                "a result record is filed under calls that it is not about; it was refused"
            )


def _failed(batch: str, first: int, count: int, error: Exception) -> Record:
    """Return a record of calls that have failed for the same reason."""
    payload = failures.pack(error, with_traceback=False)
    return Record.alike(batch, first, count, st.FAILURE_CODE, payload)
