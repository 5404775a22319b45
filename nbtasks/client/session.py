"""An App's open connection: what its parts share, and what is asked of the broker as a whole."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbtasks.broker.redis.delivery import Delivery, Finish
from nbtasks.broker.redis.fleet import Fleet
from nbtasks.broker.redis.keys import Keys
from nbtasks.broker.redis.link import Link, unavailable
from nbtasks.broker.redis.permits import Limited, Permits
from nbtasks.broker.redis.server import LOADING_S, BrokerFacts, check, write_problem
from nbtasks.broker.redis.servertime import ServerClock
from nbtasks.broker.redis.stock import Stock
from nbtasks.broker.redis.store import Store
from nbtasks.broker.redis.submission import Submission
from nbtasks.broker.redis.withdrawal import Withdrawal
from nbtasks.core import context
from nbtasks.core import states as st
from nbtasks.core.address import PYTHON, Address
from nbtasks.core.errors import (
    BrokerUnavailable,
    ConfigError,
    NbtasksError,
    OperationalError,
    SignatureMismatch,
    UnknownCall,
)
from nbtasks.core.ids import new_id
from nbtasks.core.orders import Order, StopCalls
from nbtasks.core.ranges import runs
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.core.warning import warn
from nbtasks.local.connection import Connection
from nbtasks.local.server.valuefiles import ValueFiles
from nbtasks.wire.codec import Codec, Record
from nbtasks.wire.frames import Sealer
from nbtasks.wire.signing import Keyring
from nbtasks.wire.values import Shelf

from .batches.ledger import Engine, Ledger
from .batches.registry import Registry
from .home import Home
from .reasons import reason_for_waiting
from .receiving.adoption import Adoption
from .receiving.expiry import Expiry
from .receiving.garbage import Leftovers
from .receiving.intake import Intake
from .receiving.listener import Listener
from .receiving.stocktaking import Stocktaking
from .roster import running_where_alive, warn_of_differences, workers_for
from .sending.outbox import Item, Outbox
from .sending.repacking import Repacking
from .sending.sender import Sender
from .unsent import describe
from .workerinfo import WorkerInfo

_log = logging.getLogger("nbtasks")
_WORKERS_FOR_S = 5.0
_CONNECT_S = 2.7
_RECONNECT_S = 1.0
#: Seconds in which a broker that is to be left must have taken something of what waits.
_HAND_OVER_S = 2.0
_TRY_AGAIN_S = 0.5
#: Seconds within which news from the broker are here, unless they go to another client or the connection was cut.
_PUSHED_S = 0.5
#: Seconds that workers have to say whether they have started what they have in hand.
_ANSWERED_S = 1.0
#: Seconds that a caller may be kept waiting while a queue is looked through.
_WITHDRAW_S = 0.3
#: Seconds that a server may lose in a crash, and the time until the next look, with much to spare.
_LOST_S = 30.0
_LARGE_FUNCTION = 2**20


class Session:
    """Everything of an App that needs the broker.

    Attributes:
        home: where its calls go.
        registry: the live batches.
        sender: submits them.
        intake: takes in what comes back.
        expiry: ends calls that no worker has started in time.
        given_up: returns why local workers of a queue are not started any more, None where they are.
        files: of large values, None where they go through the broker.
        shelf: where large values are put and found.
    """

    __stays_here__ = "it holds the key. In a task, nbtasks.App.current().session is the one that it runs for"
    __reduce_ex__ = refuse_to_travel

    def __init__(
        self,
        connection: Connection,
        result_expires_s: float,
        result_limit: int,
        engine: Engine,
        include: Sequence[str] = (),
    ) -> None:
        self.connection = connection
        self.home = Home.of(connection)
        self.keys = Keys(connection.namespace)
        self.keyring = Keyring(connection.keys)
        self.codec = Codec(Sealer(self.keyring, connection.namespace), include)
        self.result_limit = result_limit
        self.registry = Registry()
        self._id = new_id()
        self._pid = os.getpid()
        self._ordered = itertools.count(1)
        self._closed = False
        #: What is to be said of calls that were accepted and could not be handed over before the end.
        self.unsent = ""
        self.given_up: Callable[[str], str | None] = lambda _: None
        self._fitting: dict[str, tuple[float, list[WorkerInfo]]] = {}
        self._told_differences: set[str] = set()
        self._links: list[Link] = []
        self._link = self._new_link()
        self.store = Store(self._link, self.keys)
        self.fleet = Fleet(self._link, self.keys)
        self._permits = Permits(self._link, self.keys)
        self.facts: BrokerFacts = _checked(self._link)
        # What goes over this one only reads, or may be applied twice: no notebook need hear of one cut connection.
        self._link.patience_s = _RECONNECT_S
        self.clock = ServerClock(self._link, self.keys)
        self.clock.follow()
        self._orders = Submission(self._link, self.keys)
        self._delivery = Delivery(self._link, self.keys, "client", ())
        self.files = ValueFiles.beside(connection.url, connection.namespace)
        self.shelf = Shelf(self.keys.blob, self.store.blob, self.files)
        self._leftovers = Leftovers(self.files, self.store, self.keys)
        self.engine = engine
        self._make_parts(round(result_expires_s * 1000))

    def _make_parts(self, result_ttl_ms: int) -> None:
        submission = Submission(self._new_link(), self.keys)
        self._outbox = Outbox(submission, self._id, self._start_over)
        finish = self._delivery.finish
        self.sender = Sender(
            self._outbox, self.registry, self.codec, self.address, result_ttl_ms, finish, self.clock.now
        )
        repacking = Repacking(self.codec, self.shelf, self.address, self.home)
        self.intake = Intake(
            self.registry,
            self.sender,
            repacking,
            self.store,
            self.codec,
            self.address,
            finish,
            self._leftovers,
        )
        self._adoption = Adoption(
            self.registry, self.intake, self.store, self.fleet, self.codec, self._current_id, self.engine,
            self.clock,
        )  # fmt: skip
        if context.serving:
            context.before_telling.append(self._flush_for_task)
        self._stocktaking = Stocktaking(
            Stock(self._link, self.keys), self.fleet, self.registry, self.sender, self.intake, self._adoption,
            self.codec, self.address, self._outbox.flush_so_far, finish, self.clock.now,
        )  # fmt: skip
        reading = self._new_link()
        self.expiry = Expiry(
            self.codec, self.clock.now, self._held,
            self._running, finish, self.withdraw,
        )  # fmt: skip
        self._listener = Listener(
            reading,
            Store(reading, self.keys),
            self._current_id,
            self.intake.complete,
            self.intake.take_in,
            self.intake.look_up,
            self._reconcile,
            self.store.trim_events,
            self.store.drop_events,
            self.registry.announce,
            self._look_for_gap,
        )

    def read_here(self, most_s: float, eager: bool) -> bool:
        """Read what comes, on the thread that waits, as :meth:`Listener.read_here` says; whether that could be done."""
        self._outbox.note_wait()
        return self._listener.read_here(most_s, eager)

    def _new_link(self) -> Link:
        link = Link(self.connection.url, self.connection.address)
        self._links.append(link)
        return link

    def _current_id(self) -> str:
        return self._id

    @property
    def usable(self) -> bool:
        """Whether this session belongs to this process and is open."""
        return not self._closed and self._pid == os.getpid()

    def check_open(self, name: str) -> None:
        """Refuse to wait where nothing comes any more.

        Args:
            name: the id of what is waited for.

        Raises:
            ConfigError: the App was closed, or belongs to another process.
        """
        if self._closed:
            raise ConfigError(
                f"the App that {name} was submitted through is closed, so its end is not told here any more: wait "
                f"before you close it, or ask with App(...).attach({name!r})"
            )
        if not self.usable:
            raise ConfigError(
                f"{name} was submitted by another process, and its end is told there: ask here with "
                f"App(...).attach({name!r})"
            )

    def disown(self) -> None:
        """Let go of everything in a process that was forked off: it is the parent's, and goes on there."""
        for link in self._links:
            link.disown()
        for batch in self.registry.disowned():
            try:
                self.check_open(batch.id)
            except ConfigError as error:
                # Nobody tells its end here: who asks again and again shall hear that.
                batch.note_problem(error)

    def close(self) -> None:
        """Send what waits, stop the threads, close the connections."""
        if self._closed:
            return
        handed_over = self._outbox.hand_over(_HAND_OVER_S)
        # While the connections are there: callbacks may want to read large results.
        self.registry.close()
        self._closed = True
        if handed_over:
            with contextlib.suppress(NbtasksError):
                self.store.end_session(self._id)
        self._outbox.close()
        self.expiry.close()
        self._stocktaking.close()
        self._listener.close()
        for link in self._links:
            link.abort()
        self._give_up_what_is_left()
        with contextlib.suppress(ValueError):
            context.before_telling.remove(self._flush_for_task)

    def _give_up_what_is_left(self) -> None:
        waiting = self.registry.all_unfinished()
        where = self.connection.address
        error = BrokerUnavailable(
            f"the App was closed before this could be handed over to the broker at {where}"
        )
        why = self._outbox.trouble
        self._outbox.give_up(error)
        left = [batch for batch in waiting if batch.problem is error]
        if left:
            self.unsent = describe(left, where, why)

    def address(self, queue: str) -> Address:
        """Return a queue's address for this Python and this key."""
        return Address(queue, PYTHON, self.keyring.id)

    def slots(self, queue: str) -> int:
        """Return how many calls of a queue run at once, as far as known."""
        return max(1, sum(item.slots_total for item in self._workers_for(queue)))

    def workers_share_files(self, queue: str) -> bool:
        """Whether all workers of a queue that are known see the files of large values that this process writes."""
        files = self.files
        return files is not None and all(item.place == files.place for item in self._workers_for(queue))

    def _workers_for(self, queue: str) -> list[WorkerInfo]:
        """Return the workers that take calls of a queue; looked up every few seconds."""
        now = time.monotonic()
        looked_at, known = self._fitting.get(queue, (-_WORKERS_FOR_S, []))
        if now - looked_at > _WORKERS_FOR_S:
            # Only a hint for the size of chunks and the place of values: not worth an error.
            with contextlib.suppress(OperationalError):
                known = workers_for(queue, self.fleet, self.keyring.id)
                warn_of_differences(known, self._told_differences)
            self._fitting[queue] = (now, known)
        return known

    def note_size(self, task: Any, size: int) -> None:
        """Warn about a function that captures much; it is sent with every change of it."""
        if size > _LARGE_FUNCTION:
            warn(
                f"{task.name} captures {size / 2**20:.1f} MB of data, sent once for each version of the function. "
                "%%task --dry-run shows what it is"
            )

    def bury(self, worker_id: str) -> None:
        """Have the calls of a worker that is known to be dead given back at once."""
        with contextlib.suppress(OperationalError):
            self.fleet.bury(worker_id)

    def flush(self) -> None:
        """Wait until the broker has everything."""
        self._outbox.flush()

    def _flush_for_task(self) -> None:
        if self.usable:
            self._outbox.flush()

    # -- the truth

    def _look_for_gap(self) -> bool:
        """Ask whether the broker has lost flushes; then everything that has not ended is sent again."""
        waits = bool(self.registry.all_unfinished())
        lost = waits and self._orders.last_flush(self._id) < self._outbox.number
        if lost:
            self._outbox.probe()
        elif waits:
            self._stocktaking.soon()
        return lost

    def _reconcile(self) -> None:
        self.clock.follow()
        # What it has lost of those that have not ended is sent again by the outbox, as soon as that hears of it.
        unfinished = [] if self._look_for_gap() else self.registry.all_unfinished()
        batches = [*unfinished, *self.registry.ended_since(time.time() - _LOST_S)]
        for batch, states in zip(batches, self.store.states_of([(b.id, b.n) for b in batches]), strict=True):
            try:
                if batch.followed:
                    self._adoption.follow(batch)
                else:
                    self.intake.refresh(batch, states)
                    parcel = batch.parcel
                    if batch.growing and parcel is not None and parcel.sent:
                        self.sender.send_sign_of_life(batch, parcel)
            except SignatureMismatch as error:
                _log.error("batch %s: refused: %s", batch.id, error)
        self._note_lost()
        self.registry.announce()
        if self._leftovers.due:
            self.registry.in_background(self._leftovers.clear)

    def _note_lost(self) -> None:
        """Calls whose worker is gone do not run any more; perhaps nobody is left to say so."""
        for batch in self.registry.all_unfinished():
            running = set(batch.running)
            for index in running - self._running(batch) if running else ():
                batch.note_given(index, 1)

    def _start_over(self, unsent: list[Item]) -> str:
        """The broker has lost flushes: what it has lost of them is sent again, under a new session."""
        self._id = new_id()
        self._stocktaking.broker_lost(unsent)
        self._listener.turn()
        return self._id

    # -- acting on batches

    def revoke(self, batch: Ledger, index: int, terminate: bool) -> None:
        """Make calls that have not ended REVOKED, for good, and tell the workers; handles say so when this returns.

        Without ``terminate`` only what has not been started: which calls that are, their workers know.
        """
        self._outbox.flush()
        span = range(batch.sent_count) if index < 0 else (index,)
        in_hand: set[int] = set()
        if not terminate:
            # Before it is looked what workers have in hand: what they take from now on, they do not start.
            self._order_to_stop(batch, index, terminate)
            in_hand = self._in_hand(batch).intersection(span)
        ranges = list(runs(i for i in span if batch.states[i] < st.FIRST_READY_CODE and i not in in_hand))
        report = Finish()
        for first, count in ranges:
            # No payload: the state says it all, and there may be a million of them.
            record = Record.alike(batch.id, first, count, st.REVOKED_CODE)
            report.results(batch.id, first, record.states, self.codec.seal_record(record))
        if report:
            self._delivery.finish(report)
        if terminate:
            # After the states: workers look at them when the order comes.
            self._order_to_stop(batch, index, terminate)
        batch.note_change()
        self._see_the_end_of(batch, ranges)
        if in_hand:
            batch.wait_for(lambda: _are_known(batch, in_hand), _ANSWERED_S)
        if index < 0 or batch.all_ended:
            self.withdraw(batch)

    def _order_to_stop(self, batch: Ledger, index: int, terminate: bool) -> None:
        """Tell the workers that calls of a batch were revoked.

        Raises:
            UnknownCall: the broker does not know the batch.
        """
        what = StopCalls(batch.id, index, terminate)
        control = self.codec.seal_order(Order(what, self._id, next(self._ordered), self.clock.now()))
        # What a growing batch has just sent is not started, either.
        note = not terminate or (index < 0 and batch.growing)
        if note:
            batch.note_revoked(index)
        if not self._orders.revoke(batch.id, control, index if note else None):
            raise UnknownCall(f"the broker does not know batch {batch.id}; its results may have expired")

    def withdraw(self, batch: Ledger) -> None:
        """Take what is final out of the queue, and not wait for workers to do that: perhaps there are none."""
        eta = batch.origin.eta_at
        due_at = eta
        if eta is None and batch.may_be_limited:
            # What a rate limit holds back comes again at any time from then on.
            due_at = batch.created_at
        since = (
            self.clock.server_moment(batch.created_at),
            None if due_at is None else self.clock.reckoned(due_at),
        )
        address = self.address(batch.queue)
        withdrawal = Withdrawal(self._link, self.keys, address, batch.id, batch.n, since)
        with contextlib.suppress(OperationalError):
            if not withdrawal.run(_WITHDRAW_S):
                self.registry.in_background(withdrawal.run)

    def _held(self, queue: str, sizes: Mapping[str, int]) -> dict[str, set[int]]:
        return self.store.held(self.address(queue), sizes)

    def _in_hand(self, batch: Ledger) -> set[int]:
        """Return the calls that workers have taken; a broker that was emptied has lost who took what runs."""
        held = self._held(batch.queue, {batch.id: batch.n}).get(batch.id, set())
        return held if held.issuperset(list(batch.running)) else held | self._running(batch)

    def _running(self, batch: Ledger) -> set[int]:
        """Return the calls that run now: a worker that is gone has told of no end."""
        return running_where_alive(batch, self.fleet, self.keyring.id)

    def _see_the_end_of(self, batch: Ledger, ranges: Sequence[tuple[int, int]]) -> None:
        """Have the ends of calls known here that the broker has: by the push that comes, else by asking."""

        def ended() -> bool:
            return batch.problem is not None or all(
                min(batch.states[first : first + count], default=st.REVOKED_CODE) >= st.FIRST_READY_CODE
                for first, count in ranges
            )

        if not batch.wait_for(ended, _PUSHED_S):
            self.intake.refresh(batch)
            self.registry.announce()

    def forget(self, batch: Ledger) -> None:
        """Drop the results of a batch from the broker, as soon as all its calls have ended."""
        self.registry.when(batch, lambda: batch.all_ended, lambda: self._forget(batch), duty=True)

    def _forget(self, batch: Ledger) -> None:
        self._leftovers.drop(self.store.forget(batch.id))
        self.registry.forget(batch)

    def why_pending(self, batch: Ledger, index: int | None = None) -> str | None:
        """Say why a batch waits, or one call of it."""
        if self._outbox.problem is not None:
            return str(self._outbox.problem)
        try:
            running_on = Counter(
                item.worker for one in self.registry.all_unfinished() for item in one.running.copy().values()
            )
            problem = write_problem(self._link)
            if problem is not None:
                return problem
            address = self.address(batch.queue)
            limited = self._limited(batch, address)
            return reason_for_waiting(
                batch, index, self.fleet, self.store, address, running_on, limited, self.given_up(batch.queue)
            )
        except BrokerUnavailable as error:
            return str(error)
        except OperationalError:
            return None

    def _limited(self, batch: Ledger, address: Address) -> tuple[Limited, int] | None:
        """Return the rate limit that a batch waits for, and how many calls of this process do."""
        if not batch.may_be_limited:
            return None
        limited = self._permits.limited(address, batch.id)
        if limited is None:
            return None
        alike = [one for one in self.registry.all_unfinished() if one.shares_limit_with(batch)]
        waiting = sum(one.sent_count - one.finished_count - len(one.running) for one in alike)
        return limited, max(1, waiting)

    def adopt(self, batch_id: str) -> Ledger:
        """Return the live record of a batch, whoever submitted it.

        Raises:
            UnknownCall: nobody recorded it, or its time is over.
        """
        known = self.registry.known(batch_id)
        if known is not None:
            return known
        self._outbox.flush()
        return self._adoption.adopt(batch_id)


def _are_known(batch: Ledger, indexes: set[int]) -> bool:
    """Whether it is known of calls that they run, or have ended."""
    return all(index in batch.running or batch.states[index] >= st.FIRST_READY_CODE for index in indexes)


def _checked(link: Link) -> BrokerFacts:
    """Look at the server for the first time, for so long at most: looking up a name may hang much longer."""
    outcome: list[BrokerFacts | Exception] = []

    def look() -> None:
        began = time.monotonic()
        try:
            try:
                outcome.append(check(link))
            except BrokerUnavailable:
                # One connection that was cut is no reason to say that there is no broker.
                if time.monotonic() - began > _TRY_AGAIN_S:
                    raise
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
