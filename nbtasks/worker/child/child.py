"""A child process: take a job, run its calls, tell, take the next.

The main thread does all three itself, so that a short call costs no hand-over. Threads and the event loop are used
for what asks for them; the reporter's thread helps while a call takes long.
"""

from __future__ import annotations

import faulthandler
import math
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from nbtasks.broker.redis.delivery import Aside, Delivery, Entry
from nbtasks.broker.redis.fleet import Fleet
from nbtasks.broker.redis.keys import Keys
from nbtasks.broker.redis.link import Link
from nbtasks.broker.redis.permits import Grant, Permits
from nbtasks.broker.redis.store import Store
from nbtasks.core import ancestry, context
from nbtasks.core.address import Address
from nbtasks.core.backoff import Backoff
from nbtasks.core.clock import steady
from nbtasks.core.errors import OperationalError
from nbtasks.core.options import WorkerOptions
from nbtasks.core.readable import name_of
from nbtasks.local.connection import Connection, place
from nbtasks.local.processes.proctree import kill_tree
from nbtasks.local.server.valuefiles import ValueFiles
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.kinds import mainspace
from nbtasks.wire.modules import worlds
from nbtasks.wire.opened.function import Function
from nbtasks.wire.signing import Keyring
from nbtasks.wire.values import Shelf
from nbtasks.worker.executing import keyboard, nested
from nbtasks.worker.executing.bench import Bench
from nbtasks.worker.executing.coroutines import ASYNC_SLOTS, LoopExecutor, is_async
from nbtasks.worker.executing.executor import InlineExecutor, ThreadExecutor
from nbtasks.worker.executing.interrupts import Interrupts, Stopping
from nbtasks.worker.executing.limits import hard_limit_exceeded
from nbtasks.worker.executing.sidebyside import Roster
from nbtasks.worker.isolation import streams
from nbtasks.worker.isolation.copies import expect_copies
from nbtasks.worker.isolation.descriptors import DescriptorFile
from nbtasks.worker.isolation.surroundings import Surroundings
from nbtasks.worker.jobs.doubts import Doubts
from nbtasks.worker.jobs.functions import Functions
from nbtasks.worker.jobs.hand import ASKED, GIVEN, NOTHING, Hand
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.pace import Pace
from nbtasks.worker.jobs.ratelimit import Permitted
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.jobs.revokedrunning import Revoked
from nbtasks.worker.log import LOGGER, log_trouble, set_name
from nbtasks.worker.memory import resident_bytes
from nbtasks.worker.slots import BUSY, CONCURRENT, IDLE, Slot

from .consumer import Consumer
from .lifeline import end_with
from .stopping import Revocations

T = TypeVar("T")

_FLUSH_EVERY_S = 0.02
#: Rests after the broker has failed, until it works again.
_AFTER_SETBACK = Backoff(0.05, 1.0)
_BETWEEN_TRIES = Backoff(0.05, 1.0, jitter=True)
#: A running call that takes longer than this keeps nobody else waiting: what is not started is given to others.
_SHARE_AFTER_S = 0.1
_LEASE_POLL_S = 0.01
#: Before a longer pause between two starts it is told what has ended.
_TELL_BEFORE_S = 0.005
_HEED_POLL_S = 0.001
#: Seconds to tell what has ended before the process goes.
_LAST_WORDS_S = 10.0
#: Exit code of a child whose event loop does not go on.
_LOOP_IS_LOST = 70
#: An entry that comes sooner than this was there already.
_ALONE_AFTER_S = 0.000_2
_ALONE_FOR_S = 0.002


@dataclass(frozen=True)
class ChildSettings:
    """What a child is made from; inherited by fork."""

    connection: Connection
    options: WorkerOptions
    worker: str
    name: str
    addresses: tuple[Address, ...]
    slots: list[Slot]
    hands: list[Hand]
    rosters: list[Roster]
    outputs: list[DescriptorFile]
    life_line: int


def child_main(settings: ChildSettings, number: int) -> None:
    """Run a child in slot ``number`` until it is told to stop, or has done its share."""
    Child(settings, number).run()


