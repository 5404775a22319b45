"""One thread that reads the session's event stream and feeds every batch.

A push is a hint, the store is the truth: after a lost connection, and now and then, the store is asked.

The question for the next events nearly always stands; who takes the answer is another matter. While the main thread
waits for something short, it does: handing a result over from one thread to another takes as long as all else that is
done with it. The listener's thread then stands aside for a moment.
"""

from __future__ import annotations

import contextlib
import threading
import time

from nbtasks.broker.brokererrors import NewsUnreadable, PlaceLost
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.sessionnews import Position, SessionEvent, SessionNews
from nbtasks.client.batches.registry import Registry
from nbtasks.client.engines.brokered.sending.outbox import Outbox
from nbtasks.core import context
from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import OperationalError

from .intake import Intake
from .reconciling import Reconciling
from .shield import Shield

#: For so long the broker waits for news where there are none, at most: then it is looked whether it has lost anything.
_BLOCK_S = 2.5
#: Seconds in which the answer to a question comes, or its connection is lost.
_ANSWER_S = 60.0
_RECONCILE_S = 10.0
_BETWEEN_TRIES = Backoff(0.05, 1.0)
#: Events. The server stops sending whole records to a client that leaves many unread.
_TRIM_EVERY = 200
#: Seconds for which the thread stands aside, again and again, as long as another one reads.
_ASIDE_S = 0.005
#: Seconds that another thread may read without a pause; an interrupt may have taken it away.
_TURN_S = 5.0


