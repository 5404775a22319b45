"""Start calls that need locks: not before they have all of them. A call that has to wait for one goes out of hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nbtasks.broker.redis.entry import Entry
from nbtasks.broker.redis.locks import Turn, call_name
from nbtasks.core.hold import Hold
from nbtasks.core.lock import Lock

from .job import Job

#: Asks the broker: entry, index of the call in it, lane that it comes back to, what is shown of it, locks.
Take = Callable[[Entry, int, str, str, Sequence[Lock]], Turn]


class LockedCalls:
    """Claims the call of one job when it has its locks.

    Args:
        claim: claims it then; None where it is not to start after all.
        lapses: returns how often the worker's lease has been gone so far.
        take: asks the broker.
        keep_one: gives away what is in the job besides the call that is next.
        gone: told that the call waits in a line, or that somebody else has it.
        held: told that the job has its locks.
        give_back: told that the call does not start with them.
    """

    def __init__(
        self,
        job: Job,
        claim: Callable[[], int | None],
        lapses: Callable[[], int],
        take: Take,
        keep_one: Callable[[Job], None],
        gone: Callable[[Job], None],
        held: Callable[[Job], None],
        give_back: Callable[[Job], None],
    ) -> None:
        self._job = job
        self._claim = claim
        self._lapses = lapses
        self._take = take
        self._keep_one = keep_one
        self._gone = gone
        self._held = held
        self._give_back = give_back
        self._begun = False

    def claim(self) -> int | None:
        """Return the index of the call, which has its locks and may start now; None where there is none."""
        job = self._job
        if self._begun or not job.to_run:
            return job.claim()
        if not self._ask():
            return None
        index = self._claim()
        self._begun = index is not None
        if index is None:
            self._give_back(job)
        return index

    def _ask(self) -> bool:
        job = self._job
        if job.remaining > 1:
            self._keep_one(job)
        index, lapses, header = job.first_to_run, self._lapses(), job.header
        if index is None:
            return True
        title = f"{header.shadow or header.name}[{job.id_of(index)}]"
        turn = self._take(job.entry, index, header.lane, title, header.locks)
        if turn.token is None:
            self._gone(job)
            return False
        job.hold = Hold(header.locks, call_name(job.entry.batch, index), turn.token, lapses)
        self._held(job)
        return True
