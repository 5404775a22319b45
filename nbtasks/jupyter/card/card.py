"""One card: a batch's board, and the messages that keep its widget up to date.

Only the writer's thread sends. Jupyter's threads may ask for the full state at any time, for a page that is
reloaded; so both hold the card's lock.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtasks.core.states import FAILURE_CODE

from . import mosaic
from .board import Board, View
from .calls import Calls
from .looks import LAYOUTS, LOOKS, LOUDEST, MOST_CELLS, style_sheet
from .said import failures_said, said
from .saved import Preview
from .words import SPANS

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbtasks.client.batches.ledger import Ledger

_FILES = Path(__file__).parent.parent / "page"
#: Seconds that nothing has ended before the card asks why, and between two askings.
ASK_WHY_AFTER_S = 1.0
ASK_WHY_EVERY_S = 2.0
#: The same where calls were started: they may be gone with their worker.
ASK_WHY_STARTED_EVERY_S = 5.0
#: Seconds between messages that bring nothing but a new rate.
PACE_EVERY_S = 1.0


@dataclasses.dataclass(frozen=True)
class Tick:
    """One message to the widget."""

    content: dict[str, Any]
    buffers: list[bytes]


class Card:
    """The live state of one batch's card. Holds no widget and no display."""

    def __init__(self, batch: Ledger, title: str | None = None) -> None:
        self.batch = batch
        self.calls = Calls(batch)
        self.stopping = False
        #: The result, once there is one to be shown.
        self.preview: Preview | None = None
        self._board = Board(batch, title)
        self._watcher = batch.watch()
        self._lock = threading.Lock()
        self._seq = 0
        self._n = batch.n
        self._sent: View | None = None
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

    def full_state(self) -> dict[str, Any]:
        """Return everything the widget needs when it starts from nothing."""
        now = time.time()
        with self._lock:
            head = self._head(self._fold(now), None, now)
            return {"head": head, "mosaic": bytes(self.batch.states), "seq": self._seq}

    def tick(self, now: float, *, always: bool = False, whole: bool = False) -> Tick | None:
        """Return the message that brings the widget up to date, or None when nothing changed.

        Args:
            now: epoch seconds.
            always: even when nothing changed (the last message of a batch).
            whole: with the whole mosaic, for a widget that has missed a message.
        """
        self._ask_why(now)
        with self._lock:
            ranges = self._watcher.take()
            view = self._fold(now)
            whole = whole or view.done
            if not (always or whole or ranges or self._is_news(view, now)):
                return None
            codes = bytes(self.batch.states)
            grown, self._n = len(codes) != self._n, len(codes)
            packed = None if whole or grown else mosaic.pack_ranges(codes, ranges)
            self._seq += 1
            content = {"k": "tick", "seq": self._seq, "whole": packed is None, "ranges": len(ranges)}
            content.update(self._head(view, None if whole else self._sent, now))
            self._sent, self._sent_at = view, now
            return Tick(content, [codes if packed is None else packed])

    def close(self) -> None:
        """Stop watching the batch."""
        self._watcher.close()

    def let_go(self) -> None:
        """Hold no arguments and no results of a batch that has ended well: the card may stay for long."""
        with self._lock:
            if self.batch.all_ended and not (self.batch.failed_count or self.batch.revoked_count):
                self.calls.let_go()
                self.batch = self.batch.to_be_shown()
                self._board.show(self.batch)
                self._watcher = self.batch.watch()

    def _fold(self, now: float) -> View:
        return self._board.fold(now, stopping=self.stopping, reason=self._reason)

    def _head(self, view: View, last: View | None, now: float) -> dict[str, Any]:
        """Return the view for the widget; failures and output only where they differ from the last message's."""
        head: dict[str, Any] = {"now": now, "view": dataclasses.asdict(said(view))}
        if last is None or view.failures != last.failures:
            head["failures"] = [dataclasses.asdict(failure) for failure in failures_said(view)]
        if last is None or view.output != last.output:
            head["output"] = view.output
        if self.preview is not None:
            head["preview"] = dataclasses.asdict(self.preview)
        return head

    def _is_news(self, view: View, now: float) -> bool:
        if self._sent is None or now - self._sent_at >= PACE_EVERY_S:
            return view != self._sent
        paceless = dataclasses.replace(view, rate=self._sent.rate, remaining_s=self._sent.remaining_s)
        return paceless != self._sent

    def _ask_why(self, now: float) -> None:
        batch = self.batch
        if batch.finished_count != self._finished:
            self._finished, self._moved_at = batch.finished_count, now
        # Calls of a task with a rate limit wait while others of them run and end.
        limited = batch.rate_limit is not None
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


def tables() -> dict[str, Any]:
    """Return what the page needs to know once: states by their codes, how to lay them out, how to say a time."""
    return {
        "states": [{"name": look.state, "word": look.word, "colour": look.css} for look in LOOKS],
        "failure": FAILURE_CODE,
        "loudest": LOUDEST,
        "layouts": LAYOUTS,
        "most_cells": MOST_CELLS,
        "spans": SPANS,
    }


def _joined(pattern: str) -> str:
    """Return files of the page as one: a widget has one module and one style sheet, and nothing here builds them."""
    return "\n".join(path.read_text("utf-8") for path in sorted(_FILES.glob(pattern)))


@functools.cache
def widget_class() -> type[Any]:
    """Return the widget's class, made when it is first needed: a worker machine has no anywidget.

    Raises:
        ImportError: anywidget is not installed.
    """
    import anywidget
    import traitlets

    class CardWidget(anywidget.AnyWidget):
        _esm = _joined("*.js")
        _css = style_sheet() + _joined("*.css")
        tables = traitlets.Dict(tables()).tag(sync=True)
        head = traitlets.Dict().tag(sync=True)
        mosaic = traitlets.Bytes().tag(sync=True)
        seq = traitlets.Int().tag(sync=True)
        #: Its own id, by which the page finds the card's outputs in the notebook.
        card = traitlets.Unicode().tag(sync=True)

        def __init__(self, card: Card, on_message: Callable[[dict[str, Any]], None]) -> None:
            self._card = card
            own_id = uuid.uuid4().hex
            super().__init__(card=own_id, model_id=own_id)
            self.on_msg(lambda _widget, content, _buffers: on_message(content))
            answer_where_asked(self.comm)

        def get_state(self, *arguments: Any, **options: Any) -> Any:
            # Made when somebody asks for it: a reloaded page gets the truth, and no trait is written
            # (and sent) while the card lives on messages.
            self._trait_values.update(self._card.full_state())
            return super().get_state(*arguments, **options)

    return CardWidget


def answer_where_asked(comm: Any) -> None:
    """Let clicks be handled while a cell blocks.

    From 7.4 on ipykernel sends them to the shell that last sent on the comm, which is the one that blocks;
    before that, to the one that the front end had named. The method is private, hence the look.
    """
    if hasattr(type(comm), "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default
