"""Events of a namespace for who reads them here: each reader has a connection of its own."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from .unfolding import Unfolding

if TYPE_CHECKING:
    from nbtasks.broker.verbs.eventlog import EventLog
    from nbtasks.client.engines.brokered.session import Session
    from nbtasks.client.happened.event import Event
    from nbtasks.client.workerinfo import WorkerInfo


class StreamTap:
    """One reader's place in the stream.

    Args:
        end: ends the connection over which it is read.
    """

    def __init__(self, log: EventLog, unfolding: Unfolding, end: Callable[[], None]) -> None:
        self._log = log
        self._unfolding = unfolding
        # Who breaks off a loop over events seldom closes them.
        self._end = weakref.finalize(self, end)
        # The session has done so by then.
        self._end.atexit = False

    @property
    def missed(self) -> int:
        """How many entries were trimmed, or left out by who has noted them, before they were read."""
        return self._log.missed + self._unfolding.lost

    @property
    def refused(self) -> int:
        """How many entries were left out that are not signed with a key that is here, or make no sense."""
        return self._unfolding.refused

    @property
    def foreign(self) -> int:
        """How many entries were left out that are signed with keys that are not here."""
        return self._unfolding.foreign

    @property
    def is_behind(self) -> bool:
        """Whether there is more to read at once, as far as the last read has shown."""
        return self._log.behind

    def read(self, most_s: float) -> Iterator[Event]:
        """Return the next events, which are read now and verified one after another."""
        return chain.from_iterable(map(self._unfolding.events, self._log.read(most_s)))

    def close(self) -> None:
        """Read no more; who waits in another thread goes on at once."""
        self._end()


class Tapping:
    """Tells what happens in the namespace of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def usable(self) -> bool:
        """Whether the session is open, and belongs to this process."""
        return self._session.usable

    def now(self) -> float:
        """Return the server's time in epoch seconds."""
        return self._session.clock.now()

    def tap(self, since: float | None) -> StreamTap:
        """Return the events from some moment on; None: those that come from now on."""
        session = self._session
        line = session.new_line()
        end = partial(session.end_line, line)
        try:
            log = line.event_log()
            if since is None:
                log.begin_now()
            else:
                log.begin_at(since)
        except BaseException:
            end()
            raise
        return StreamTap(log, Unfolding(session.codec, session.keyring.ids, log.label), end)

    def workers(self) -> list[WorkerInfo]:
        """Return the workers that are there."""
        return self._session.roster.workers()
