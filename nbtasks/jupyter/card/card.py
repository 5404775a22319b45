"""One card: a batch's board, and the messages that keep its widget up to date.

Only the writer's thread sends. Jupyter's threads may ask for the full state at any time, for a page that is
reloaded; so both hold the card's lock.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.ratelimits import rate_limit_of
from nbtasks.client.timeline import drawing
from nbtasks.client.timeline.drawing import BAR, LANE_GAP, ROW
from nbtasks.core.appearance import SPANS
from nbtasks.core.states import FAILURE_CODE
from nbtasks.core.stencils import stencil
from nbtasks.jupyter.liveoutput import joined, live_widget_class

from . import runlengths
from .board import Board, View
from .calls import Calls
from .looks import LAYOUTS, LOOKS, LOUDEST, MOST_CELLS, REUSED_CODE, SWATCH, style_sheet
from .said import failures_said, said
from .saved import Preview

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

#: Seconds that nothing has ended before the card asks why, and between two askings.
ASK_WHY_AFTER_S = 1.0
ASK_WHY_EVERY_S = 2.0
#: The same where calls were started: they may be gone with their worker.
ASK_WHY_STARTED_EVERY_S = 5.0
#: Seconds between messages that bring nothing but a new rate.
PACE_EVERY_S = 1.0


#: Sides of the squares that a page draws, in pixels: of the mosaic, of the counts, of the timeline's bars.
_STENCILS = sorted({*(side - gap for side, gap, _ in LAYOUTS if gap), SWATCH, drawing.BAR})
#: From so many calls on, so many seconds at least are between two messages: all calls are counted for each.
PAUSES = ((500_000, 0.5), (50_000, 0.3))


@dataclasses.dataclass(frozen=True)
class Tick:
    """One message to the widget."""

    content: dict[str, Any]
    buffers: list[bytes]


class Card:
    """The live state of one batch's card. Holds no widget and no display.

    Args:
        with_results: the newest results of many calls are shown.
    """

    def __init__(self, batch: Run, title: str | None = None, *, with_results: bool = True) -> None:
        self.batch = batch
        self.calls = Calls(batch)
        self.stopping = False
        #: The result, once there is one to be shown.
        self.preview: Preview | None = None
        self._board = Board(batch, title, with_results=with_results)
        self._watcher = batch.watch()
        self._lock = threading.Lock()
        self._seq = 0
        self._anew = False
        self._sent: View | None = None
        #: What the page was told of the view; None where it has been told something newer meanwhile.
        self._told: dict[str, Any] | None = None
        self._sent_at = 0.0
        self._reason: str | None = None
        self._asked_why_at = 0.0
        self._runs = False
        self._finished = 0
        self._moved_at = 0.0

    def view(self, now: float | None = None) -> View:
        """Return what the card shows now."""
        now = time.time() if now is None else now
        with self._lock:
            return self._fold(now)

    def codes(self) -> bytes:
        """Return the codes of the mosaic's cells."""
        return self.batch.output.reused.marked(self.batch.states, REUSED_CODE)

    def full_state(self) -> dict[str, Any]:
        """Return everything the widget needs when it starts from nothing."""
        now = time.time()
        with self._lock:
            head = self._head(self._fold(now), None, now)
            # What is told next starts from the last message, which this page has not had.
            self._told = None
            return {"head": head, "mosaic": runlengths.pack_all(self.codes()), "seq": self._seq}

    def tick(self, now: float, *, always: bool = False, whole: bool = False) -> Tick | None:
        """Return the message that brings the widget up to date, or None when nothing changed.

        Args:
            now: epoch seconds.
            always: even when nothing changed (the last message of a batch).
            whole: with the whole mosaic, for a widget that has missed a message.
        """
        if not (always or whole) and now - self._sent_at < _pause(self.batch.n):
            return None
        self._ask_why(now)
        with self._lock:
            ranges = self._watcher.take()
            view = self._fold(now)
            whole, self._anew = whole or view.done or self._anew, False
            if not (always or whole or ranges or self._is_news(view, now)):
                return None
            codes = self.codes()
            self._seq += 1
            content = {"k": "tick", "seq": self._seq, "whole": whole}
            content.update(self._head(view, None if whole else self._sent, now))
            self._sent, self._sent_at = view, now
            packed = runlengths.pack_all(codes) if whole else runlengths.pack_changes(codes, ranges)
            return Tick(content, [packed])

    def close(self) -> None:
        """Stop watching the batch."""
        self._watcher.close()

    def reopen(self) -> None:
        """The batch, which had ended, goes on: calls were submitted again."""
        with self._lock:
            self._watcher = self.batch.watch()
            self.stopping = False
            # What has changed since the end, nobody has noted.
            self._anew = True

    def let_go(self) -> None:
        """Hold no arguments and no results of a batch that has ended well: the card may stay for long."""
        with self._lock:
            if self.batch.all_ended and not (self.batch.failed_count or self.batch.revoked_count):
                shown = self.batch.to_be_shown()
                self.calls.let_go(shown)
                self.batch = shown
                self._board.show(self.batch)
                self._watcher = self.batch.watch()

    def _fold(self, now: float) -> View:
        return self._board.fold(now, stopping=self.stopping, reason=self._reason)

    def _head(self, view: View, last: View | None, now: float) -> dict[str, Any]:
        """Return the view for the widget: what differs from the last message's."""
        told = dataclasses.asdict(said(view))
        before = None if last is None else self._told
        news = told if before is None else {name: told[name] for name in told if told[name] != before[name]}
        head: dict[str, Any] = {"now": now, "view": news}
        self._told = told
        if last is None or view.failures != last.failures:
            head["failures"] = [dataclasses.asdict(failure) for failure in failures_said(view)]
        if last is None or view.output != last.output:
            head["output"] = view.output
        if last is None or view.spark != last.spark:
            head["spark"] = None if view.spark is None else dataclasses.asdict(view.spark)
        if last is None or view.newest != last.newest:
            # Pictures are large: a page that has one already keeps it.
            had = last.newest if last is not None and before is not None else ()
            head["newest"] = [
                {"index": one.index} if one in had else dataclasses.asdict(one) for one in view.newest
            ]
        if self.preview is not None:
            head["preview"] = dataclasses.asdict(self.preview)
        return head

    def _is_news(self, view: View, now: float) -> bool:
        if self._sent is None or now - self._sent_at >= PACE_EVERY_S:
            return view != self._sent
        sent = self._sent
        paceless = dataclasses.replace(view, rate=sent.rate, remaining_s=sent.remaining_s, spark=sent.spark)
        return paceless != sent

    def _ask_why(self, now: float) -> None:
        batch = self.batch
        if batch.finished_count != self._finished:
            self._finished, self._moved_at = batch.finished_count, now
        # Calls of a task with a rate limit wait while others of them run and end.
        limited = rate_limit_of(batch) is not None
        runs = bool(batch.running) and not limited
        if runs and not self._runs:
            self._reason, self._asked_why_at = None, now
        self._runs = runs
        every = ASK_WHY_STARTED_EVERY_S if runs else ASK_WHY_EVERY_S
        since = batch.created_at if limited else max(batch.created_at, self._moved_at)
        if batch.done or now - since < ASK_WHY_AFTER_S:
            self._reason = None
        elif now - self._asked_why_at >= every:
            self._reason = batch.why_pending()
            self._asked_why_at = time.time()


