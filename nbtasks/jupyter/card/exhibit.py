"""One batch on show: its card and the outputs in the notebook that it appears in.

Where the page keeps the notebook's file up to date itself (page/keeper.js), the widget stays and nothing is replaced.
"""

from __future__ import annotations

import functools
import threading
import time
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.wholeworkflow import shown_run
from nbtasks.client.canvas.spread import SpreadResult
from nbtasks.client.group import GroupResult
from nbtasks.core.errors import NbtasksError
from nbtasks.jupyter.liveoutput import as_of
from nbtasks.jupyter.outputplaces import OutputPlaces
from nbtasks.jupyter.widgetline import NO_HELLO, SNAPSHOT_EVERY_S, Due, WidgetLine, bundle_of, place_of

from . import mosaic, saved, words
from .answers import answer
from .beneath import Beneath, belongs_beneath, gallery_of
from .card import Card, Tick, widget_class
from .said import attach_hint

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbtasks.client.result import AsyncResult
    from nbtasks.core.outputs import RichOutput

    from .board import View
    from .writer import Writer

#: Characters of a result that is shown as text.
MOST_TEXT = 4_000
_NO_WIDGETS = "For live cards with buttons: pip install 'nbtasks[jupyter]', then restart the kernel."


class Exhibit:
    """A still card, for notebooks that nobody watches: it changes only when :meth:`update` is called."""

    def __init__(self, shell: Any, handle: AsyncResult | GroupResult, *, preview: bool = True) -> None:
        batch = handle.whole if isinstance(handle, SpreadResult) else handle.batch
        self.card = Card(shown_run(batch), with_results=preview)  # type: ignore[arg-type]
        self.finished = False
        self._shell = shell
        self._handle: AsyncResult | GroupResult | None = handle
        self._preview = preview
        self._width = mosaic.WIDTH
        self._places = OutputPlaces(shell.display_pub)
        # A page drops the update of an output that it has not seen yet.
        self._in_order = threading.Lock()
        self._beneath = Beneath(self._places.update, self._value_beneath)

    def show(self) -> None:
        """Show the card in the cell that runs now."""
        with self._in_order:
            self._places.show(*self._first())
            self._show_beneath()

    def give_up_place(self) -> str:
        """Leave the newest output to something else; returns its display id. Without any other, this is over."""
        with self._in_order:
            place, has_others = self._places.give_up_newest()
            if not has_others:
                self.finished = True
                self.card.close()
            return place

    def reopen(self) -> None:
        """The batch, which had ended, goes on."""
        with self._in_order:
            self.card.reopen()
            self.finished = False

    def retire(self) -> None:
        """Nothing more comes of it."""

    def update(self) -> None:
        """Replace what is shown by a snapshot of now; the last one once the batch has ended."""
        with self._in_order:
            if self.finished:
                return
            view = self.card.view()
            self._places.replace(self._still(view), self._metadata())
            self._beneath.refresh(self.card.batch)
            self._ended(view)

    def _show_beneath(self) -> None:
        """Show what the calls display below the card, in the cell that runs now."""
        # A map's is within the card: who waits for it waits in another cell.
        if self.card.batch.kind != "map":
            self._beneath.show(self.card.batch, self._places.show)

    def _first(self) -> tuple[dict[str, Any], dict[str, Any], str]:
        """Return what a new output shows first: data and metadata by MIME type, and its display id."""
        view = self.card.view()
        data, metadata = self._bundle(view)
        display_id = self._places.begin()
        self._ended(view)
        return data, metadata, display_id

    def _ended(self, view: View) -> None:
        if view.done and not self.finished:
            self.finished = True
            self.card.close()

    def _bundle(self, view: View) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._still(view), {}

    def _metadata(self) -> dict[str, Any]:
        return {}

    def _still(self, view: View) -> dict[str, Any]:
        if view.done:
            self._take_preview()
        page = saved.html(
            view, self.card.codes(), self.card.preview, self._hint(final=view.done), self._width
        )
        return {"text/html": page + self._gallery(), "text/plain": saved.text(view)}

    def _gallery(self) -> str:
        shown = gallery_of(self.card.batch) if self.card.batch.kind == "map" else None
        return "" if shown is None else str(shown.data["text/html"])

    def _value_beneath(self) -> RichOutput | None:
        """Return the result where that is to be drawn below the card."""
        handle = self._handle
        if not self._preview or handle is None or isinstance(handle, GroupResult):
            return None
        value = handle.rich_preview
        return value if value is not None and belongs_beneath(value) else None

    def _hint(self, *, final: bool) -> str:
        if final:
            return ""
        return f"{as_of()}; {attach_hint(self.card.batch.id)}"

    def _take_preview(self) -> None:
        self.card.preview = self.card.preview or self._result_preview()

    def _result_preview(self) -> saved.Preview | None:
        """Return what the worker has made to be shown of the result; the value itself is not rebuilt for that."""
        handle = self._handle
        if not self._preview or handle is None or isinstance(handle, GroupResult) or not handle.successful():
            return None
        shown = handle.preview
        if not shown or self._value_beneath() is not None:
            return None
        text = shown.get("text")
        return saved.Preview(
            html=shown.get("html"),
            png=shown.get("png"),
            text=None if text is None else words.plain(text, MOST_TEXT),
        )