class Child:
    """One child process."""

    def __init__(self, settings: ChildSettings, number: int) -> None:
        self._options = options = settings.options
        #: Whether each call may be its last one.
        self._is_limited = bool(options.max_tasks_per_child or options.max_memory_per_child)
        self._slot = settings.slots[number]
        self._hand = settings.hands[number]
        self._roster = settings.rosters[number]
        #: Serial of the call after which the supervisor was last heard.
        self._heeded = 0
        self._settings = settings
        self._jobs: deque[Job] = deque()
        self._current: Job | None = None
        self._pace = Pace()
        self._in_flight = 0
        self._lease_until, self._lapses = 0.0, 0
        self._free = threading.Condition()
        self._loop: LoopExecutor | None = None
        self._threads: ThreadExecutor | None = None
        self._last: tuple[str, float] | None = None
        self._kind: tuple[Function, bool] | None = None
        self._setbacks = 0
        #: Short calls have run after which nothing was looked at.
        self._unlooked = False
        #: The last wait was for an entry that was not there yet: others are not likely to wait behind it.
        self._alone = False
        self._came_at = 0.0
        self._interrupts = Interrupts(self._slot, self._note_order)
        self._surroundings = Surroundings(self._interrupts.handlers())
        self._connect(settings, number)

    def _connect(self, settings: ChildSettings, number: int) -> None:
        connection = settings.connection
        keys = Keys(connection.namespace)
        codec = Codec(Sealer(Keyring(connection.keys), connection.namespace))
        self._link = Link(connection.url, connection.address)
        self._telling = telling = Link(connection.url, connection.address)
        consumer = f"{settings.worker}/{number}"
        self._taking = Delivery(self._link, keys, consumer, settings.addresses, self._left_out)
        self._store = Store(telling, keys)
        self._permits = Permits(telling, keys)
        telling_delivery = Delivery(telling, keys, consumer, settings.addresses)
        self._giving = telling_delivery
        self._reporter = Reporter(codec, telling_delivery, settings.name, self._server_now, self._tick)
        self._revocations = Revocations(
            self._store.states, Revoked(self._store.standing, codec), self._reporter, self._interrupts
        )
        # A call must not fail because the broker was away for a moment.
        functions = Functions(codec, lambda digest: self._retrying(lambda: self._store.function(digest)))
        self._consumer = Consumer(
            self._taking,
            Revoked(self._standing, codec),
            codec,
            functions,
            self._reporter,
            self._server_now,
            self._slot,
            lambda name: self._bench.files is not None and self._bench.files.has(name),
            # Half a lease at most: a dead machine's open wait, or a frozen one's, is over when it is reaped.
            round(min(self._link.block_s, settings.options.lease_s / 2) * 1000),
            Doubts(
                telling_delivery,
                Fleet(telling, keys),
                Revoked(self._standing, codec),
                codec,
                settings.name,
                self._server_now,
            ),
        )
        self._bench = Bench(
            settings.name,
            self._reporter,
            Shelf(keys.blob, lambda key, target: self._retrying(lambda: self._store.blob(key, target))),
            LOGGER.isEnabledFor(20),
        )
        self._descriptors = settings.outputs[number]
        self._inline = InlineExecutor(
            self._bench, self._slot, self._roster, self._interrupts, self._descriptors, self._surroundings
        )

    # -- life

    def run(self) -> None:
        """Work until told to stop."""
        self._set_up_process()
        self._retrying(self._taking.prepare)
        # Not before: the server may have been started after the worker.
        connection = self._settings.connection
        self._bench.use_files(ValueFiles.beside(connection.url, connection.namespace, last=True))
        self._reporter.start()
        try:
            while not self._interrupts.stopping and not self._has_done_its_share():
                try:
                    self._round()
                    self._setbacks = 0
                except OperationalError as error:
                    self._recover(error)
        except Stopping:
            pass
        self._leave()

    def _set_up_process(self) -> None:
        random.seed()
        self._slot.clear()
        self._slot.enter(os.getpid())
        set_name(f"Child-{self._slot.number}")
        self._descriptors.redirect()
        faulthandler.enable(2)
        streams.install()
        keyboard.install()
        mainspace.install()
        self._surroundings.install()
        nested.install()
        expect_copies(self._interrupts.handlers(), self._forsake)
        # While Python runs in the main thread, other threads get their turn after so many seconds.
        sys.setswitchinterval(0.001)
        end_with(self._settings.life_line)
        threading.Thread(target=self._watch_life_line, name="nbtasks-life-line", daemon=True).start()
        connection = self._settings.connection
        context.serving.append(context.Serving(connection, self._slot, self._settings.worker))
        ancestry.tell_children(place(connection.address, connection.namespace))

    def _forsake(self) -> None:
        """In a forked copy: let go of the connections. Else they would stay open as long as it lives."""
        self._link.forsake()
        self._telling.forsake()
        if self._loop is not None:
            self._loop.forsake()

    def _watch_life_line(self) -> None:
        """End with the supervisor: nobody would give back what this child holds."""
        while True:
            try:
                if not os.read(self._settings.life_line, 1):
                    break
            except OSError:
                break
        # The system has done it already, where it can: while C code keeps the interpreter's lock this is too late.
        kill_tree(os.getpid())

    def _has_done_its_share(self) -> bool:
        if self._surroundings.spoiled or self._inline.ended_processes:
            return True
        most_calls, most_kib = self._options.max_tasks_per_child, self._options.max_memory_per_child
        if most_calls is not None and self._slot.done >= most_calls:
            return True
        if self._loop is not None and self._loop.is_spent:
            return True
        return most_kib is not None and self._slot.done > 0 and resident_bytes(os.getpid()) > most_kib * 1024

    def _leave(self) -> None:
        """Let running calls end, give back the rest, tell everything."""
        self._drop_unstarted(None)
        with self._free:
            while self._in_flight:
                self._free.wait(1.0)
        self._tell_everything()
        self._reporter.close()

    def _tell_everything(self) -> bool:
        deadline = time.monotonic() + _LAST_WORDS_S
        while not self._reporter.try_flush():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def _replace_at_once(self, blameless: bool) -> None:
        """End without waiting for what runs here: its event loop has stopped for good.

        Args:
            blameless: who was to blame has been told already; what is held goes to others, uncharged.
        """
        if self._tell_everything() and blameless:
            # What must not run twice and may have begun is on the roster.
            self._slot.set_state(IDLE, 0)
            self._slot.end_opening()
        os._exit(_LOOP_IS_LOST)

    # -- one round

    def _round(self) -> None:
        """Get work if there is none in hand, and run one job."""
        if self._loop is not None or self._threads is not None:
            # What runs beside this thread may change it, too.
            self._surroundings.restore(0.0 if self._jobs else math.inf, alone=not self._in_flight)
        if not self._jobs:
            # What the supervisor says of the last call is about what was in hand then, not about what comes now.
            self._heeded = self._slot.serial
            # Behind a call that took a while others may wait, and in order of priority.
            self._alone = self._alone and time.monotonic() - self._came_at < _ALONE_FOR_S
            if not self._alone:
                self._reporter.flush()
                self._look_after_calls()
            self._hand.clear()
            self._jobs.extend(self._next_jobs())
            if self._surroundings.spoiled:
                # Others run them.
                return
            if len(self._jobs) > 1 or (self._jobs and self._jobs[0].remaining > 1):
                self._hand.hold(self._jobs)
        try:
            job = self._jobs.popleft()
        except IndexError:
            # Nothing came, or the reporter's thread has given it to somebody who is free.
            return
        else:
            self._current = job
            self._hand.begin()
            try:
                self._keep_what_is_ours()
                self._work(job)
            except OperationalError:
                if job.remaining:
                    self._jobs.appendleft(job)
                    self._hand.hold(self._jobs)
                raise
            finally:
                self._current = None
                self._reporter.skipped_if_empty(job)

    def _next_jobs(self) -> list[Job]:
        self._await_slot()
        busy = self._in_flight or self._reporter.pending
        self._slot.set_state(CONCURRENT if busy else IDLE, self._in_flight)
        self._revocations.follow(self._in_hand())
        if not (self._alone and self._consumer.is_sure):
            jobs = self._consumer.take(self._pace.most_entries(*self._last) if self._last else 1)
            if jobs or self._reporter.pending:
                return jobs
        return self._consumer.opened(self._wait())

    def _wait(self) -> list[Entry]:
        """Wait for entries. While they come one by one, the results go out with the wait, in one write."""
        self._slot.publish()
        tell_along, began = self._alone, time.monotonic()
        # Until it has come back, nothing is known about what the broker has been told.
        self._alone = False
        on_told = self._note_told if tell_along else None
        entries = self._interrupts.while_waiting(lambda: self._consumer.wait(on_told))
        self._came_at = time.monotonic()
        if entries:
            self._note_stray()
        self._alone = self._came_at - began > _ALONE_AFTER_S and self._options.pool != "threads"
        return entries

    def _note_told(self) -> None:
        if not self._in_flight:
            self._slot.set_state(IDLE, 0)
        try:
            self._look_after_calls()
        except Exception as error:
            # Here it would pass for an error of the connection. It comes again before the next call.
            LOGGER.debug("put off once more: %s", name_of(error))

    def _note_order(self) -> None:
        self._revocations.note()

    def _in_hand(self) -> list[Job]:
        current = self._current
        return [*self._jobs, current] if current is not None else list(self._jobs)

    def _work(self, job: Job) -> None:
        self._look_after_calls()
        self._last = (job.chunk.function, job.remaining)
        if self._is_async(job.function):
            if self._loop is None:
                self._surroundings.restore(0.0, alone=not self._in_flight)
                worlds.expect_calls_side_by_side()
                self._loop = LoopExecutor(
                    self._bench, self._roster, self._freed, self._note_room, self._replace_at_once
                )
                self._revocations.stoppers.append(self._loop)
            self._spread(job, self._loop.submit, self._loop.slots)
        elif self._options.pool == "threads":
            if self._threads is None:
                worlds.expect_calls_side_by_side()
                self._threads = ThreadExecutor(self._bench, self._roster, self._options.threads, self._freed)
                self._revocations.stoppers.append(self._threads)
            self._spread(job, self._threads.submit, self._options.threads)
        else:
            self._work_inline(job)

    def _is_async(self, function: Function) -> bool:
        """Whether calls of a function belong into the event loop; most often it is the same one as before."""
        if self._kind is None or self._kind[0] is not function:
            self._kind = (function, is_async(function.call))
        return self._kind[1]

    def _work_inline(self, job: Job) -> None:
        function, claim = job.chunk.function, self._claims_of(job)
        self._slot.set_state(BUSY, 1)
        began = time.monotonic()
        while not self._interrupts.stopping:
            if self._revocations.due:
                self._revocations.follow(self._in_hand())
            if steady() >= self._lease_until:
                self._keep_what_is_ours()
            said = self._hand.said_of(self._slot.serial)
            index = claim() if said == NOTHING or self._may_go_on(job, said) else None
            if index is None:
                return
            seconds = self._inline.run(job, index)
            # After the last one, too: its result goes out first.
            looked = self._surroundings.restore(seconds, may_wait=True, alone=not self._in_flight)
            self._unlooked = not looked
            if looked:
                self._descriptors.hold()
            self._pace.note(function, seconds)
            if job.header.at_most_once:
                # Who dies with an untold result leaves a call that looks as if it had not been run.
                self._retrying(self._reporter.flush)
            self._slot.end()
            now = time.monotonic()
            if now - self._reporter.last_flush > _FLUSH_EVERY_S:
                self._reporter.try_flush()
                if job.remaining > 1 and now - began > _FLUSH_EVERY_S:
                    self._share(job)
            if (looked or self._is_limited) and self._has_done_its_share():
                self._drop_unstarted(job)
                return
            if job.next >= job.end:
                return

    def _look_after_calls(self) -> None:
        """Put back what short calls have changed, where that was put off."""
        if self._unlooked:
            self._surroundings.restore(0.0, alone=not self._in_flight)
            self._descriptors.hold()
            self._unlooked = False

    def _claims_of(self, job: Job) -> Callable[[], int | None]:
        """Return what claims the calls of a job, of which as many are kept as are worth it."""
        if job.options.rate_limit is not None:
            return self._permitted(job, self._pace.most_permits(job.chunk.function, job.remaining))
        if job.remaining > 1:
            self._share(job)
        return job.claim

    def _keep_what_is_ours(self) -> None:
        """Start nothing without a lease: after a long pause others may have been given what is in hand."""
        if steady() < self._lease_until:
            return
        until, lapses = self._slot.lease()
        while steady() >= until:
            if self._interrupts.stopping:
                return
            time.sleep(_LEASE_POLL_S)
            until, lapses = self._slot.lease()
        self._lease_until = until
        if lapses == self._lapses:
            return
        self._lapses = lapses
        for job in self._retrying(lambda: self._consumer.no_longer_held(self._in_hand())):
            LOGGER.warning("batch %s: %d call(s) were given to others", job.entry.batch, job.remaining)
            job.drop()

    def _may_go_on(self, job: Job, said: int) -> bool:
        """Let go of what the supervisor has given to others while this process was deaf; False when it shall stop.

        Args:
            said: what the supervisor has said about the last call.
        """
        serial = self._slot.serial
        if serial == self._heeded:
            return True
        while said == ASKED:
            if self._interrupts.stopping:
                return False
            time.sleep(_HEED_POLL_S)
            said = self._hand.said_of(serial)
        if said == GIVEN:
            self._heeded = serial
            self._let_go(job)
        return True

    def _let_go(self, job: Job) -> None:
        """Start nothing of what was given to others; what has come into these hands since then stays."""
        waiting: list[Job] = []
        # Taken out at once: the reporter's thread may be about to give the last of them away, too.
        while self._jobs:
            waiting.append(self._jobs.popleft())
        gone = self._retrying(lambda: self._consumer.no_longer_held([job, *waiting]))
        if not job.is_untouched or job in gone:
            with job.giving:
                job.drop()
        for one in waiting:
            if one in gone:
                self._reporter.disown(one.entry)
            else:
                self._jobs.append(one)
        self._hand.hold([job, *self._jobs], begun=1)

    def _share(self, job: Job) -> None:
        """Keep as many calls as are worth keeping, and give the others away."""
        keep = self._pace.keep(job.chunk.function, job.remaining)
        if keep < job.remaining:
            self._give_rest(job, keep)

    def _permitted(self, job: Job, most: int) -> Callable[[], int | None]:
        """Return what claims the calls of a job whose task has a rate limit.

        Args:
            most: calls that could start soon.
        """
        assert job.options.rate_limit is not None

        def take(limit: str, every_s: float, most: int, in_hand: int, address: str) -> Grant:
            return self._retrying(lambda: self._permits.take(limit, every_s, most, in_hand, address))

        return Permitted(job, job.options.rate_limit, most, take, self._put_aside, self._pause).claim

    def _pause(self, until: float) -> bool:
        """Sleep until a call may start; False where none shall any more."""
        rest_s = until - time.monotonic()
        if rest_s > 0:
            if rest_s > _TELL_BEFORE_S:
                self._reporter.try_flush()
            time.sleep(max(0.0, until - time.monotonic()))
            if self._revocations.due:
                self._revocations.follow(self._in_hand())
            self._keep_what_is_ours()
        return not self._interrupts.stopping

    def _put_aside(self, job: Job, keep: int, delay_s: float, limit: str) -> None:
        """Keep as many calls as have a permit; the others come again, uncharged, when the next ones may start."""
        due_ms = round((self._server_now() + delay_s) * 1000)
        aside = Aside(job.header.lane, due_ms, limit)
        if keep or not job.is_untouched:
            self._give_rest(job, keep, aside)
        else:
            self._give_all(job, aside)

    def _give_all(self, job: Job, aside: Aside) -> None:
        """Put a job aside that was not begun, and be rid of its entry in the same step."""
        with job.giving:
            # Nobody acknowledges it any more: it is over with the gift.
            job.given_up = True
            piece = job.cut(0)
            if piece is not None:
                entry = job.entry
                self._retrying(
                    lambda: self._giving.give(entry, [(*piece, entry.attempt)], end=sum(piece), aside=aside)
                )
                self._reporter.disown(entry)
                if job is self._current:
                    self._hand.cut(job)

    def _give_rest(self, job: Job, keep: int, aside: Aside | None = None) -> None:
        with job.giving:
            # Until the broker has the piece, nobody may acknowledge the entry: the piece would be lost with it.
            job.given_up = True
            piece = job.cut(keep)
            if piece is not None:
                entry = job.entry
                kept = (entry.first, job.end - entry.first)
                self._retrying(
                    lambda: self._giving.give(entry, [(*piece, entry.attempt)], kept, sum(piece), aside)
                )
                if job is self._current:
                    self._hand.cut(job)
            job.given_up = False
        self._reporter.skipped_if_empty(job)

    def _spread(self, job: Job, submit: Callable[[Job, int], None], slots: int) -> None:
        """Start as many calls as there are free slots; the others are for whoever has some."""
        started = 0
        # Those that run beside this thread may have changed it while it waited.
        self._surroundings.restore(0.0, alone=not self._in_flight)
        if not self._in_flight:
            self._descriptors.hold()
        with self._free:
            free = max(1, slots - self._in_flight)
        claim = job.claim if job.options.rate_limit is None else self._permitted(job, free)
        while started < free:
            index = claim()
            if index is None:
                break
            with self._free:
                self._in_flight += 1
            started += 1
            submit(job, index)
        self._slot.set_state(CONCURRENT, self._in_flight)
        if job.remaining:
            self._give_rest(job, 0)

    def _await_slot(self) -> None:
        """Wait until a call may be started: calls in threads or in the loop leave room."""
        with self._free:
            while self._in_flight >= self._most_in_flight() and not self._interrupts.stopping:
                self._free.wait(0.5)
        if self._interrupts.stopping:
            raise Stopping

    def _most_in_flight(self) -> int:
        if self._options.pool == "threads":
            return self._options.threads
        return ASYNC_SLOTS if self._loop is None else self._loop.slots

    def _note_room(self) -> None:
        with self._free:
            self._free.notify_all()

    def _freed(self) -> None:
        with self._free:
            self._in_flight -= 1
            self._slot.done += 1
            # Not IDLE before its result is told: it must not look as if it had not been run.
            self._slot.set_state(CONCURRENT, self._in_flight)
            self._free.notify_all()
        self._reporter.wake()

    def _tick(self) -> None:
        """Look at running calls, on the reporter's thread."""
        if self._revocations.due:
            self._revocations.follow(self._in_hand())
        self._check_thread_limits()
        self._descriptors.trim()
        if self._in_flight:
            # Nobody can tell which of the concurrent calls wrote this.
            self._note_stray()
        running = self._slot.running()
        if running is not None and time.monotonic() - running.started > _SHARE_AFTER_S:
            self._give_unstarted()

    def _note_stray(self) -> None:
        """Log what was written to the descriptors, since nobody can tell by which call."""
        stray = self._descriptors.take()
        if stray:
            LOGGER.info("output that belongs to no single call: %s", stray.rstrip())

    def _check_thread_limits(self) -> None:
        if self._threads is None:
            return
        now = time.monotonic()
        for call, since in self._reporter.running():
            limit, soft = call.time_limit, call.soft_time_limit
            if soft and now - since > soft:
                self._threads.warn(call)
            if limit and now - since > limit:
                self._threads.stop(call, hard_limit_exceeded(call, limit))

    def _give_unstarted(self) -> None:
        """The running call takes long: nothing in hand shall wait for it."""
        job = self._current
        try:
            if job is not None and job.remaining:
                self._give_rest(job, 0)
            while self._jobs:
                self._give_whole(self._jobs.pop())
                self._hand.drop_last()
        except IndexError:
            return
        except OperationalError as error:
            log_trouble("calls are kept until the broker answers again", error)

    def _give_whole(self, job: Job) -> None:
        """Give back a job that was not begun; it stays in hand when the broker does not answer."""
        try:
            self._giving.give(job.entry, [(job.next, job.remaining, job.entry.attempt)], end=job.end)
        except OperationalError:
            self._jobs.append(job)
            raise
        self._reporter.disown(job.entry)

    def _drop_unstarted(self, current: Job | None) -> None:
        """Give everything back that is not started."""
        if current is not None and current.remaining:
            self._give_rest(current, 0)
        while self._jobs:
            self._retrying(lambda: self._give_whole(self._jobs.popleft()))

    # -- the broker

    def _left_out(self, address: Address, batch: str, frame: bytes) -> None:
        self._consumer.left_out(address, batch, frame)

    def _standing(self, batch: str, first: int, count: int) -> tuple[bytes, dict[int, bytes]]:
        return self._retrying(lambda: self._store.standing(batch, first, count))

    def _server_now(self) -> float:
        """Return the server's time, as the supervisor reckons it."""
        while not (offset := self._slot.clock_offset()):
            if self._interrupts.stopping:
                raise Stopping
            time.sleep(_LEASE_POLL_S)
        return steady() + offset

    def _retrying(self, action: Callable[[], T]) -> T:
        """Do something with the broker, again and again until it answers."""
        tries = 0
        while True:
            try:
                return action()
            except OperationalError as error:
                if self._interrupts.stopping:
                    raise Stopping from error
                tries += 1
                delay = _BETWEEN_TRIES.after(tries)
                log_trouble(f"trying again in {delay:.1f} s", error)
                time.sleep(delay)

    def _recover(self, error: OperationalError) -> None:
        """After a lost connection: take up what the lost reply had brought."""
        log_trouble("what was in flight is looked for", error)
        self._setbacks += 1
        time.sleep(_AFTER_SETBACK.after(self._setbacks))
        self._retrying(self._reporter.flush)
        self._jobs.extend(self._retrying(self._consumer.audit))


__all__ = ["Child", "ChildSettings", "Entry", "child_main"]
