"""An App's open connection: submits batches, takes events in, keeps the live records."""

from __future__ import annotations

import bisect
import contextlib
import functools
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nbtasks.broker.delivery import Delivery, Finish
from nbtasks.broker.fleet import Fleet
from nbtasks.broker.keys import Keys
from nbtasks.broker.link import Link, unavailable
from nbtasks.broker.server import LOADING_S, BrokerFacts, check
from nbtasks.broker.store import BatchRecord, Event, Store
from nbtasks.broker.submission import Flush, Submission
from nbtasks.core import context
from nbtasks.core import states as st
from nbtasks.core.errors import (
    BrokerUnavailable,
    NbtasksError,
    OperationalError,
    SignatureMismatch,
    UnknownCall,
)
from nbtasks.core.ids import new_id
from nbtasks.core.ranges import runs
from nbtasks.local.connection import Connection
from nbtasks.wire import failures
from nbtasks.wire.codec import Codec, Record
from nbtasks.wire.frames import Sealer
from nbtasks.wire.signing import Keyring

from .batch import Batch, Hooks, Origin
from .fleet import read_workers, warn_of_differences
from .listener import Listener
from .outbox import Item, Outbox
from .sent import Sent
from .series import Series
from .waiting import reason_for_waiting

_log = logging.getLogger("nbtasks")
_MOST_REMEMBERED = 1000
_SLOTS_FOR_S = 5.0
_CONNECT_S = 2.7
_RECONNECT_S = 1.0
_PUT_BACK_S = 60.0
#: Seconds that a server may lose in a crash, and the time until the next look, with much to spare.
_LOST_S = 30.0
_LARGE_FUNCTION = 2**20


