"""What is said of the state of a whole batch: in words, and by the colour of its dot. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from nbtasks.core import states

from .looks import LOOK_OF


def state_said(state: str, counts: Mapping[str, int], n: int, *, done: bool) -> str:
    """Return ``running`` or ``done, 3 of 120 failed``.

    Args:
        state: of the whole, under Celery's names.
        counts: calls in each state.
        n: number of calls.
        done: whether the batch has ended.
    """
    if state == states.RETRY:
        return "waiting to retry"
    failed, revoked = counts.get(states.FAILURE, 0), counts.get(states.REVOKED, 0)
    if not done or n == max(1, failed, revoked) or not (failed or revoked):
        return LOOK_OF[state].word
    of_all = f" of {n:,}"
    if not revoked:
        return f"done, {failed:,}{of_all} failed"
    told = [LOOK_OF[states.REVOKED].word]
    for each in (states.SUCCESS, states.FAILURE):
        if counts.get(each):
            told.append(f"{counts[each]:,}{of_all} {LOOK_OF[each].word}")
            of_all = ""
    return ", ".join(told)


def dot_said(state: str, counts: Mapping[str, int], n: int, *, done: bool) -> str:
    """Return the state whose colour the dot has: a few failures of many do not make it red.

    The arguments are those of :func:`state_said`.
    """
    if done and counts.get(states.REVOKED):
        return states.REVOKED
    failed = counts.get(states.FAILURE, 0)
    # Without a failed call it was the whole that failed: it could not be sent.
    return states.SUCCESS if state == states.FAILURE and 0 < 2 * failed < n else state
