"""The newest results of many calls, as small pictures and values beside each other. Runs no code of the task's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nbtasks.client.batches.repairs import STRUCK
from nbtasks.client.batches.shown import shown_value
from nbtasks.core import states

from . import words

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

MOST_RESULTS = 6
#: Seconds for which results stand at least: who reads one must not lose it at once.
EVERY_S = 2.0
#: Of the calls that ended last, so many are looked through for results that can be shown.
_MOST_LOOKED_AT = 100
#: Characters of a picture in base64, and of all pictures: 48 and 120 kB.
_MOST_PICTURE = 64_000
_MOST_PICTURES = 160_000
_MOST_LINES = 4
_MOST_OF_LINE = 60
_MOST_NAME = 24
#: In characters: room in a card of full width; the widest result, and a small picture; what is around each.
_ROOM = 96
_WIDEST = 28
_PICTURE = 16
_AROUND = 4


@dataclass(frozen=True)
class NewResult:
    """One of the newest results.

    Attributes:
        what: which call it is of.
        text: the value, or the head of a table, in some lines.
        png: a picture, base64, which is shown instead; None where it has none, or a large one.
    """

    index: int
    what: str
    text: str
    png: str | None


class NewestResults:
    """Chooses what is shown of one batch; it remembers what it has shown, for an ended batch may forget its results."""

    def __init__(self) -> None:
        self._shown: tuple[NewResult, ...] = ()
        self._seen: float | None = None
        self._at = 0.0

    def of(self, batch: Run, now: float) -> tuple[NewResult, ...]:
        """Return the newest results at ``now`` (epoch seconds), the newest first; of few calls in their own order."""
        ended_at = batch.ended_at
        seen = batch.finished_count if ended_at is None else ended_at
        if seen == self._seen or (ended_at is None and 0 <= now - self._at < EVERY_S):
            return self._shown
        self._seen, self._at = seen, now
        known = {result.index: result for result in self._shown}
        found = list(_found(batch, known))
        if batch.n <= MOST_RESULTS:
            found.sort(key=lambda result: result.index)
        self._shown = tuple(_within_bounds(found))
        return self._shown


def _found(batch: Run, known: dict[int, NewResult]) -> Iterator[NewResult]:
    """Yield the newest results that can be shown, the newest first."""
    found = 0
    for index in reversed(batch.order[-_MOST_LOOKED_AT:]):
        if index == STRUCK or batch.states[index] != states.SUCCESS_CODE:
            continue
        result = known.get(index) or _result(batch, index)
        if result is not None:
            yield result
            found += 1
        if found == MOST_RESULTS:
            return


def _result(batch: Run, index: int) -> NewResult | None:
    found = batch.record(index)
    # None says nothing.
    if found is None or not len(found[1]):
        return None
    shown = shown_value(batch, index)
    if shown is None:
        return None
    text, png = shown.data.get("text/plain"), shown.data.get("image/png")
    what = words.which_call(index, words.in_short(words.one_line(batch.item_label(index), 200), _MOST_NAME))
    picture = png.replace("\n", "") if isinstance(png, str) and len(png) <= _MOST_PICTURE else None
    head = _head(text) if isinstance(text, str) else ""
    return NewResult(index, what, head, picture) if head or picture else None


def _head(text: str) -> str:
    lines = words.plain(text, _MOST_LINES * 2_000).strip("\n").split("\n")
    shown = [line if len(line) <= _MOST_OF_LINE else line[: _MOST_OF_LINE - 1] + "…" for line in lines]
    return "\n".join([*shown[: _MOST_LINES - 1], "…"] if len(shown) > _MOST_LINES else shown)


def _within_bounds(results: Sequence[NewResult]) -> Iterator[NewResult]:
    size = width = 0
    for number, result in enumerate(results):
        size += len(result.png or "")
        shown = result if size <= _MOST_PICTURES else replace(result, png=None)
        width += _width(shown)
        if number and width > _ROOM:
            return
        if shown.png or shown.text:
            yield shown


def _width(result: NewResult) -> int:
    lines = [result.what, *(result.text.split("\n") if result.png is None else [" " * _PICTURE])]
    return min(_WIDEST, max(map(len, lines))) + _AROUND