class Session:
    """Everything of an App that needs the broker."""

    def __init__(self, connection: Connection, result_expires_s: float, result_limit: int) -> None:
        self.connection = connection
        self.keys = Keys(connection.namespace)
        self.keyring = Keyring(connection.keys)
        self.codec = Codec(Sealer(self.keyring, connection.namespace))
        self.python = f"{sys.version_info[0]}.{sys.version_info[1]}"
        self.result_limit = result_limit
        self.result_ttl_ms = round(result_expires_s * 1000)
        self._id = new_id()
        self._links: list[Link] = []
        self._link = self._new_link()
        self.store = Store(self._link, self.keys)
        self.fleet = Fleet(self._link, self.keys)
        self.facts: BrokerFacts = _checked(self._link)
        # What goes over this one only reads, or may be applied twice: no notebook need hear of one cut connection.
        self._link.patience_s = _RECONNECT_S
        self.clock_offset_s = self.facts.clock_offset_s
        self._submission = Submission(self._new_link(), self.keys)
        self._orders = Submission(self._link, self.keys)
        self._delivery = Delivery(self._link, self.keys, "client", ())
        self._unfinished: dict[str, Batch] = {}
        self._known: weakref.WeakValueDictionary[str, Batch] = weakref.WeakValueDictionary()
        self._recent: deque[Batch] = deque(maxlen=_MOST_REMEMBERED)
        self._changed = threading.Condition()
        self._lock = threading.Lock()
        self._callbacks: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._closed = False
        self.pace: dict[str, float] = {}
        self._slots: dict[str, tuple[float, int]] = {}
        self._told_differences: set[str] = set()
        self._outbox = Outbox(self._submission, self._id, self._start_over)
        self._series: Series | None = None
        if context.serving:
            context.before_telling.append(self._flush_for_task)
        reading = self._new_link()
        self._listener = Listener(
            reading,
            Store(reading, self.keys),
            lambda: self._id,
            self._take_in,
            self._reconcile,
            self._look_for_gap,
        )

    def _new_link(self) -> Link:
        link = Link(self.connection.url, self.connection.address)
        self._links.append(link)
        return link

    @property
    def usable(self) -> bool:
        """Whether this session belongs to this process and is open."""
        return not self._closed and self._pid == os.getpid()

    def close(self) -> None:
        """Send what waits, stop the threads, close the connections."""
        if self._closed:
            return
        self._outbox.flush(2.0)
        self._closed = True
        with contextlib.suppress(NbtasksError):
            self.store.end_session(self._id)
        self._outbox.close()
        self._listener.close()
        for link in self._links:
            link.abort()
        if self._callbacks is not None:
            self._callbacks.shutdown(wait=False)

    # -- submitting

    def address(self, queue: str) -> str:
        """Return a queue's address for this Python and this key."""
        return self.keys.address(queue, self.python, self.keyring.id)

    def server_now(self) -> float:
        """Return the server's time in epoch seconds, by the measured offset."""
        return time.time() + self.clock_offset_s

    def register(self, batch: Batch) -> None:
        """Have results of a batch taken in from now on."""
        with self._lock:
            self._unfinished[batch.id] = batch
            self._known[batch.id] = batch
            if not batch.quiet:
                self._recent.append(batch)

    @property
    def hooks(self) -> Hooks:
        """What a batch asks of this session."""
        return Hooks(self._changed, self.revoke, self.why_pending, self.store.blob)

    def slots(self, queue: str) -> int:
        """Return how many calls of a queue run at once, as far as known; looked up every few seconds."""
        now = time.monotonic()
        looked_at, known = self._slots.get(queue, (-_SLOTS_FOR_S, 1))
        if now - looked_at > _SLOTS_FOR_S:
            # Only a hint for the size of chunks: not worth an error.
            with contextlib.suppress(OperationalError):
                workers = read_workers(self.fleet, self.python, self.keyring.id)
                fit = [item for item in workers if item.matches and queue in item.queues]
                known = sum(item.slots_total for item in fit)
                warn_of_differences(fit, self._told_differences)
            self._slots[queue] = (now, max(1, known))
        return max(1, known)

    def note_size(self, task: Any, size: int) -> None:
        """Warn about a function that captures much; it is sent with every change of it."""
        if size > _LARGE_FUNCTION:
            import warnings

            warnings.warn(
                f"{task.name} captures {size / 2**20:.1f} MB of data, sent once for each version of the function. "
                "%%task --dry-run shows what it is",
                stacklevel=6,
            )

    def bury(self, worker_id: str) -> None:
        """Have the calls of a worker that is known to be dead given back at once."""
        with contextlib.suppress(OperationalError):
            self.fleet.bury(worker_id)

    def send_batch(
        self,
        batch: Batch,
        digest: str,
        frame: bytes,
        sent: list[Sent],
        blobs: list[tuple[str, bytes | memoryview]],
        delay_ms: int,
        new: bool = True,
        open_end: bool = False,
    ) -> None:
        """Submit chunks of a batch; ``new`` records the batch as well.

        Raises:
            BrokerUnavailable, BackPressure: nothing was submitted.
        """
        batch.sent += sent
        groups = _groups(sent)
        for number, group in enumerate(groups):
            first = new and number == 0

            def write(
                flush: Flush, fn: bytes, first: bool = first, number: int = number, group: list[Sent] = group
            ) -> None:
                if first:
                    self._write_batch(flush, batch, fn, -1 if open_end else batch.n)
                if number == 0:
                    for key, data in blobs:
                        flush.blob(batch.id, key, data)
                self._write_chunks(flush, batch, group, delay_ms)

            size = (
                sum(len(item.frame) + 100 for item in group)
                + len(frame)
                + sum(len(data) for _, data in blobs)
            )
            self._put(batch, Item(write, digest, frame, size, lambda error: self.fail_batch(batch, error)))

    def _put(self, batch: Batch, item: Item) -> None:
        try:
            self._outbox.put(item)
        except Exception:
            with self._lock:
                self._unfinished.pop(batch.id, None)
            raise

    def _write_batch(self, flush: Flush, batch: Batch, fn: bytes, n: int) -> None:
        label = self.codec.seal_label(batch.id, self._label(batch, batch.function, n))
        address = self.address(batch.queue)
        flush.batch(batch.id, n, address, batch.function, fn, label, self.result_ttl_ms)

    def _write_chunks(self, flush: Flush, batch: Batch, sent: list[Sent], delay_ms: int) -> None:
        address = self.address(batch.queue)
        for item in sent:
            flush.chunk(batch.id, address, item.lane, delay_ms, item.first, item.count, item.frame)

    @property
    def quiet(self) -> bool:
        """Whether nothing is being submitted, nor was a moment ago."""
        return self._outbox.quiet

    def join(
        self,
        kind: tuple[object, ...],
        call: tuple[tuple[Any, ...], dict[str, Any]],
        payload: bytes,
        open_batch: Callable[[], Batch],
        seal: Callable[[Batch, list[bytes]], list[Sent]],
    ) -> tuple[Batch, int]:
        """Submit a call together with those of its kind that wait to be sent; returns its batch and its index.

        Raises:
            BrokerUnavailable, BackPressure: it was not submitted.
        """
        waiting = self._series
        if waiting is not None and waiting.kind == kind and waiting.has_room:
            index = self._outbox.extend(waiting.item, functools.partial(waiting.add, call, payload))
            if index is not None:
                return waiting.batch, index
        batch = open_batch()

        def record(flush: Flush, fn: bytes, sent: list[Sent]) -> None:
            self._write_batch(flush, batch, fn, batch.n)
            self._write_chunks(flush, batch, sent, 0)

        series = Series(
            batch,
            kind,
            lambda payloads: seal(batch, payloads),
            record,
            lambda error: self.fail_batch(batch, error),
        )
        series.add(call, payload)
        self.register(batch)
        self._put(batch, series.item)
        self._series = series
        return batch, 0

    def send_count(self, batch: Batch, digest: str) -> None:
        """Tell the broker how many calls a growing batch has in the end."""

        def write(flush: Flush, _: bytes) -> None:
            label = self._label(batch, digest, batch.n)
            flush.grown(batch.id, batch.n, self.codec.seal_label(batch.id, label))

        self._outbox.put(Item(write, digest, b"", 100, lambda error: self.fail_batch(batch, error)))
        self._outbox.flush()
        report = Finish()
        report.counted(batch.id)
        self._delivery.finish(report)

    def _label(self, batch: Batch, digest: str, n: int) -> dict[str, Any]:
        """Return what another client is told of a batch; ``n`` is -1 while nobody knows the number of calls."""
        info = batch.origin_info
        return {
            "n": n, "f": digest,
            "name": info.name, "queue": info.queue, "label": info.label, "kind": info.kind, "place": info.place,
            "one": info.single, "eta": info.eta_at, "oe": info.on_error,
        }  # fmt: skip

    def fail_batch(self, batch: Batch, error: Exception) -> None:
        """End a batch that can never be submitted; waiting for it raises the error."""
        batch.problem = error
        if not batch.sent_something:
            with self._lock:
                self._unfinished.pop(batch.id, None)
        self._call_back(batch)
        batch.note_change()
        self.announce()

    def flush(self) -> None:
        """Wait until the broker has everything."""
        self._outbox.flush()

    def _flush_for_task(self) -> None:
        if self.usable:
            self._outbox.flush()

    # -- what comes back

    def _take_in(self, events: list[Event]) -> None:
        doubtful: dict[str, Batch] = {}
        for event in events:
            batch = self._unfinished.get(event.batch)
            if batch is None:
                continue
            try:
                self._take_in_one(batch, event)
            except SignatureMismatch as error:
                _log.error("batch %s: refused: %s", event.batch, error)
                doubtful[batch.id] = batch
        for batch in doubtful.values():
            # Something was told of it, by whomever: the store knows what is true.
            self.refresh(batch)
        self.announce()

    def _take_in_one(self, batch: Batch, event: Event) -> None:
        if not event.kind:
            return
        if event.kind == "r":
            frame = event.frame
            ranges = _ranges(event)
            if not frame:
                frame = self.store.record(batch.id, *ranges[0]) or b""
            self._apply(batch, self.codec.open_record(frame, batch.id), ranges)
            return
        news = self.codec.open_events(event.frame, batch.id)
        for item in news.events if batch.is_new(news) else ():
            if item["t"] == "refused":
                self._take_in_refusal(batch, item)
            else:
                batch.apply_event(news.worker, item)

    def _take_in_refusal(self, batch: Batch, item: dict[str, Any]) -> None:
        """A worker could not trust what reached it of this batch."""
        first, count, reason = int(item["i"]), int(item["n"]), str(item["m"])
        _log.warning("batch %s on queue %s: a worker has refused it: %s", batch.id, batch.queue, reason)
        batch.refusal = reason
        if batch.sent:
            self._in_background(lambda: self._answer_refusal(batch, first, count, reason))

    def _answer_refusal(self, batch: Batch, first: int, count: int, reason: str) -> None:
        """Send refused calls again, with their function; what was refused too often has failed."""
        sent, address = batch.sent, self.address(batch.queue)
        if not sent:
            return
        once = not self.codec.open_chunk(sent[0].frame, batch.id, address).options.get("al", 1)
        verdict = batch.refusals.judge(sent, batch.states, first, count, once)
        if verdict.again:
            self._outbox.put(self._once_more(batch, verdict.again, address))
        if verdict.lost:
            error = SignatureMismatch(
                f"{batch.name} was refused by the workers: {reason}. Somebody writes to the broker who does not have "
                "the key; see who has access to it, then submit the call again"
            )
            report = Finish()
            for piece in verdict.lost:
                record = _failed(batch.id, piece.first, piece.count, error)
                report.results(batch.id, piece.first, record.states, self.codec.seal_record(record))
            self._delivery.finish(report)

    def _once_more(self, batch: Batch, pieces: list[Sent], address: str) -> Item:
        """Return what puts calls of a batch that the broker knows into the queue again."""
        digest, frame = batch.function, batch.function_frame

        def write(flush: Flush, fn: bytes) -> None:
            if fn:
                flush.function(digest, fn)
            for piece in pieces:
                flush.chunk(batch.id, address, piece.lane, 0, piece.first, piece.count, piece.frame)

        self._outbox.forget(digest)
        size = len(frame) + sum(len(piece.frame) + 100 for piece in pieces)
        return Item(write, digest, frame, size, lambda error: self.fail_batch(batch, error))

    def _apply(self, batch: Batch, record: Record, ranges: list[tuple[int, int]]) -> None:
        _check_place(batch, record, ranges)
        if batch.followed:
            batch.grow(max(first + count for first, count in ranges))
        fresh = batch.apply_record(record, ranges)
        if fresh:
            self._note_pace(batch, record)
            self._call_back(batch)
            if batch.all_ended:
                self._finish_batch(batch)
            elif batch.origin_info.on_error == "stop" and batch.failed_count and not batch.revoked_count:
                self._in_background(lambda: batch.revoke(terminate=True))

    def _note_pace(self, batch: Batch, record: Record) -> None:
        longest = max(record.seconds)
        before = self.pace.get(batch.function)
        self.pace[batch.function] = (
            longest if before is None or longest > before else before * 0.8 + longest * 0.2
        )

    def finish_empty(self, batch: Batch) -> None:
        """A batch turned out to have ended without another result."""
        batch.note_change()
        self._finish_batch(batch)
        self._call_back(batch)
        self.announce()

    def _finish_batch(self, batch: Batch) -> None:
        with self._lock:
            self._unfinished.pop(batch.id, None)

    def announce(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._changed.notify_all()

    def _in_background(self, action: Callable[[], None]) -> None:
        """Run something that may wait, away from the listener's thread."""
        if self._callbacks is None:
            self._callbacks = ThreadPoolExecutor(1, thread_name_prefix="nbtasks-callbacks")
        self._callbacks.submit(_logged, action)

    def when(self, batch: Batch, ready: Callable[[], bool], action: Callable[[], None]) -> None:
        """Call ``action()`` once on a thread of the session when ``ready()``, asked after each result."""
        with self._lock:
            batch.callbacks.append((ready, action))
        self._call_back(batch)

    def _call_back(self, batch: Batch) -> None:
        if not batch.callbacks:
            return
        with self._lock:
            due = [item for item in batch.callbacks if item[0]()]
            batch.callbacks = [item for item in batch.callbacks if item not in due]
        for _, action in due:
            self._in_background(action)

    # -- the truth

    def _look_for_gap(self) -> bool:
        """Ask whether the broker has lost flushes; then everything that has not ended is sent again."""
        lost = bool(self._unfinished) and self._orders.last_flush(self._id) < self._outbox.number
        if lost:
            self._outbox.probe()
        return lost

    def _reconcile(self) -> None:
        if self._look_for_gap():
            return
        batches = [*self._unfinished.values(), *self._just_ended()]
        for batch, states in zip(batches, self.store.states_of([(b.id, b.n) for b in batches]), strict=True):
            try:
                if batch.followed:
                    self._follow(batch)
                    self.refresh(batch)
                else:
                    self._refresh(batch, states)
            except SignatureMismatch as error:
                _log.error("batch %s: refused: %s", batch.id, error)
        self.announce()

    def refresh(self, batch: Batch) -> None:
        """Take in every result of a batch that the broker has."""
        self._refresh(batch, self.store.states(batch.id, 0, batch.n))

    def _refresh(self, batch: Batch, states: bytes) -> None:
        if batch.finished_count > len(states) - states.count(0):
            self._in_background(lambda: self._put_back(batch, states))
        missing = [
            index for index in range(batch.n) if states[index] >= st.FIRST_READY_CODE > batch.states[index]
        ]
        if not missing:
            return
        problem = SignatureMismatch("its result is gone from the broker")
        for first, count in self.store.ranges(batch.id):
            place = bisect.bisect_left(missing, first)
            if place == len(missing) or missing[place] >= first + count:
                continue
            try:
                frame = self.store.record(batch.id, first, count) or b""
                self._apply_counted(batch, self.codec.open_record(frame, batch.id), (first, count), states)
            except SignatureMismatch as error:
                problem = error
                _log.error("batch %s: refused: %s", batch.id, error)
        self._give_up(batch, missing, problem)

    def _apply_counted(self, batch: Batch, record: Record, filed: tuple[int, int], states: bytes) -> None:
        """Take in what counts of a record: another one may count where a crash came before its states were set."""
        _check_place(batch, record, [filed])
        first, count = filed
        counted = runs(
            index
            for index in range(first, first + count)
            if record.states[index - record.first] == states[index]
        )
        if counted:
            self._apply(batch, record, counted)

    def _give_up(self, batch: Batch, indexes: list[int], problem: SignatureMismatch) -> None:
        """Calls have ended, and what the broker has in the place of their results cannot be trusted."""
        lost = [index for index in indexes if batch.states[index] < st.FIRST_READY_CODE]
        error = SignatureMismatch(f"a call of {batch.name} has ended, and there is no result: {problem}")
        for first, count in runs(lost):
            # Here only: the broker's own record is final.
            self._apply(batch, _failed(batch.id, first, count, error), [(first, count)])

    def _start_over(self) -> str:
        """The broker has lost flushes: submit everything again that has not ended, under a new session."""
        self._id = new_id()
        for batch in list(self._unfinished.values()):
            with contextlib.suppress(OperationalError):
                self.refresh(batch)
            if not batch.done:
                self._send_again(batch)
                if batch.finished_count:
                    nothing = bytes(batch.n)
                    self._in_background(lambda batch=batch, nothing=nothing: self._put_back(batch, nothing))  # type: ignore[misc]
        self._listener.turn()
        return self._id

    def _send_again(self, batch: Batch) -> None:
        sent, batch.sent = batch.sent, []
        lost = [
            item
            for item in sent
            if any(code < st.FIRST_READY_CODE for code in batch.states[item.first : item.first + item.count])
        ]
        eta = batch.origin_info.eta_at
        delay_ms = max(0, round((eta - time.time()) * 1000)) if eta is not None else 0
        self.send_batch(
            batch, batch.function, batch.function_frame, lost, batch.blobs, delay_ms, open_end=batch.growing
        )

    def _just_ended(self) -> list[Batch]:
        """Return batches that have ended so lately that a server which died may have lost it."""
        since = time.time() - _LOST_S
        with self._lock:
            known = list(self._known.values())
        return [
            batch
            for batch in known
            if batch.ended_at and batch.ended_at > since and batch.id not in self._unfinished
        ]

    def _put_back(self, batch: Batch, there: bytes) -> None:
        """Tell the broker results that it has lost, of which it has the states ``there``.

        What was seen here once stays so for everybody, and without them the batch would never end there.
        """
        self._outbox.flush(_PUT_BACK_S)
        for record, first, count in batch.known_records():
            if 0 not in there[first : first + count]:
                continue
            states = record.states[first - record.first :][:count]
            report = Finish()
            report.results(batch.id, first, states, self.codec.seal_record(record))
            self._delivery.finish(report)

    # -- acting on batches

    def revoke(self, batch: Batch, index: int, terminate: bool) -> None:
        """Make calls that have not ended REVOKED, for good, and tell the workers."""
        self._outbox.flush()
        span = range(batch.n) if index < 0 else (index,)
        keep = set() if terminate else set(batch.running)
        report = Finish()
        for first, count in runs(i for i in span if batch.states[i] < st.FIRST_READY_CODE and i not in keep):
            record = self._revoked_record(batch, first, count)
            report.results(batch.id, first, bytes([st.REVOKED_CODE]) * count, record)
        if report:
            self._delivery.finish(report)
        # After the states: workers look at them when the order comes.
        order = {"t": "stop", "b": batch.id, "i": index, "kill": terminate}
        control = self.codec.seal_control(order, self.fleet.now())
        if not self._orders.revoke(batch.id, control):
            raise UnknownCall(f"the broker does not know batch {batch.id}; its results may have expired")
        batch.note_change()

    def _revoked_record(self, batch: Batch, first: int, count: int) -> bytes:
        # No payload: the state says it all, and there may be a million of them.
        states = bytes([st.REVOKED_CODE]) * count
        record = Record(batch.id, first, states, [0.0] * count, [b""] * count)
        return self.codec.seal_record(record)

    def forget(self, batch: Batch) -> None:
        """Drop the results of a batch from the broker, as soon as all its calls have ended."""
        self.when(batch, lambda: batch.all_ended, lambda: self.store.forget(batch.id))

    def why_pending(self, batch: Batch) -> str | None:
        """Say why a batch waits."""
        try:
            return reason_for_waiting(batch, self.fleet, self.store, self.address(batch.queue))
        except BrokerUnavailable as error:
            return str(error)
        except OperationalError:
            return None

    def recent(self) -> list[Batch]:
        """Return the batches of this session that are worth listing, oldest first."""
        return list(self._recent)

    def adopt(self, batch_id: str) -> Batch:
        """Return the live record of a batch that another session submitted.

        Raises:
            UnknownCall: nobody recorded it, or its time is over.
        """
        known = self._known.get(batch_id)
        if known is not None:
            return known
        self._outbox.flush()
        found = self.store.batch(batch_id)
        if found is None:
            raise UnknownCall(f"nobody has recorded a call {batch_id!r}, or its results have expired")
        return self._adopted(found)

    def _adopted(self, found: BatchRecord) -> Batch:
        label = self.codec.open_label(found.label, found.id)
        origin = Origin(
            label["name"], label["queue"], label["label"], label["kind"], label["place"], False, label["one"],
            label["eta"], label["oe"],
        )  # fmt: skip
        n = label["n"]
        batch = Batch(found.id, max(0, n), origin, self.hooks, found.submitted_at - self.clock_offset_s)
        batch.function = label["f"]
        if n < 0:
            # Its client is still reading items: how many there will be, nobody knows yet.
            batch.growing = batch.followed = True
        with self._lock:
            self._unfinished[batch.id] = batch
            self._known[batch.id] = batch
            self._recent.append(batch)
        self.store.adopt(batch.id, self._id)
        self._lines_of(batch.function)
        if batch.followed:
            self._take_in_all(batch)
        self.refresh(batch)
        self._show_running(batch)
        if batch.done:
            batch.ended_at = batch.ended_at or time.time()
            self._finish_batch(batch)
            self._call_back(batch)
        return batch

    def _follow(self, batch: Batch) -> None:
        """Learn how many calls a batch has that another client lets grow."""
        found = self.store.batch(batch.id)
        n = -1 if found is None else self.codec.open_label(found.label, batch.id)["n"]
        if n >= 0:
            batch.grow(n)
            batch.growing = batch.followed = False
            if batch.all_ended:
                self.finish_empty(batch)
        else:
            self._take_in_all(batch)

    def _take_in_all(self, batch: Batch) -> None:
        """Take in the results of a batch that another client lets grow: they alone say how far it is."""
        for first, count in self.store.ranges(batch.id):
            if first + count > batch.n or min(batch.states[first : first + count]) < st.FIRST_READY_CODE:
                with contextlib.suppress(SignatureMismatch):
                    frame = self.store.record(batch.id, first, count) or b""
                    self._apply(batch, self.codec.open_record(frame, batch.id), [(first, count)])

    def _lines_of(self, digest: str) -> None:
        """Make the notebook's source known again, for tracebacks after a kernel restart."""
        with contextlib.suppress(OperationalError, SignatureMismatch):
            frame = self.store.function(digest)
            if frame is not None:
                self.codec.lines_of(frame, digest)

    def _show_running(self, batch: Batch) -> None:
        import json

        for text in self.fleet.workers().values():
            info = json.loads(text)
            for batch_id, index, ago in info.get("running", ()):
                if batch_id == batch.id:
                    batch.apply_event(str(info["name"]), {"t": "started", "i": index, "ago": ago})


def _checked(link: Link) -> BrokerFacts:
    """Look at the server for the first time, for so long at most: looking up a name may hang much longer."""
    outcome: list[BrokerFacts | Exception] = []

    def look() -> None:
        try:
            outcome.append(check(link))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=look, name="nbtasks-connect", daemon=True)
    thread.start()
    thread.join(_CONNECT_S)
    if not outcome and link.connected:
        # The server is there and loads its data.
        thread.join(LOADING_S)
    if not outcome:
        raise unavailable(link.label, TimeoutError(f"no answer within {_CONNECT_S:g} s"))
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _ranges(event: Event) -> list[tuple[int, int]]:
    """Return the (first, count) that an event is about."""
    if not event.wins:
        return [(event.first, event.count)]
    try:
        return [(int(a), int(b)) for a, _, b in (part.partition("+") for part in event.wins.split())]
    except ValueError as error:
        raise SignatureMismatch("an event cannot be read") from error


def _check_place(batch: Batch, record: Record, ranges: list[tuple[int, int]]) -> None:
    for first, count in ranges:
        inside = record.first <= first < first + count <= record.first + len(record.states) and len(
            record.payloads
        ) == len(record.states)
        if not inside or not (batch.followed or first + count <= batch.n):
            raise SignatureMismatch(
                "a result record is filed under calls that it is not about; it was refused"
            )


def _failed(batch: str, first: int, count: int, error: Exception) -> Record:
    """Return a record of calls that have failed for the same reason."""
    payload = failures.pack(error, with_traceback=False)
    return Record(batch, first, bytes([st.FAILURE_CODE]) * count, [0.0] * count, [payload] * count)


def _logged(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:
        _log.exception("a callback failed")


def _groups(sent: list[Sent]) -> list[list[Sent]]:
    """Cut chunks into groups that one flush takes."""
    groups: list[list[Sent]] = [[]]
    size = 0
    for item in sent:
        if size > 256 * 1024:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += len(item.frame)
    return groups