def _pause(calls: int) -> float:
    return next((pause for many, pause in PAUSES if calls >= many), 0.0)


def tables() -> dict[str, Any]:
    """Return what the page needs to know once: states by their codes, how to lay them out, how to say a time."""
    return {
        "states": [{"name": look.state, "word": look.word, "colour": look.css} for look in LOOKS],
        "failure": FAILURE_CODE,
        "loudest": LOUDEST,
        "layouts": LAYOUTS,
        "stencils": {side: [stencil(look.state, side) for look in LOOKS] for side in _STENCILS},
        "lanes": {"row": ROW, "bar": BAR, "gap": LANE_GAP},
        "most_cells": MOST_CELLS,
        "spans": SPANS,
    }


@functools.cache
def widget_class() -> type[Any]:
    """Return the widget's class, made when it is first needed.

    Raises:
        ImportError: anywidget is not installed.
    """
    import traitlets

    class CardWidget(live_widget_class()):  # type: ignore[misc]  # the class is made at run time
        script = joined("*.js")
        style = style_sheet() + joined("*.css")
        tables = traitlets.Dict(tables()).tag(sync=True)
        head = traitlets.Dict().tag(sync=True)
        mosaic = traitlets.Bytes().tag(sync=True)
        seq = traitlets.Int().tag(sync=True)

    return CardWidget
