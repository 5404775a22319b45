"""What becomes of the calls that a consumer held when its process ended: a table, and who looks it up.

Only the call that was executing is charged with the loss. Where nobody can know which one it was, all of its chunk are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from nbtasks.broker.redis.entry import Entry
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
        charged: so many calls, from that one on, where they were only made ready to run.
        seen: whether somebody saw what was executing; else the whole chunk is charged.
        error: ends the executing call with this instead of running it again (its time limit, a revocation).
        uncharged: the worker was shut down on purpose; nothing is charged.
        shared: calls ran side by side there: any of the chunks that were begun may have been executed.
    """

    story: str
    executing: tuple[str, int] | None = None
    charged: int = 1
    seen: bool = True
    error: CallError | None = None
    uncharged: bool = False
    shared: bool = False

    def blames(self, batch: str) -> range:
        """Return the indexes of the calls of a batch with which the process died."""
        if self.executing is None or self.executing[0] != batch:
            return range(0)
        return range(self.executing[1], self.executing[1] + self.charged)


class End(Enum):
    """How a process ended that held calls, in the words of docs/guarantees.md."""

    STOPPED = "was stopped with its worker"
    STOPPED_UNSEEN = "was stopped with its worker, and calls shared it"
    DIED = "died"
    DIED_UNSEEN = "died, and nobody knows which calls it was executing"
    KILLED = "was killed because a call did not stop"


class Fate(Enum):
    """What becomes of a call, in the words of docs/guarantees.md."""

    AGAIN = "runs again"
    CHARGED = "runs again, charged"
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
    End.DIED_UNSEEN: (Fates(Fate.CHARGED, Fate.CHARGED), Fates(Fate.FAILED, Fate.FAILED)),
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
    """Decide which calls of an entry run again, charged or not, and which have failed. Pure.

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

    charged, failed = those(Fate.CHARGED), those(Fate.FAILED)
    if attempts.losses(entry.attempt) + 1 >= _most_losses(end):
        # Fates never has both.
        charged, failed = [], charged or failed
    return Verdict(
        [(*run, attempts.after_loss(entry.attempt)) for run in runs(charged)]
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
    return End.DIED if loss.error is None else End.KILLED


def _executing(entry: Entry, loss: Loss, end: End) -> range:
    if end in {End.STOPPED_UNSEEN, End.DIED_UNSEEN}:
        return range(0)
    # A process that was stopped has not died of what it made ready.
    return loss.blames(entry.batch)[:1] if end is End.STOPPED else loss.blames(entry.batch)


def _most_losses(end: End) -> int:
    return attempts.MOST_LOSSES_UNSEEN if end is End.DIED_UNSEEN else attempts.MOST_LOSSES
