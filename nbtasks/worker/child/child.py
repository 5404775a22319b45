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
import time
from collections.abc import Callable

from nbtasks.broker.verbs.consumers import consumer_of
from nbtasks.broker.verbs.entry import Entry
from nbtasks.core import ancestry, context
from nbtasks.core.address import Address
from nbtasks.core.backoff import Backoff
from nbtasks.core.clock import steady
from nbtasks.core.errors import OperationalError
from nbtasks.core.readable import name_of
from nbtasks.local.connection import place
from nbtasks.local.server.valuefiles import ValueFiles
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.kinds import mainspace
from nbtasks.wire.signing import Keyring
from nbtasks.wire.values import Shelf
from nbtasks.worker import tasklog
from nbtasks.worker.executing import keyboard, nested
from nbtasks.worker.executing.bench import Bench
from nbtasks.worker.executing.executor import InlineExecutor
from nbtasks.worker.executing.interrupts import Interrupts, Stopping
from nbtasks.worker.executing.sidebyside import SideBySide
from nbtasks.worker.isolation import streams
from nbtasks.worker.isolation.assignments import restore_builtins
from nbtasks.worker.isolation.copies import expect_copies
from nbtasks.worker.isolation.surroundings import Surroundings
from nbtasks.worker.jobs.bell import Bell
from nbtasks.worker.jobs.chronicle import Chronicle
from nbtasks.worker.jobs.composing import Composer
from nbtasks.worker.jobs.doubts import Doubts
from nbtasks.worker.jobs.givenlimits import GivenLimits
from nbtasks.worker.jobs.hand import NOTHING
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.pace import Pace
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.jobs.revokedrunning import RevokedRunning
from nbtasks.worker.jobs.runningcalls import RunningCalls
from nbtasks.worker.log import LOGGER, log_trouble, set_name
from nbtasks.worker.memory import resident_bytes
from nbtasks.worker.seats import Seat
from nbtasks.worker.slots import BUSY, CONCURRENT, IDLE

from .aftercare import Aftercare
from .arrivals import Arrivals
from .brokerlines import BrokerLines
from .childsettings import ChildSettings
from .claims import Claims
from .consumer import Consumer
from .crew import Crew
from .giving import Giving
from .inhand import InHand
from .lifeline import end_with
from .locksofcalls import LocksOfCalls
from .lockwatch import LockWatch, end_process
from .pausing import Pausing
from .refusing import Refusing
from .stopping import Revocations
from .tenure import Tenure
from .unpacking import Unpacking
from .unrun import Unrun

_FLUSH_EVERY_S = 0.02
#: Rests after the broker has failed, until it works again.
_AFTER_SETBACK = Backoff(0.05, 1.0)
#: Entries that are taken at once for threads that are free.
_MOST_BESIDE = 8
#: A running call that takes longer than this keeps nobody else waiting: what is not started is given to others.
_SHARE_AFTER_S = 0.1
#: Seconds to tell what has ended before the process goes.
_LAST_WORDS_S = 10.0
#: Exit code of a child whose event loop does not go on, or that cannot run calls beside its main thread.
_LOOP_IS_LOST = 70


def child_main(settings: ChildSettings, number: int, life_line: int) -> None:
    """Run a child in seat ``number`` until it is told to stop, has done its share, or its life line ends."""
    Child(settings, settings.seats[number]).run(life_line)


