"""What becomes of the calls that a consumer held when its process ended: a table, and who looks it up.

Only the call that was executing is charged with the loss. Where nobody can know which one it was, and where none had
begun because their task was made ready, all of its chunk are suspected: that takes more deaths to give a call up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from nbtasks.broker.verbs.entry import Entry
from nbtasks.core import attempts
from nbtasks.core.errors import CallError
from nbtasks.core.ranges import runs

#: (first, count, attempt)
Piece = tuple[int, int, int]


@dataclass(frozen=True)
class Loss:
    """What is known about a death.

    Attributes:
        story: what happened, for people: signal or exit code, memory, last words.
        executing: (batch, index) of the call that was executing; None where nothing was.
        opening: so many calls, from that one on, had not begun: their task was only made ready; 0 where it had.
        seen: whether somebody saw what was executing; else the whole chunk is suspected.
        at_fault: it was no call that the process has ended with, but code of the worker itself.
        error: ends the executing call with this instead of running it again (its time limit, a revocation).
        uncharged: the worker was shut down on purpose; nothing is charged.
        shared: calls ran side by side there: any of the chunks that were begun may have been executed.
    """

    story: str
    executing: tuple[str, int] | None = None
    opening: int = 0
    seen: bool = True
    at_fault: bool = False
    error: CallError | None = None
    uncharged: bool = False
    shared: bool = False

    def blames(self, batch: str) -> range:
        """Return the indexes of the calls of a batch with which the process died."""
        if self.executing is None or self.executing[0] != batch:
            return range(0)
        return range(self.executing[1], self.executing[1] + (self.opening or 1))


class End(Enum):
    """How a process ended that held calls, in the words of docs/guarantees.md."""

    STOPPED = "was stopped with its worker"
    STOPPED_UNSEEN = "was stopped with its worker, and calls shared it"
    DIED = "died"
    DIED_OPENING = "died while it made the task ready, before the call"
    DIED_BETWEEN = "ended with an error between two calls, which an earlier one may have caused"
    DIED_UNSEEN = "died, and nobody knows which calls it was executing"
    KILLED = "was killed because a call did not stop"


class Fate(Enum):
    """What becomes of a call, in the words of docs/guarantees.md."""

    AGAIN = "runs again"
    CHARGED = "runs again, charged"
    SUSPECTED = "runs again, suspected"
    FAILED = "fails"


class Fates(NamedTuple):
    """What becomes of the call that was executing, and of the others that the process held."""

    executing: Fate
    others: Fate


#: For each end the fates of calls that may be repeated, and those of calls with acks_late=False.
TABLE = {
    End.STOPPED: (Fates(Fate.AGAIN, Fate.AGAIN), Fates(Fate.FAILED, Fate.AGAIN)),
    End.STOPPED_UNSEEN: (Fates(Fate.AGAIN, Fate.AGAIN), Fates(Fate.FAILED, Fate.FAILED)),
    End.DIED: (Fates(Fate.CHARGED, Fate.AGAIN), Fates(Fate.FAILED, Fate.AGAIN)),
    End.DIED_OPENING: (Fates(Fate.SUSPECTED, Fate.AGAIN), Fates(Fate.SUSPECTED, Fate.AGAIN)),
    # Else one after which nothing can be told, its own end either, would run for ever.
    End.DIED_BETWEEN: (Fates(Fate.SUSPECTED, Fate.SUSPECTED), Fates(Fate.FAILED, Fate.AGAIN)),
    End.DIED_UNSEEN: (Fates(Fate.SUSPECTED, Fate.SUSPECTED), Fates(Fate.FAILED, Fate.FAILED)),
    End.KILLED: (Fates(Fate.FAILED, Fate.AGAIN), Fates(Fate.FAILED, Fate.AGAIN)),
}


@dataclass
class Verdict:
    """What becomes of one entry."""

    pieces: list[Piece] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    revoked: list[int] = field(default_factory=list)


def judge(
    entry: Entry, final: frozenset[int], loss: Loss, at_most_once: bool, revoked: frozenset[int] = frozenset()
) -> Verdict:
    """Decide which calls of an entry run again, charged, suspected or neither, and which have failed. Pure.

    Args:
        revoked: calls that were revoked while they ran; they do not run again.
    """
    # What was ended on purpose keeps its reason.
    revoked -= frozenset(loss.blames(entry.batch) if loss.error is not None else ())
    left = [index for index in range(entry.first, entry.first + entry.count) if index not in final]
    end = _end(loss, at_most_once)
    executing = _executing(entry, loss, end)
    fates = TABLE[end][at_most_once]

    def those(fate: Fate) -> list[int]:
        return [
            index
            for index in left
            if index not in revoked and fate is (fates.executing if index in executing else fates.others)
        ]

    charged, suspected, failed = those(Fate.CHARGED), those(Fate.SUSPECTED), those(Fate.FAILED)
    # No row of the table has two of these.
    if attempts.losses(entry.attempt) + 1 >= attempts.MOST_LOSSES:
        charged, failed = [], charged or failed
    if attempts.suspicions(entry.attempt) + 1 >= attempts.MOST_SUSPICIONS:
        suspected, failed = [], suspected or failed
    return Verdict(
        [(*run, attempts.after_loss(entry.attempt)) for run in runs(charged)]
        + [(*run, attempts.after_suspicion(entry.attempt)) for run in runs(suspected)]
        + [(*run, entry.attempt) for run in runs(those(Fate.AGAIN))],
        failed,
        [index for index in left if index in revoked],
    )


def _end(loss: Loss, at_most_once: bool) -> End:
    # Of calls that ran side by side any may have begun, and what may have begun is not started again.
    seen = loss.seen and not (at_most_once and loss.shared)
    if loss.uncharged:
        return End.STOPPED if seen else End.STOPPED_UNSEEN
    if not seen:
        return End.DIED_UNSEEN
    if loss.error is not None:
        return End.KILLED
    if loss.at_fault and loss.executing is None:
        return End.DIED_BETWEEN
    return End.DIED_OPENING if loss.opening else End.DIED


def _executing(entry: Entry, loss: Loss, end: End) -> range:
    if end in {End.STOPPED_UNSEEN, End.DIED_UNSEEN} or (end is End.STOPPED and loss.opening):
        return range(0)
    return loss.blames(entry.batch)
