"""What a card says of one call, for those who open its square. Pure, and runs no code of the task's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.client.batches.course import Course, course_of
from nbtasks.client.batches.shown import shown_error, shown_output, shown_value
from nbtasks.client.batches.tries import Attempt
from nbtasks.core import states
from nbtasks.jupyter.cellnames import in_cells

from . import words
from .barsaid import BarSaid, bar_said
from .looks import LOOK_OF
from .tracebacktext import readable

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

#: Characters of one argument, of the result, of a traceback and of what a call has printed.
_MOST_ARGUMENT = 4_000
_MOST_RESULT = 20_000
_MOST_TRACEBACK = 60_000
_MOST_OUTPUT = 80_000
#: A bar as text: its characters, and how many.
_FULL, _EMPTY, _BAR = "█", "░", 20
_UNREADABLE = "not shown: it is made of more than Python's own types. {handle}.result has it."


@dataclass(frozen=True)
class Part:
    """One text of a call; ``tone`` is what kind of text it is: plain, output or error."""

    title: str
    #: (stream or "", text) of each piece.
    pieces: tuple[tuple[str, str], ...]
    tone: str = "plain"


@dataclass(frozen=True)
class CallSaid:
    """What is said of one call."""

    index: int
    id: str
    #: Which call it is: its arguments, such as ``n=17``.
    title: str
    #: Celery's word for its state, and the card's.
    state: str
    word: str
    final: bool
    #: (name, value) of what is said in a few words.
    facts: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    can_retry: bool
    #: A line that runs the call again here, under the debugger.
    debug: str


def call_said(batch: Run, index: int, label: str, now: float) -> CallSaid:
    """Return what is said of a call.

    Args:
        label: its arguments in short.
        now: epoch seconds.
    """
    course, state = course_of(batch, index), batch.state(index)
    if index in batch.running and state == states.PENDING:
        state = states.STARTED
    call_id = batch.call_id(index)
    of_batch, _, own = call_id.partition(":")
    parts = (
        _arguments(batch, index),
        _earlier(course),
        _bars(batch, index),
        _output(batch, index),
        _error(batch, index),
        _result(batch, index),
    )
    return CallSaid(
        index=index,
        id=call_id,
        title=words.which_call(index, words.one_line(label, 120))
        if batch.is_many
        else words.one_line(label, 120),
        state=state,
        word=LOOK_OF[state].word,
        final=state in states.READY_STATES,
        facts=_facts(batch, index, course, now),
        parts=tuple(part for part in parts if part is not None),
        can_retry=batch.states[index] in states.RETRIABLE_CODES and batch.parcel is not None,
        debug=f"%tasks debug {words.short_id(of_batch)}:{own or 0}",
    )


def _facts(batch: Run, index: int, course: Course, now: float) -> tuple[tuple[str, str], ...]:
    last = course.last
    facts = []
    found = batch.record(index)
    made_at = None if found is None else found[0].made_at(index)
    if made_at is not None:
        facts.append(("reused from", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(made_at))))
    if last is not None and last.worker:
        facts.append(("worker", where(last)))
    if course.queued_s is not None:
        facts.append(("queued", words.duration(course.queued_s)))
    elif last is None and batch.states[index] < states.FIRST_READY_CODE:
        facts.append(("queued", words.duration(max(0.0, now - course.queued_at))))
    if last is not None:
        if last.seconds is not None:
            facts.append(("ran", words.short_duration(last.seconds)))
        elif last.began_at is not None:
            facts.append(("runs for", words.duration(max(0.0, now - last.began_at))))
        if last.began_at is not None:
            facts.append(("began", time.strftime("%H:%M:%S", time.localtime(last.began_at))))
        facts.append(("attempt", str(last.number)))
    due = batch.tries.due.get(index)
    if due is not None:
        facts.append(("again", f"in {words.duration(max(0.0, due - now))}"))
    return tuple(facts)


def where(attempt: Attempt) -> str:
    """Return the worker and the child of an attempt."""
    return attempt.worker if attempt.child is None else f"{attempt.worker}, child {attempt.child}"


def _arguments(batch: Run, index: int) -> Part | None:
    if batch.parcel is None:
        return None
    given = batch.parcel.arguments(index, _MOST_ARGUMENT)
    # What a cell goes through it finds in a parameter of a name like its own: _n fills n.
    names = (name.strip("_") or name for name, _ in given)
    text = "\n".join(
        f"{name} = {value}" if name else value for name, (_, value) in zip(names, given, strict=True)
    )
    return Part("Arguments", (("", words.plain(text, 4 * _MOST_ARGUMENT)),)) if text else None


def _earlier(course: Course) -> Part | None:
    lines = []
    for attempt in course.attempts:
        if attempt.error:
            ran = "" if attempt.seconds is None else f", {words.short_duration(attempt.seconds)}"
            lines.append(f"{attempt.number} on {where(attempt)}{ran}: {words.plain(attempt.error, 500)}")
    return Part("Earlier attempts", (("", "\n".join(lines)),), "error") if lines else None


def _bars(batch: Run, index: int) -> Part | None:
    """Return the bars of tqdm and others, those that run within another one set in."""
    found = batch.record(index)
    given = found[0].given.get(index) if found is not None else None
    bars = batch.output.bars.get(index, ()) if given is None else given.bars
    lines = [_bar(bar_said(bar)) for bar in bars]
    return Part("Progress", (("", "\n".join(lines)),)) if lines else None


def _bar(bar: BarSaid) -> str:
    drawn = (
        ""
        if bar.share is None
        else _FULL * round(bar.share * _BAR) + _EMPTY * (_BAR - round(bar.share * _BAR))
    )
    return "    " * bar.depth + "  ".join(filter(None, (bar.description, drawn, bar.far)))


def _output(batch: Run, index: int) -> Part | None:
    pieces = tuple((stream, _printed(text)) for stream, text in _joined(shown_output(batch, index)))
    return Part("Output", pieces, "output") if pieces else None


def _joined(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    joined: list[tuple[str, str]] = []
    for stream, text in pieces:
        if joined and joined[-1][0] == stream:
            joined[-1] = stream, joined[-1][1] + text
        else:
            joined.append((stream, text))
    return joined


def _printed(text: str) -> str:
    end = "\n" if text.endswith("\n") else ""
    return words.plain(in_cells(text), _MOST_OUTPUT) + end


def _error(batch: Run, index: int) -> Part | None:
    text = readable(words.plain(shown_error(batch, index), _MOST_TRACEBACK))
    return Part("Traceback", (("", text),), "error") if text else None


def _result(batch: Run, index: int) -> Part | None:
    found = batch.record(index)
    if found is None or batch.states[index] != states.SUCCESS_CODE:
        return None
    if not len(found[1]):
        return Part("Result", (("", "None"),))
    shown = shown_value(batch, index, _MOST_RESULT)
    text = None if shown is None else shown.data.get("text/plain")
    if not isinstance(text, str):
        handle = f"AsyncResult({batch.call_id(index)!r})"
        return Part("Result", (("note", _UNREADABLE.format(handle=handle)),))
    return Part("Result", (("", words.plain(text, _MOST_RESULT)),))
