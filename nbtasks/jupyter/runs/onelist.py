"""One list of runs on show: an output that is kept up to date, or renewed where nobody watches.

As with cards, the list is an output with a display id; where the page keeps the notebook's file up to date itself, the
widget stays in it, elsewhere its saved form takes its place at the end.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.loosecalls import LooseCalls
from nbtasks.core.errors import NbtasksError
from nbtasks.jupyter.card import words
from nbtasks.jupyter.card.card import tables
from nbtasks.jupyter.card.looks import style_sheet
from nbtasks.jupyter.liveoutput import as_of, joined, live_widget_class
from nbtasks.jupyter.outputplaces import OutputPlaces
from nbtasks.jupyter.widgetline import NO_HELLO, SNAPSHOT_EVERY_S, Due, WidgetLine, bundle_of, place_of

from . import savedlist
from .listsaid import ATTACH_HINT, ListSaid, RowOfRun, list_said
from .opencard import OpenCard

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.loosecalls import Run
    from nbtasks.jupyter.card.writer import Writer

#: Seconds between two looks at all runs, and of it for each run: many of them take their time.
_LOOK_EVERY_S = 0.5
_LOOK_PER_RUN_S = 0.005


class StillList:
    """A list for notebooks that nobody watches: it changes only when :meth:`update` is called."""

    def __init__(self, shell: Any, runs: Iterable[Run]) -> None:
        self.runs = list(runs)
        self._places = OutputPlaces(shell.display_pub)
        # A page drops the update of an output that it has not seen yet.
        self._in_order = threading.RLock()
        self._stopping = False
        self.finished = False

    def show(self) -> None:
        """Show the list in the cell that runs now."""
        with self._in_order:
            self._places.show(*self._bundle(), self._places.begin())

    def take_place(self, display_id: str) -> None:
        """Show the list in the place of an output."""
        with self._in_order:
            self._places.update(*self._bundle(), self._places.begin(display_id))

    def add(self, run: Run) -> None:
        """One more run."""
        with self._in_order:
            self.runs.append(run)
            self.finished = False

    def shows(self, batch: Ledger) -> bool:
        """Whether calls of ``batch`` are in it."""
        return any(
            run is batch or (isinstance(run, LooseCalls) and batch in run.ledgers) for run in self.runs
        )

    @property
    def can_go_on(self) -> bool:
        """Whether calls may be submitted again: nobody does so with those that have succeeded."""
        return any(run.failed_count or run.revoked_count for run in self.runs)

    def retire(self) -> None:
        """Nothing more comes of it."""

    def go_on(self) -> None:
        """Calls run again, in the rows that they have."""
        with self._in_order:
            self.finished = self._stopping = False

    def update(self) -> None:
        """Replace what is shown by a snapshot of now; the last one once all have ended."""
        with self._in_order:
            if not self.finished:
                self.finished = all(run.ended_at is not None for run in self.runs)
                self._places.replace(self._still(), {})

    def _bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._still(), {}

    def _said(self) -> tuple[ListSaid, tuple[RowOfRun, ...]]:
        return list_said(self.runs, self._stopping)

    def _still(self) -> dict[str, Any]:
        told, rows = self._said()
        hint = "" if told.done else self._hint()
        return {"text/html": savedlist.html(told, rows, hint), "text/plain": savedlist.text(told, rows)}

    def _hint(self) -> str:
        return f"{as_of()}; {ATTACH_HINT}"


class SnapshotList(StillList):
    """A list that is replaced twice a second: for a page without widgets."""

    _updated_at = 0.0

    def tick(self, now: float) -> bool:
        """Called by the writer."""
        if now - self._updated_at >= SNAPSHOT_EVERY_S:
            self._updated_at = now
            self.update()
        return not self.finished


class LiveList(StillList):
    """A list with a widget, which the writer keeps up to date."""

    def __init__(self, shell: Any, runs: Iterable[Run], writer: Writer) -> None:
        super().__init__(shell, runs)
        self._writer = writer
        self._open: dict[str, OpenCard] = {}
        self._seq = 0
        self._told: tuple[ListSaid | None, dict[str, RowOfRun]] = (None, {})
        self._looked_at = 0.0
        self.widget = _widget_class()(lambda: {"list": self._whole()}, self._receive)
        self._line = WidgetLine(self.widget)

    def tick(self, now: float) -> bool:
        """Called by the writer."""
        for card in list(self._open.values()):
            card.tick(now)
        ended = all(run.ended_at is not None for run in self.runs)
        if ended or now - self._looked_at >= _LOOK_EVERY_S + _LOOK_PER_RUN_S * len(self.runs):
            self._looked_at = now
            self._tell_news(now)
        match self._line.due(now, ended):
            case Due.END:
                self._end()
            case Due.SNAPSHOT:
                self.update()
            case Due.SAVED_FORM:
                self._keep()
        self._line.beat(now)
        return not self.finished or bool(self._open)

    def add(self, run: Run) -> None:
        """One more run."""
        with self._in_order:
            ended = self.finished
            super().add(run)
            if ended and not self._line.keeps:
                # Its saved form stands there.
                self._line.note_shown()
                self._places.replace(*self._bundle())

    def retire(self) -> None:
        """Close the widget; its saved form stays."""
        self._line.retire()

    def _bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return bundle_of(self.widget, self._still())

    def _hint(self) -> str:
        return super()._hint() + (f" {NO_HELLO}" if self._line.is_replaced else "")

    def _end(self) -> None:
        with self._in_order:
            if self.finished:
                return
            if any(run.ended_at is None for run in self.runs):
                return
            self.finished = True
            if not self._line.keeps:
                self._places.replace(self._still(), place_of(self.widget))
            # It may stay for long: it holds no arguments and no results of what nobody runs again.
            self.runs = [
                one if one.failed_count or one.revoked_count else one.to_be_shown() for one in self.runs
            ]
        self._keep()

    def _keep(self) -> None:
        if self._line.keeps:
            self._line.keep(self._still())

    # -- what is sent

    def _whole(self) -> dict[str, Any]:
        """Return all of it, for a page that starts from nothing."""
        with self._in_order:
            told, rows = self._said()
            return {**self._message(told, rows), "order": [row.key for row in rows]}

    def _message(self, told: ListSaid, rows: Iterable[RowOfRun]) -> dict[str, Any]:
        listed = [dataclasses.asdict(row) for row in rows]
        return {"head": dataclasses.asdict(told), "rows": listed, "seq": self._seq, "now": time.time()}

    def _tell_news(self, now: float) -> None:
        """Tell which rows have changed; where others are shown than before, all of them."""
        with self._in_order:
            told, rows = self._said()
            by_key = {row.key: row for row in rows}
            before, known = self._told
            news = [row for row in rows if known.get(row.key) != row]
            if told == before and not news:
                return
            self._told = told, by_key
            self._seq += 1
            same = list(known) == list(by_key)
            message = {"k": "runs", **self._message(told, news if same else rows)}
            if not same:
                message["order"] = list(by_key)
            self._line.tell(message)

    # -- what the page says; on whichever thread Jupyter runs this, the writer does the work

    def _receive(self, content: dict[str, Any]) -> None:
        kind, key = content.get("t"), content.get("key")
        if kind == "hello":
            self._writer.note(lambda: self._greet(content))
        elif kind in ("cancel", "retry"):
            self._writer.note(self._cancel if kind == "cancel" else self._retry)
        elif kind == "resync":
            self._writer.note(lambda: self._line.tell({"k": "runs", **self._whole()}))
        elif kind == "open" and self._is_key(key):
            self._writer.note(lambda: self._open_card(str(key)))
        elif kind == "shut" and isinstance(key, str):
            self._writer.note(lambda: self._shut_card(key))
        elif kind == "of" and isinstance(key, str) and isinstance(content.get("m"), dict):
            self._writer.note(lambda: self._pass_on(key, content["m"]))

    def _is_key(self, key: Any) -> bool:
        return isinstance(key, str) and key.isascii() and key.isdigit() and int(key) < len(self.runs)

    def _greet(self, content: dict[str, Any]) -> None:
        self._line.greet(content, self._put_back)
        if content.get("keeps"):
            self._keep()

    def _put_back(self) -> None:
        if not self.finished:
            with self._in_order:
                self._places.replace(*self._bundle())

    def _cancel(self) -> None:
        self._stopping = True
        for run in self.runs:
            if not run.done:
                run.revoke(terminate=True, how="cancelled from the list")
        self._tell_news(time.time())

    def _retry(self) -> None:
        n, problems = 0, []
        for run in list(self.runs):
            bad = run.failed_count + run.revoked_count
            if run.failed_count:
                try:
                    run.retry_failed()
                    n += bad
                except NbtasksError as problem:
                    problems.append(str(problem))
        failed = f"The calls that had failed run again: {words.calls(n)}."
        self._line.tell({"k": "said", "text": problems[0] if problems else failed})
        self.go_on()

    def go_on(self) -> None:
        """Calls run again, in the rows that they have."""
        with self._in_order:
            ended, self.finished, self._stopping = self.finished, False, False
            if ended and not self._line.keeps:
                # Its saved form stands there.
                self._line.note_shown()
                self._places.replace(*self._bundle())
        self._writer.follow(self)

    def _open_card(self, key: str) -> None:
        def tell(content: dict[str, Any], buffers: list[bytes]) -> None:
            self._line.tell({"k": "of", "key": key, "m": content}, buffers)

        self._shut_card(key)
        card = self._open[key] = OpenCard(self.runs[int(key)], tell, self.go_on)
        state, mosaic = card.state()
        self._line.tell({"k": "opened", "key": key, "state": state}, [mosaic])
        # An ended list is followed again as long as a card is open: what one sees there may go on.
        self._writer.follow(self)

    def _shut_card(self, key: str) -> None:
        card = self._open.pop(key, None)
        if card is not None:
            card.close()

    def _pass_on(self, key: str, content: dict[str, Any]) -> None:
        card = self._open.get(key)
        if card is not None:
            card.receive(content)


@functools.cache
def _widget_class() -> type[Any]:
    """Return the widget's class, made when it is first needed.

    Raises:
        ImportError: anywidget is not installed.
    """
    import traitlets

    class RunsWidget(live_widget_class()):  # type: ignore[misc]  # the class is made at run time
        # All that a card has, but what makes a widget of it.
        script = joined("[!w]*.js", "runs/*.js")
        style = style_sheet() + joined("*.css", "runs/*.css")
        tables = traitlets.Dict(tables()).tag(sync=True)
        list = traitlets.Dict().tag(sync=True)

    return RunsWidget