class Child:
    """One child process."""

    def __init__(self, settings: ChildSettings, seat: Seat) -> None:
        self._options = options = settings.options
        #: Whether each call may be its last one.
        self._is_limited = bool(options.max_tasks_per_child or options.max_memory_per_child)
        self._slot = seat.slot
        self._settings = settings
        self._jobs = InHand(seat.hand)
        self._pace = Pace()
        self._last: tuple[str, float] | None = None
        self._setbacks = 0
        self._arrivals = Arrivals()
        self._interrupts = Interrupts(self._slot, lambda: self._revocations.note())  # noqa: PLW0108 - not made yet
        self._aftercare = Aftercare(Surroundings(self._interrupts.handlers()), seat.output)
        self._connect(settings, seat)

    def _connect(self, settings: ChildSettings, seat: Seat) -> None:
        connection = settings.connection
        codec = Codec(Sealer(Keyring(connection.keys), connection.namespace))
        consumer = consumer_of(settings.worker, seat.number)
        _, notice = settings.board.read()
        self._jobs.shown.know(notice.addresses)
        self._lines = lines = BrokerLines(
            connection, notice.taken_from, consumer, self._slot, self._interrupts, self._left_out
        )
        bell, entries = Bell(), self._jobs.entries
        running = RunningCalls(bell, seat.arguments.note)
        who = codec, settings.name, seat.number, lines.server_now
        composer = Composer(*who, Chronicle(*who, seat.counts.write))
        self._reporter = Reporter(lines.giving, composer, running, entries, bell, self._tick, self._mend)
        revoked = RevokedRunning(lines.store.standing, codec)
        self._revocations = Revocations(
            lines.store.states, revoked, self._reporter, running, self._interrupts
        )
        self._refusing = Refusing(codec, self._reporter)
        unpacking = Unpacking(
            codec,
            lines,
            self._slot,
            entries,
            lambda name: self._bench.files is not None and self._bench.files.has(name),
            Doubts(
                lines.giving,
                lines.free.fleet(),
                RevokedRunning(lines.standing, codec),
                codec,
                settings.name,
                lines.server_now,
            ),
            GivenLimits(settings.board),
            self._refusing,
            Unrun(self._reporter),
        )
        # Half a lease at most: a dead machine's open wait, or a frozen one's, is over when it is reaped.
        block_ms = round(min(lines.waiting.block_s, settings.options.lease_s / 2) * 1000)
        self._consumer = Consumer(lines, entries, self._reporter, unpacking, block_ms)
        self._giving = Giving(lines, self._jobs, self._reporter, self._pace)
        self._tenure = Tenure(self._slot, self._jobs, self._interrupts, self._consumer, lines)
        watch = LockWatch(self._slot, running, settings.options.lease_s, self._revocations.stop, lines.locks)
        self._locks = LocksOfCalls(lines, self._slot, self._jobs, self._giving, watch)
        pausing = Pausing(self._reporter, self._interrupts, self._revocations, self._jobs, self._tenure)
        self._claims = Claims(lines, self._giving, self._pace, pausing, self._locks)
        self._make_executors(settings, seat.roster, running)

    def _make_executors(self, settings: ChildSettings, roster: SideBySide, running: RunningCalls) -> None:
        self._bench = Bench(
            settings.name, self._reporter, running, Shelf(self._lines.blobs.key, self._lines.blob),
            LOGGER.isEnabledFor(20), tasklog.printed_lines(settings.options), end_process,
        )  # fmt: skip
        self._inline = InlineExecutor(
            self._bench,
            self._slot,
            roster,
            self._interrupts,
            self._aftercare.descriptors,
            self._aftercare.surroundings,
        )
        self._crew = Crew(
            settings.options,
            self._bench,
            roster,
            self._slot,
            self._reporter,
            running,
            self._interrupts,
            self._revocations,
            self._replace_at_once,
        )

    # -- life

    def run(self, life_line: int) -> None:
        """Work until told to stop; the process ends with its life line."""
        self._set_up_process(life_line)
        self._lines.retrying(self._lines.taking.prepare)
        # Not before: the server may have been started after the worker.
        connection = self._settings.connection
        self._bench.use_files(ValueFiles.beside(connection.url, connection.namespace, last=True))
        self._reporter.start()
        self._settings.signals.ready(self._slot.number)
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

    def _set_up_process(self, life_line: int) -> None:
        random.seed()
        self._slot.clear()
        self._slot.enter(os.getpid())
        set_name(f"Child-{self._slot.number}")
        self._aftercare.descriptors.redirect()
        faulthandler.enable(2)
        streams.install()
        keyboard.install()
        mainspace.install()
        self._interrupts.hear()
        # Before that: what they set up is not put back after calls.
        self._settings.signals.process_begins()
        self._aftercare.surroundings.install()
        nested.install()
        expect_copies(self._interrupts.handlers(), self._forsake)
        # While Python runs in the main thread, other threads get their turn after so many seconds.
        sys.setswitchinterval(0.001)
        end_with(life_line)
        connection = self._settings.connection
        include = self._options.include
        context.serving.append(
            context.Serving(
                connection,
                self._slot,
                self._settings.worker,
                include,
                self._lines.giving.consumer,
                self._locks.watch,
            )
        )
        ancestry.tell_children(place(connection.address, connection.namespace))

    def _forsake(self) -> None:
        """In a forked copy: let go of what would stay open as long as it lives."""
        self._lines.forsake()
        self._crew.forsake()

    def _has_done_its_share(self) -> bool:
        if self._aftercare.surroundings.spoiled or self._inline.ended_processes:
            return True
        most_calls, most_kib = self._options.max_tasks_per_child, self._options.max_memory_per_child
        if most_calls is not None and self._slot.done >= most_calls:
            return True
        if self._crew.is_spent:
            return True
        return most_kib is not None and self._slot.done > 0 and resident_bytes(os.getpid()) > most_kib * 1024

    def _leave(self) -> None:
        """Let running calls end, give back the rest, tell everything."""
        with self._settings.signals.process_ends(self._slot.number, self._interrupts.stopping):
            self._giving.drop_unstarted(None)
            self._crew.await_end()
            self._tell_everything()
        self._reporter.close()

    def _tell_everything(self) -> bool:
        deadline = time.monotonic() + _LAST_WORDS_S
        while not self._reporter.last_words():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def _replace_at_once(self, blameless: bool) -> None:
        """End without waiting for what runs here: its event loop has stopped for good, or calls cannot be run.

        Args:
            blameless: who was to blame has been told already; what is in hand goes to others, uncharged.
        """
        try:
            # What follows needs them, and perhaps it is their fault.
            restore_builtins()
            if self._tell_everything() and blameless:
                # What must not run twice and may have begun is on the roster.
                self._slot.set_state(IDLE, 0)
                self._slot.end_opening()
        finally:
            os._exit(_LOOP_IS_LOST)

    # -- one round

    def _round(self) -> None:
        """Get work if there is none in hand, and run one job."""
        if self._crew.is_made:
            # What runs beside this thread may change it, too.
            self._aftercare.surroundings.restore(
                0.0 if self._jobs.waiting else math.inf, alone=not self._crew.at_work
            )
        if self._jobs.waiting or self._get_work():
            self._run_next()

    def _get_work(self) -> bool:
        """Get work; returns False where others are to run what has come."""
        self._tenure.heed_from_now()
        if not self._arrivals.look():
            self._reporter.flush()
            self._look_after_calls()
        self._jobs.shown.clear()
        self._jobs.waiting.extend(self._next_jobs())
        if self._aftercare.surroundings.spoiled:
            # Others run them.
            return False
        if len(self._jobs.waiting) > 1 or (self._jobs.waiting and self._jobs.waiting[0].remaining > 1):
            self._jobs.shown.show(self._jobs.waiting)
        return True

    def _run_next(self) -> None:
        try:
            job = self._jobs.waiting.popleft()
        except IndexError:
            # Nothing came, or the reporter's thread has given it to somebody who is free.
            return
        self._jobs.current = job
        self._jobs.shown.begin()
        try:
            self._tenure.keep_what_is_ours()
            self._work(job)
        except OperationalError:
            if job.remaining:
                self._jobs.waiting.appendleft(job)
                self._jobs.shown.show(self._jobs.waiting)
            raise
        finally:
            self._jobs.current = None
            self._reporter.skipped_if_empty(job)

    def _next_jobs(self) -> list[Job]:
        self._crew.await_slot()
        busy = self._crew.in_flight or self._reporter.pending
        self._slot.set_state(CONCURRENT if busy else IDLE, self._crew.in_flight)
        self._revocations.follow(self._jobs.all())
        if not (self._arrivals.one_by_one and self._consumer.is_sure):
            jobs = self._consumer.take(self._most_entries())
            if jobs or self._reporter.pending:
                return jobs
        return self._consumer.opened(self._wait())

    def _most_entries(self) -> int:
        if self._last is None:
            return 1
        if self._options.pool != "threads":
            return self._pace.most_entries(*self._last)
        # A few, so that other children have as many calls as this one.
        free = self._crew.free_of(self._options.threads)
        return max(1, min(_MOST_BESIDE, int(free / max(1, self._last[1]))))

    def _wait(self) -> list[Entry]:
        """Wait for entries. While they come one by one, the results go out with the wait, in one write."""
        self._slot.publish()
        # Until it has come back, nothing is known about what the broker has been told.
        tell_along, began = self._arrivals.forget(), time.monotonic()
        on_told = self._note_told if tell_along else None
        entries = self._interrupts.while_waiting(lambda: self._consumer.wait(on_told))
        self._arrivals.note(began, self._options.pool != "threads")
        if entries:
            self._note_stray()
        return entries

    def _note_told(self) -> None:
        if not self._crew.in_flight:
            self._slot.set_state(IDLE, 0)
        try:
            self._look_after_calls()
        except Exception as error:
            # Here it would pass for an error of the connection. It comes again before the next call.
            LOGGER.debug("put off once more: %s", name_of(error))

    def _work(self, job: Job) -> None:
        self._look_after_calls()
        self._last = (job.chunk.function, job.remaining)
        if self._crew.is_for_loop(job.function):
            if not self._crew.has_loop:
                self._aftercare.surroundings.restore(0.0, alone=not self._crew.at_work)
            loop = self._crew.loop()
            self._spread(job, loop.submit, loop.slots)
        elif self._options.pool == "threads":
            self._spread(job, self._crew.threads().submit, self._options.threads)
        else:
            self._work_inline(job)

    def _work_inline(self, job: Job) -> None:
        function, claim = job.chunk.function, self._claims.one_by_one(job)
        self._slot.set_state(BUSY, 1)
        began = time.monotonic()
        while not self._interrupts.stopping:
            if self._revocations.due:
                self._revocations.follow(self._jobs.all())
            if steady() >= self._tenure.until:
                self._tenure.keep_what_is_ours()
            said = self._jobs.shown.said_of(self._slot.serial)
            index = claim() if said == NOTHING or self._tenure.may_go_on(job, said) else None
            if index is None:
                return
            seconds = self._inline.run(job, index)
            # After the last one, too: its result goes out first.
            looked = self._aftercare.after(seconds, alone=not self._crew.at_work)
            self._pace.note(function, seconds)
            if job.tells_at_once:
                # Who dies with an untold result leaves a call that looks as if it had not been run.
                self._lines.retrying(self._reporter.flush)
                self._locks.watch.over(self._crew.in_flight)
            self._slot.end()
            now = time.monotonic()
            if now - self._reporter.last_flush > _FLUSH_EVERY_S:
                self._reporter.try_flush()
                if job.remaining > 1 and now - began > _FLUSH_EVERY_S:
                    self._giving.share(job)
            if (looked or self._is_limited) and self._has_done_its_share():
                self._giving.drop_unstarted(job)
                return
            if job.next >= job.end:
                return

    def _look_after_calls(self) -> None:
        """Put back what short calls have changed, where that was put off."""
        self._aftercare.catch_up(alone=not self._crew.at_work)

    def _spread(self, job: Job, submit: Callable[[Job, int], None], slots: int) -> None:
        """Start as many calls as there are free slots; the others are for whoever has some."""
        started = 0
        self._aftercare.before_beside(alone=not self._crew.at_work)
        free = self._crew.free_of(slots)
        claim = self._claims.held_up(job, free)
        while started < free:
            index = claim()
            if index is None:
                break
            self._crew.enter()
            started += 1
            submit(job, index)
        self._slot.set_state(CONCURRENT, self._crew.in_flight)
        if job.remaining:
            self._giving.give_rest(job, 0)

    def _tick(self) -> None:
        """Look at running calls, on the reporter's thread."""
        if self._revocations.due:
            self._revocations.follow(self._jobs.all())
        self._crew.check_limits()
        self._locks.watch.ask()
        self._aftercare.descriptors.trim()
        if self._crew.in_flight:
            # Nobody can tell which of the concurrent calls wrote this.
            self._note_stray()
        running = self._slot.running()
        if running is not None and time.monotonic() - running.started > _SHARE_AFTER_S:
            self._giving.give_unstarted()

    def _mend(self) -> None:
        """Have built-in functions be there again, on the reporter's thread, which has failed.

        A call in the main thread has them for itself until it ends; of those side by side none may keep the others from
        being told.
        """
        if self._crew.in_flight or self._slot.running() is None:
            restore_builtins()

    def _note_stray(self) -> None:
        """Log what was written to the descriptors, since nobody can tell by which call."""
        stray = self._aftercare.descriptors.take()
        if stray:
            LOGGER.info("output that belongs to no single call: %s", stray.rstrip())

    # -- the broker

    def _left_out(self, address: Address, batch: str, frame: bytes) -> None:
        self._refusing.left_out(address, batch, frame)

    def _recover(self, error: OperationalError) -> None:
        """After a lost connection: take up what the lost reply had brought."""
        log_trouble("what was in flight is looked for", error)
        self._setbacks += 1
        time.sleep(_AFTER_SETBACK.after(self._setbacks))
        self._lines.retrying(self._reporter.flush)
        self._jobs.waiting.extend(self._lines.retrying(self._consumer.audit))
