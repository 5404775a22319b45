"""The graph of a workflow as its card shows it: a row for each step, with lines from those that it waits for. Pure.

Steps that follow each other and are equally far share a row where there are many, and of very many only those have one
that matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.wholeworkflow import short_name
from nbtasks.core import states

from . import words
from .graphlanes import lanes_of, path
from .looks import LOOK_OF, PARTS

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.steps import SubmittedWorkflow

#: Rows from which on equal ones share one, how many have to, and how many rows there are at most.
_FOLDED_FROM = 13
_LEAST_FOLDED = 3
_MOST_ROWS = 50
#: Calls of a step that have a square each; more are a bar.
MOST_SQUARES = 24
_MOST_NAME = 60


@dataclass(frozen=True)
class GraphRow:
    """A step, or several that follow each other.

    Attributes:
        call: index of the call that is opened by it; -1 where its calls are none of this card's.
        said: how far it is.
        state: what it looks like as a whole.
        squares: the state of each call, where they are few and more than one.
        parts: else, of many calls, state and share of each part.
        path: the lines beside it, as of an SVG; ``at``: the lane of its mark, of ``width`` ones.
    """

    call: int
    name: str
    said: str
    state: str
    squares: tuple[str, ...]
    parts: tuple[tuple[str, float], ...]
    path: str
    at: int
    width: int


@dataclass
class _Line:
    """What shares a row: steps, and lines to rows."""

    places: list[int]
    state: str


def graph_of(run: Any) -> tuple[GraphRow, ...]:
    """Return the rows of what a card shows; none where it belongs to no workflow."""
    workflow, firsts = _workflow_of(run)
    if workflow is None:
        return ()
    lines = _lines(workflow)
    row_of = {place: number for number, line in enumerate(lines) for place in line.places}
    hidden = len(workflow.ledgers) - len(row_of)
    followers = _drawn_followers(workflow)
    after = [_after(followers[line.places[-1]], row_of, number) for number, line in enumerate(lines)]
    lanes, width = lanes_of(after)
    rows = [
        _row(workflow, line, firsts, path(one.strokes), one.lane, width)
        for line, one in zip(lines, lanes, strict=True)
    ]
    if hidden:
        rows.append(GraphRow(-1, f"and {hidden:,} more steps", "", states.PENDING, (), (), "", 0, 0))
    return tuple(rows)


def why_not_run(run: Any) -> str | None:
    """Return which step has failed, where none of the calls has run for that; else None."""
    workflow, firsts = _workflow_of(run)
    if workflow is None or len(firsts) != 1:
        return None
    place = next(iter(firsts))
    if not _is_skipped(workflow, place):
        return None
    bad = [workflow.ledgers[one] for one in workflow.plan.nodes[place].waits_for]
    names = [
        words.one_line(short_name(one), _MOST_NAME) for one in bad if one.failed_count or one.revoked_count
    ]
    revoked = all(one.revoked_count for one in bad if one.failed_count or one.revoked_count)
    what = "was revoked" if revoked else "has failed"
    return f"Not run, for {names[0]} {what}." if names else None


def _workflow_of(run: Any) -> tuple[SubmittedWorkflow | None, dict[int, int]]:
    """Return the workflow of what a card shows, and where the calls of its steps begin there."""
    workflow = getattr(run, "workflow", None)
    if workflow is not None:
        return workflow, run.firsts
    step = getattr(run.parcel, "step", None)
    if step is None or len(step.workflow.ledgers) < 2:
        return None, {}
    return step.workflow, {step.place: 0}


def _lines(workflow: SubmittedWorkflow) -> list[_Line]:
    lines: list[_Line] = []
    is_folded = len(workflow.ledgers) >= _FOLDED_FROM
    followers = _drawn_followers(workflow)
    for place, node in enumerate(workflow.plan.nodes):
        state = _state(workflow.ledgers[place])
        last = lines[-1] if lines else None
        if (
            is_folded
            and last is not None
            and state == last.state
            and state in (states.SUCCESS, states.PENDING)
            and node.waits_for == [last.places[-1]]
            and followers[last.places[-1]] == [place]
            and node.count == workflow.plan.nodes[last.places[-1]].count
        ):
            last.places.append(place)
        else:
            lines.append(_Line([place], state))
    if is_folded:
        lines = [
            part
            for line in lines
            for part in (
                [line]
                if len(line.places) >= _LEAST_FOLDED
                else [_Line([place], line.state) for place in line.places]
            )
        ]
    return lines if len(lines) <= _MOST_ROWS else _that_matter(lines)


def _that_matter(lines: Sequence[_Line]) -> list[_Line]:
    """Return those that have failed or run, and of the others the first ones."""
    loud = {states.FAILURE: 0, states.STARTED: 1, states.RETRY: 1, states.REVOKED: 2}
    ranked = sorted(range(len(lines)), key=lambda number: (loud.get(lines[number].state, 3), number))
    return [lines[number] for number in sorted(ranked[:_MOST_ROWS])]


def _drawn_followers(workflow: SubmittedWorkflow) -> list[list[int]]:
    """Return for each step those that wait for it; what waits for a failure of many hangs at the last of these."""
    found: list[list[int]] = [[] for _ in workflow.plan.nodes]
    for place, node in enumerate(workflow.plan.nodes):
        for before in node.waits_for[-1:] if node.is_errback else node.waits_for:
            found[before].append(place)
    return found


def _after(followers: Sequence[int], row_of: dict[int, int], number: int) -> list[int]:
    return sorted({row_of[place] for place in followers if place in row_of and row_of[place] > number})


def _row(
    workflow: SubmittedWorkflow,
    line: _Line,
    firsts: dict[int, int],
    strokes: str,
    lane: int,
    width: int,
) -> GraphRow:
    place, last = line.places[0], line.places[-1]
    ledger = workflow.ledgers[place]
    name = words.one_line(short_name(ledger), _MOST_NAME)
    if len(line.places) > 1:
        end = words.one_line(short_name(workflow.ledgers[last]), _MOST_NAME)
        name = (
            f"{name} × {len(line.places):,} steps"
            if end == name
            else f"{name} … {end}, {len(line.places):,} steps"
        )
        said = LOOK_OF[line.state].word
    else:
        said = _said(workflow, place)
    few = 1 < ledger.n <= MOST_SQUARES and len(line.places) == 1
    return GraphRow(
        call=firsts[place] + _loudest(ledger) if place in firsts else -1,
        name=name,
        said=said,
        state=line.state,
        squares=tuple(map(_shown_state, ledger.states)) if few else (),
        parts=_parts(ledger) if ledger.n > MOST_SQUARES and len(line.places) == 1 else (),
        path=strokes,
        at=lane,
        width=width,
    )


def _shown_state(code: int) -> str:
    return states.NAMES[code]


def _parts(ledger: Ledger) -> tuple[tuple[str, float], ...]:
    counts = ledger.counts()
    return tuple((look.state, round(counts[look.state] / ledger.n, 4)) for look in PARTS)


def _state(ledger: Ledger) -> str:
    """Return the one state that says most about a step."""
    counts = ledger.counts()
    if ledger.done:
        return next((state for state in (states.FAILURE, states.REVOKED) if counts[state]), states.SUCCESS)
    if counts[states.FAILURE]:
        return states.FAILURE
    if counts[states.RETRY] and not counts[states.STARTED]:
        return states.RETRY
    begun = counts[states.STARTED] or any(counts[state] for state in states.READY_STATES)
    return states.STARTED if begun else states.PENDING


def _loudest(ledger: Ledger) -> int:
    """Return the index of the call that says most about a step: one that has failed, one that runs, or the first."""
    for code in (states.FAILURE_CODE, states.STARTED_CODE, states.RETRY_CODE):
        index = ledger.states.find(bytes([code]))
        if index >= 0:
            return index
    return min(ledger.running, default=0)


def _said(workflow: SubmittedWorkflow, place: int) -> str:
    ledger = workflow.ledgers[place]
    if _is_skipped(workflow, place):
        return "not needed" if workflow.plan.nodes[place].is_errback else "not run"
    if ledger.n == 1:
        took = (
            f" in {words.duration(ledger.run_seconds)}" if ledger.done and ledger.run_seconds >= 0.005 else ""
        )
        return LOOK_OF[_state(ledger)].word + took
    counts = ledger.counts()
    told = [f"{counts[states.SUCCESS]:,} of {ledger.n:,} done"]
    told += [
        f"{counts[state]:,} {LOOK_OF[state].word}"
        for state in (states.FAILURE, states.REVOKED, states.STARTED, states.RETRY)
        if counts[state]
    ]
    return ", ".join(told)


def _is_skipped(workflow: SubmittedWorkflow, place: int) -> bool:
    """Whether no call of a step has run, for something before it has failed, or has not."""
    ledger, node = workflow.ledgers[place], workflow.plan.nodes[place]
    if not node.ins or not ledger.done or ledger.states.count(states.SUCCESS_CODE):
        return False
    found = ledger.record(0)
    if found is None or (found[0].worker and float(found[0].seconds[-found[0].first])):
        return False
    before = [workflow.ledgers[one] for one in node.waits_for]
    return node.is_errback or any(one.failed_count or one.revoked_count for one in before)
