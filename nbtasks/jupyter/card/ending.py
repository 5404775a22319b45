"""How a run of many calls went, once it has ended: what the line at its end says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.core import states

from . import words
from .looks import LOOK_OF

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

#: From so many times the time that it took on, work is said to have been done side by side.
_SIDE_BY_SIDE = 1.2


@dataclass(frozen=True)
class Ending:
    """What the results tell of the calls that ran.

    Attributes:
        processes: how many of the workers' processes ran them.
        median_s: seconds that the one in the middle ran.
        slowest: the call that ran longest.
        slowest_s: seconds of that.
    """

    processes: int
    median_s: float
    slowest: str
    slowest_s: float


def ending_of(batch: Run) -> Ending | None:
    """Return how the calls of a batch ran; None where no results are known here."""
    # Not with the extension: it brings much along, and is needed at the end of a run.
    import statistics

    seconds: list[float] = []
    processes: set[tuple[str, int | None]] = set()
    slowest = (-1.0, 0)
    for record, first, count in batch.known_records():
        ran = record.seconds[first - record.first : first - record.first + count]
        # What was revoked before it began has no worker.
        if not record.worker or not count:
            continue
        processes.add((record.worker, record.child))
        seconds += ran
        longest = max(ran)
        if longest > slowest[0]:
            slowest = longest, first + list(ran).index(longest)
    if not seconds:
        return None
    label = words.in_short(words.one_line(batch.item_label(slowest[1]), 200), 40)
    which = words.which_call(slowest[1], label)
    return Ending(len(processes), statistics.median(seconds), which, slowest[0])


def end_said(n: int, took_s: float, run_s: float, counts: Mapping[str, int], ending: Ending | None) -> str:
    """Return ``120 calls, 16.6 s, 1.9× on 2 workers, median 0.27 s, slowest n=88 0.50 s, 2 failed``.

    Args:
        took_s: seconds from submit to end.
        run_s: seconds that all calls ran together.
        counts: calls in each state.
    """
    told = [words.calls(n), words.duration(took_s)]
    if ending is not None:
        if ending.processes > 1 and took_s > 0 and run_s >= _SIDE_BY_SIDE * took_s:
            told.append(f"{run_s / took_s:.1f}× on {ending.processes:,} workers")
        if n > 1:
            told.append(f"median {words.short_duration(ending.median_s)}")
            told.append(f"slowest {ending.slowest} {words.short_duration(ending.slowest_s)}")
    ends = (states.FAILURE, states.REVOKED)
    told += [f"{counts[end]:,} {LOOK_OF[end].word}" for end in ends if counts.get(end)]
    return ", ".join(told)