class Listener:
    """Reads events until closed.

    Args:
        line: events are read over it, and nothing else.
        events: reads them.
        dropping: drops them, over a connection on which no question stands.
        outbox: knows the session's current id.
    """

    def __init__(
        self,
        line: BrokerLine,
        events: SessionNews,
        dropping: SessionNews,
        outbox: Outbox,
        intake: Intake,
        reconciling: Reconciling,
        registry: Registry,
    ) -> None:
        self._line = line
        self._block_ms = round(min(_BLOCK_S, line.block_s) * 1000)
        self._events = events
        self._dropping = dropping
        self._outbox = outbox
        self._intake = intake
        self._reconciling = reconciling
        self._registry = registry
        self._closed = False
        #: The session that is read, and the last event of it that was taken in.
        self._reading: str = outbox.session
        self._after: Position | None = None
        self._untrimmed = 0
        self._reconciled_at = time.monotonic()
        #: Connections of the line when everything was as the store has it, and whether something may be amiss since.
        self._connections, self._broken = 0, False
        self._turn = threading.Lock()
        #: Whether another thread may read; the one that does, and since when; and whether one would have liked to.
        self._aside = False
        self._reader: int | None = None
        self._reader_since = 0.0
        self._wanted = False
        self._thread = threading.Thread(target=self._loop, name="nbtasks-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._closed = True
        self._line.abort()

    # -- on the thread that waits

    def read_here(self, most_s: float, eager: bool = False) -> bool:
        """Read once on the calling thread, which waits for something, for ``most_s`` seconds at most.

        Returns False, at once, where it cannot: it is left to the listener's thread then. An interrupt loses nothing
        at any point: what was read and not taken in is read again.

        Args:
            eager: as in :meth:`Channel.has_come`.
        """
        # Other threads may be stopped without a signal, as ours in workers are: no shield helps there.
        if threading.current_thread() is not threading.main_thread() or context.serving:
            return False
        try:
            if not self._take_turn():
                return False
            self._read_here(most_s, eager)
            return True
        except OperationalError:
            self._broken = True
            return False
        except Exception as error:
            self._note_failure(error)
            return False
        finally:
            # One step, so that it is done or not done; what is not done, the listener's thread does after a while.
            self._reader = None if self._reader == threading.get_ident() else self._reader

    def _take_turn(self) -> bool:
        self._wanted = True
        with self._turn:
            if not self._aside or self._reader is not None or not self._is_sound():
                return False
            self._reader_since = time.monotonic()
            self._reader = threading.get_ident()
        return True

    def _is_sound(self) -> bool:
        """Whether there is nothing to be done but to read."""
        return (
            not (self._broken or self._closed)
            and self._line.is_prompt
            and self._connections == self._line.connections
            and self._reading == self._outbox.session
        )

    def _read_here(self, most_s: float, eager: bool) -> None:
        # Not when the last answer was taken: now it is done while a worker is at work.
        self._ask()
        for part in self._parts(self._events.asked(most_s, eager) or []):
            whole = [self._intake.complete(event) for event in part]
            with Shield():
                self._broken = bool(self._intake.take_in(whole)) or self._broken
                self._note(part)
        self._trim_if_due()

    def _ask(self) -> None:
        self._events.ask(self._reading, self._after, self._block_ms)

    def _parts(self, events: list[SessionEvent]) -> list[list[SessionEvent]]:
        """Cut events into parts that are taken in together; large ones are fetched one by one."""
        if any(event.is_elsewhere for event in events):
            return [[event] for event in events]
        return [events] if events else []

    # -- on the thread of its own

    def _loop(self) -> None:
        failures = 0
        while not self._closed:
            try:
                if self._reading != self._outbox.session:
                    self._reading, self._after = self._outbox.session, None
                self._ask()
                self._keep_in_step()
                failures = 0
                self._read()
                if self._wanted and self._is_sound():
                    self._stand_aside()
            except OperationalError as error:
                self._broken = True
                if isinstance(error, PlaceLost):
                    self._after = None
                if isinstance(error, NewsUnreadable):
                    with contextlib.suppress(OperationalError):
                        self._begin_anew()
                if not self._closed:
                    failures += 1
                    time.sleep(_BETWEEN_TRIES.after(failures))
            except Exception as error:
                self._note_failure(error)
                time.sleep(1.0)

    def _note_failure(self, error: Exception) -> None:
        import logging

        self._broken = True
        logging.getLogger("nbtasks").error("events could not be taken in", exc_info=error)

    def _keep_in_step(self) -> None:
        """Ask the store about everything, where something may have been missed."""
        broken = self._broken or self._connections not in {0, self._line.connections}
        if broken or self._is_time_to_reconcile():
            connections, self._broken = self._line.connections, False
            self._reconciling.reconcile()
            self._reconciled_at, self._connections = time.monotonic(), connections

    def _is_time_to_reconcile(self) -> bool:
        return time.monotonic() - self._reconciled_at > _RECONCILE_S

    def _read(self) -> None:
        events = self._events.asked(_ANSWER_S)
        self._connections = self._connections or self._line.connections
        if not events:
            self._reconciling.look_for_gap()
            return
        for part in self._parts(events):
            doubtful = self._intake.take_in([self._intake.complete(event) for event in part])
            if doubtful:
                self._intake.look_up(doubtful)
            self._note(part)
        self._trim_if_due()

    def _note(self, events: list[SessionEvent]) -> None:
        self._after = events[-1].id
        self._untrimmed += len(events)

    def _begin_anew(self) -> None:
        """Nothing would be heard any more: somebody has written to the stream, and not one of us."""
        self._broken = True
        self._after = None
        self._dropping.drop(self._reading)

    def _trim_if_due(self) -> None:
        if self._untrimmed > _TRIM_EVERY and self._after is not None:
            self._untrimmed = 0
            self._dropping.trim(self._reading, self._after)

    def _stand_aside(self) -> None:
        """Leave the reading to the thread that waits, as long as it comes again and again."""
        self._aside = True
        # One that could not read a moment ago sleeps now.
        self._registry.announce()
        while not self._closed:
            self._wanted = False
            time.sleep(_ASIDE_S)
            with self._turn:
                if self._reader is not None and time.monotonic() - self._reader_since < _TURN_S:
                    continue
                if not self._wanted or not self._is_sound() or self._is_time_to_reconcile():
                    self._aside, self._reader, self._wanted = False, None, False
                    return
