"""Bars of libraries for progress that one call has on show. They are looked at now and then, not at each step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from threading import Lock
from typing import Any, Protocol

from nbtasks.core.progressbar import MOST_BARS, MOST_SAID, ProgressBar
from nbtasks.core.readable import text_of


class BarSource(Protocol):
    """Where bars come from: an object of tqdm's, a display of rich's.

    Attributes:
        closed: nothing more comes.
        leaves: its bars stay on show after that.
    """

    closed: bool
    leaves: bool

    def bars(self) -> Iterable[ProgressBar]:
        """Return the bars as they are now. It is asked on a thread of the worker's, so it must not wait for a lock."""


class Bars:
    """The bars of one call, in the order in which they came."""

    def __init__(self) -> None:
        self._sources: list[BarSource] = []
        self._seen: dict[int, list[ProgressBar]] = {}
        #: What was told last, as :func:`_still` has it.
        self._told: list[ProgressBar] = []
        self._lock = Lock()

    def add(self, source: BarSource) -> None:
        """Show one more."""
        with self._lock:
            self._sources = [one for one in self._sources if not one.closed or one.leaves]
            closed = [one for one in self._sources if one.closed]
            for one in closed[: max(0, len(self._sources) + 1 - MOST_BARS)]:
                self._sources.remove(one)
            self._sources.append(source)
            self._seen = {id(one): self._seen.get(id(one), []) for one in self._sources}

    def take_news(self) -> list[ProgressBar] | None:
        """Return all bars that are open, or left, if one of them has moved since the last look."""
        with self._lock:
            now = self._now()
            still = list(map(_still, now))
            if still == self._told:
                return None
            self._told = still
            return now

    def left(self) -> list[ProgressBar]:
        """Return the bars that stay when the call has ended."""
        with self._lock:
            return [dataclasses.replace(bar, closed=True) for bar in self._now()]

    def _now(self) -> list[ProgressBar]:
        return [bar for one in self._sources if not one.closed or one.leaves for bar in self._bars_of(one)][
            :MOST_BARS
        ]

    def _bars_of(self, source: BarSource) -> list[ProgressBar]:
        try:
            self._seen[id(source)] = [_bounded(bar) for bar in source.bars()]
        except Exception:
            # The library's object changes meanwhile, or it is not what we know of it.
            return self._seen.get(id(source), [])
        return self._seen[id(source)]


def _still(bar: ProgressBar) -> ProgressBar:
    """Return a bar without what changes by itself."""
    return dataclasses.replace(bar, seconds=0.0, rate=None)


def _bounded(bar: ProgressBar) -> ProgressBar:
    return ProgressBar(
        finite(bar.done) or 0.0,
        finite(bar.total) or None,
        text_of(bar.description or "", MOST_SAID),
        text_of(bar.note or "", MOST_SAID),
        text_of(bar.unit or "", 20),
        finite(bar.seconds) or 0.0,
        finite(bar.rate) or None,
        min(bar.depth, MOST_BARS),
        bool(bar.closed),
    )


def finite(value: Any) -> float | None:
    """Return a number of 0 or more that can be drawn; None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, number) if math.isfinite(number) else None