class Followed(Exhibit):
    """A card that is kept up to date when its cell has ended."""

    def _show_beneath(self) -> None:
        self._beneath.show(
            self.card.batch, functools.partial(self._publish_in, self._shell.kernel.get_parent())
        )

    def _publish_in(self, cell: Any, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        """Show one more output of a cell. One that has ended gets it if it is sent as an answer to that cell."""
        kernel = self._shell.kernel
        content = {"data": data, "metadata": metadata, "transient": {"display_id": display_id}}
        topic = kernel._topic("display_data")
        kernel.session.send(kernel.iopub_socket, "display_data", content, parent=cell, ident=topic)

    def _gallery(self) -> str:
        return ""


class Snapshots(Followed):
    """A card that is replaced twice a second: for a page without widgets."""

    def __init__(self, shell: Any, handle: AsyncResult | GroupResult, *, preview: bool = True) -> None:
        super().__init__(shell, handle, preview=preview)
        self._updated_at = time.time()

    def tick(self, now: float) -> bool:
        """Called by the writer."""
        ended = self.card.batch.ended_at is not None
        if ended or now - self._updated_at >= SNAPSHOT_EVERY_S:
            self._updated_at = now
            self.update()
        return not self.finished

    def _hint(self, *, final: bool) -> str:
        return super()._hint(final=final) + ("" if final else f" {_NO_WIDGETS}")


class LiveExhibit(Followed):
    """A card with a widget, which the writer keeps up to date."""

    def __init__(
        self, shell: Any, handle: AsyncResult | GroupResult, writer: Writer, *, preview: bool = True
    ) -> None:
        super().__init__(shell, handle, preview=preview)
        self._writer = writer
        self.cell = shell.kernel.get_parent()
        self.widget = widget_class()(self.card.full_state, self._receive)
        self._beneath.card = self.widget.model_id
        self._line = WidgetLine(self.widget)
        self._told_end = self._width_known = False
        self._last: dict[str, Any] = {}

    def tick(self, now: float) -> bool:
        """Called by the writer."""
        ended = self.card.batch.ended_at is not None
        if ended:
            self._take_preview()
        with self._in_order:
            news = self._beneath.refresh(self.card.batch)
        if news:
            self._note_beneath()
        self._send(self.card.tick(now, always=ended and not self._told_end))  # the last state always gets out
        self._told_end = ended
        match self._line.due(now, ended):
            case Due.END:
                self._end()
            case Due.SNAPSHOT:
                self.update()
            case Due.SAVED_FORM:
                self._keep()
        self._line.beat(now)
        return not self.finished

    def reopen(self) -> None:
        """The batch, which had ended, goes on."""
        super().reopen()
        self._last, self._told_end = {}, False

    def bring_back(self) -> None:
        """Put the widget in the place of the saved form, where that has taken it."""
        with self._in_order:
            if not self._line.keeps:
                self._places.replace(*self._bundle(self.card.view()))

    def retire(self) -> None:
        """Close the widget; its saved form stays."""
        self._line.retire()

    def let_go(self) -> None:
        """Hold no more than a page needs that shows the card after the end, and what may be submitted again."""
        self.card.let_go()
        if not self.card.batch.failed_count:
            self._handle = None

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return data and metadata of an output that is made without this: by the page."""
        return self._bundle(self.card.view())

    def show_below(self, cell: Any) -> None:
        """Show the card as one more output of the cell that a request has run, even if that has ended."""
        self.cell = cell
        with self._in_order:
            self._publish_in(self.cell, *self._first())
            self._beneath.show(self.card.batch, functools.partial(self._publish_in, self.cell))

    # -- what is sent

    def _bundle(self, view: View) -> tuple[dict[str, Any], dict[str, Any]]:
        return bundle_of(self.widget, self._still(view))

    def _metadata(self) -> dict[str, Any]:
        return place_of(self.widget)

    def _ended(self, view: View) -> None:
        pass  # the last tick tells

    def _still(self, view: View) -> dict[str, Any]:
        return self._last or super()._still(view)

    def _hint(self, *, final: bool) -> str:
        return super()._hint(final=final) + (f" {NO_HELLO}" if self._line.is_replaced and not final else "")

    def _end(self) -> None:
        with self._in_order:
            self._last = self._still(self.card.view())
            self.finished = True
            self.card.close()
            if not self._line.keeps:
                self._places.replace(self._last, self._metadata())
        self._keep()

    def _keep(self) -> None:
        if self._line.keeps:
            self._line.keep(self._still(self.card.view()))

    def _send(self, tick: Tick | None) -> None:
        if tick is not None:
            self._line.tell(tick.content, tick.buffers)

    # -- what the page says

    def _receive(self, content: dict[str, Any]) -> None:
        """Take a message of the page; on whichever thread Jupyter runs this, the writer does the work."""
        actions = {"cancel": self._cancel, "retry": self._retry, "resync": self._resync}
        kind = content.get("t")
        if kind in actions:
            self._writer.note(lambda: self._try(actions[kind]))
        elif kind == "hello":
            self._writer.note(lambda: self._greet(content))
        elif kind == "below":
            self._writer.note(lambda: self._bring_beneath(content.get("places")))
        elif kind == "width" and type(content.get("width")) is int:
            self._writer.note(lambda: self._fit(content["width"], changed=bool(content.get("changed"))))
        elif kind == "again" and type(content.get("index")) is int:
            self._writer.note(lambda: self._try(lambda: self._retry(content["index"])))
        else:
            self._writer.note(lambda: self._answer(content))

    def _fit(self, width: int, *, changed: bool) -> None:
        """Make the saved mosaic as wide as the page shows it.

        Args:
            changed: the page has become narrower or wider. One that is merely opened after the end changes no file.
        """
        first, self._width_known = not self._width_known, True
        if self.finished and not first and not changed:
            return
        self._width = max(1, min(mosaic.WIDTH, width))
        if self.finished:
            self._last = {}
            self._last = self._still(self.card.view())
            self._keep()

    def _greet(self, content: dict[str, Any]) -> None:
        self._line.greet(content, self._put_back)
        if content.get("keeps"):
            self._keep()
            self._note_beneath()

    def _put_back(self) -> None:
        if not self.finished:
            with self._in_order:
                self._places.replace(*self._bundle(self.card.view()))

    def _note_beneath(self) -> None:
        """Let pages see whether they have what stands below the card: only the one that ran the cell is sent it."""
        with self._in_order:
            note = self._beneath.note()
        if note is not None and self._line.keeps:
            self._line.tell(note)

    def _bring_beneath(self, places: Any) -> None:
        with self._in_order:
            wanted = self._beneath.asked(places)
        self._line.tell(wanted)

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except NbtasksError as problem:
            self._line.tell({"k": "problem", "text": str(problem)})

    def _cancel(self) -> None:
        self.card.batch.revoke(terminate=True, how="cancelled from the card")
        self.card.stopping = True
        self._resync()

    def _retry(self, index: int | None = None) -> None:
        self.card.calls.batch.retry_failed(index)
        self._line.tell({"k": "retried"})

    def _resync(self) -> None:
        self._send(self.card.tick(time.time(), whole=True))

    def _answer(self, asked: dict[str, Any]) -> None:
        found = answer(self.card.calls, asked)
        if found is not None:
            self._line.tell(*found)
