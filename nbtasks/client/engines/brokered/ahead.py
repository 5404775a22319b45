"""What comes before a batch's calls in their queue: how much, whose, and for how long."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.client import whence
from nbtasks.client.batches.notyet import step_before
from nbtasks.core.lanenames import NORMAL, rank
from nbtasks.core.plaintext import on_one_line

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.outline import Outline
    from nbtasks.client.batches.registry import Registry
    from nbtasks.client.workerinfo import WorkerInfo

    from .receiving.survey import Survey

#: Runs that are named in one sentence, and characters of a name.
_MOST_NAMED = 2
_MOST_NAME = 60


@dataclass(frozen=True)
class RunAhead:
    """A run before another, or single calls of one name.

    Attributes:
        waiting: calls of it that wait.
        running: calls of it that run.
        whose: empty where this session has submitted it.
        left_s: seconds until they have ended, about; None where nobody can tell.
    """

    title: str
    whose: str
    waiting: int
    running: int
    left_s: float | None = None


class Precedence:
    """Tells what is ahead of the batches of a session.

    It remembers how far the batches of others were when it looked first: that tells how fast they are.
    """

    def __init__(self, survey: Survey, registry: Registry) -> None:
        self._survey = survey
        self._registry = registry
        #: Batch -> moment (monotonic) and how many of its calls had ended.
        self._first_seen: dict[str, tuple[float, int]] = {}

    def of(self, batch: Ledger, workers: Iterable[WorkerInfo], slots: int) -> list[RunAhead]:
        """Return the runs ahead of a batch, those with most calls first.

        Args:
            workers: those of its queue.
            slots: how many calls they run at once.
        """
        running = Counter(name for worker in workers for name, _, _ in worker.running)
        known = self._survey.unfinished()
        outlines = [one for one in known if one.id != batch.id]
        self._note(outlines)
        # One that is not known yet came after all that are.
        submitted_at = next((one.submitted_at for one in known if one.id == batch.id), batch.created_at)
        found = _together(
            self._run(one, running[one.id], slots)
            for one in outlines
            if one.label.queue == batch.queue
            and (running[one.id] or self._is_before(one, batch, submitted_at))
        )
        return sorted(
            (one for one in found if one.waiting or one.running), key=lambda one: (-one.waiting, -one.running)
        )

    def _is_before(self, one: Outline, batch: Ledger, submitted_at: float) -> bool:
        """Whether calls that wait of one batch are taken before those of another; some may be tried again.

        Args:
            submitted_at: when the other was submitted, by the clock that tells it of the first.
        """
        eta = one.label.eta_at
        if eta is not None and eta > time.time():
            return False
        lane = batch.parcel.options.header.lane if batch.parcel is not None else NORMAL
        its, mine = rank(one.label.lane), rank(lane)
        if its != mine:
            return its < mine
        own = self._registry.unfinished(one.id)
        if own is not None and step_before(own, None) is not None:
            # It is in no queue yet.
            return False
        if own is not None and own.parcel is not None and batch.parcel is not None:
            # The server's clock, as it is reckoned here, is not exact enough for what follows within moments.
            return own.created_at < batch.created_at
        return one.submitted_at < submitted_at

    def _note(self, outlines: list[Outline]) -> None:
        now = time.monotonic()
        before = self._first_seen
        self._first_seen = {one.id: before.get(one.id, (now, one.done_count)) for one in outlines}

    def _run(self, outline: Outline, running: int, slots: int) -> RunAhead:
        own = self._registry.unfinished(outline.id)
        left = outline.left if own is None else own.n - own.finished_count
        waiting = max(0, left - running)
        whose = whence.whose_is(outline.label.submitter)
        title = on_one_line(outline.title, _MOST_NAME)
        return RunAhead(title, whose, waiting, running, self._left_s(outline, own, waiting, slots))

    def _left_s(self, outline: Outline, own: Ledger | None, waiting: int, slots: int) -> float | None:
        if own is not None and own.finished_count and own.run_seconds:
            return waiting * own.run_seconds / own.finished_count / max(1, slots)
        since, done = self._first_seen[outline.id]
        ended, seconds = outline.done_count - done, time.monotonic() - since
        return waiting * seconds / ended if ended > 0 else None


def _together(runs: Iterable[RunAhead]) -> Iterator[RunAhead]:
    """Yield one for those of the same name: single calls of a task are a batch each."""
    alike: dict[tuple[str, str], list[RunAhead]] = {}
    for one in runs:
        alike.setdefault((one.title, one.whose), []).append(one)
    for (title, whose), ones in alike.items():
        times = [one.left_s for one in ones if one.waiting]
        left_s = sum(filter(None, times)) if times and None not in times else None
        yield RunAhead(
            title, whose, sum(one.waiting for one in ones), sum(one.running for one in ones), left_s
        )


def said_of(runs: list[RunAhead]) -> str:
    """Return what is ahead, in words: ``28 calls of 'slow' (one.ipynb) are ahead, about 14 s``."""
    waiting = [one for one in runs if one.waiting]
    parts = [f"{_calls(one.waiting)} of {_named(one)}" for one in waiting[:_MOST_NAMED]]
    if rest := sum(one.waiting for one in waiting[_MOST_NAMED:]):
        parts.append(f"{rest:,} more")
    total = sum(one.waiting for one in waiting)
    times = [one.left_s for one in waiting]
    known = [seconds for seconds in times if seconds is not None]
    about = f", about {_span(sum(known))}" if known and len(known) == len(times) else ""
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{text} {'is' if total == 1 else 'are'} ahead{about}"


def said_of_running(runs: list[RunAhead]) -> str:
    """Return what of others runs now: ``with 2 calls of 'slow' (one.ipynb)``; empty where nothing does."""
    running = [one for one in runs if one.running and one.whose]
    if not running:
        return ""
    return " with " + " and ".join(f"{_calls(one.running)} of {_named(one)}" for one in running[:_MOST_NAMED])


def _named(one: RunAhead) -> str:
    return f"'{one.title}'" + (f" ({one.whose})" if one.whose else "")


def _calls(number: int) -> str:
    return f"{number:,} call" + ("" if number == 1 else "s")


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
