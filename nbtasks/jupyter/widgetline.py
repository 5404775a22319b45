"""What goes between a widget and the pages that show it: their greeting, the beat, saved forms for the file.

A page says whether it keeps the saved form in the notebook's file itself (page/keeper.js); elsewhere that takes the
widget's place at the end. A page of which nothing is heard has no widgets: it gets snapshots.
At the other end is page/kernelline.js.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import Any

#: Seconds that a page has to say that its widget lives, and between snapshots where it does not.
HELLO_WITHIN_S = 2.0
SNAPSHOT_EVERY_S = 0.5
#: Seconds between saved forms for the notebook's file.
KEEP_EVERY_S = 8.0
#: Seconds after which a page is told that the kernel still lives.
BEAT_EVERY_S = 2.0
#: What a page is told of which nothing is heard.
NO_HELLO = (
    "This page shows no widgets. For live cards with buttons: pip install 'nbtasks[jupyter]' where Jupyter itself "
    "runs, then reload the page."
)


class Due(Enum):
    """What is to be done with the outputs of a widget."""

    NOTHING = 0
    SNAPSHOT = 1
    SAVED_FORM = 2
    END = 3


class WidgetLine:
    """Of one widget, in however many pages. Only the writer's thread sends.

    Attributes:
        is_heard: whether a page has said that the widget lives there.
        keeps: whether a page keeps the file up to date itself.
        is_replaced: whether snapshots, or a saved form, stand in the place of the widget.
    """

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self.is_heard = self.keeps = self.is_replaced = False
        self._shown_at = self._sent_at = self._kept_at = time.time()
        self._replaced_at = 0.0

    def note_shown(self) -> None:
        """The widget was shown, or shown again: pages may greet from now on."""
        self._shown_at = time.time()

    # -- sent

    def tell(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send something to the pages."""
        self._sent_at = time.time()
        self._widget.send(content, buffers)

    def beat(self, now: float) -> None:
        """Say that the kernel lives, where nothing else was said for a while."""
        if now - self._sent_at >= BEAT_EVERY_S:
            self.tell({"k": "beat"})

    def keep(self, saved: dict[str, Any]) -> None:
        """Have pages keep a saved form, by MIME type, in the file."""
        self._kept_at = time.time()
        self.tell({"k": "still", "data": saved})

    def retire(self) -> None:
        """Close the widget; its saved form stays."""
        self.tell({"k": "retire"})
        self._widget.close()

    # -- heard

    def is_deaf(self, now: float) -> bool:
        """Whether no page has greeted that could have done so by now."""
        return not self.is_heard and now - self._shown_at >= HELLO_WITHIN_S

    def wants_keeping(self, now: float) -> bool:
        """Whether the last saved form is old."""
        return now - self._kept_at >= KEEP_EVERY_S

    def due(self, now: float, ended: bool) -> Due:
        """Return what is to be done now.

        Args:
            ended: what it shows has ended.
        """
        deaf = self.is_deaf(now)
        if ended and (self.is_heard or deaf):
            return Due.END
        if deaf and now - self._replaced_at >= SNAPSHOT_EVERY_S:
            self._replaced_at, self.is_replaced = now, True
            return Due.SNAPSHOT
        return Due.SAVED_FORM if self.keeps and self.wants_keeping(now) else Due.NOTHING

    def greet(self, content: dict[str, Any], put_back: Callable[[], None]) -> None:
        """Answer a page that says that the widget lives there.

        Args:
            content: what it says.
            put_back: puts the widget in the place of the snapshots.
        """
        self.is_heard = True
        self.keeps = self.keeps or bool(content.get("keeps"))
        self.tell({"k": "welcome"})
        if self.is_replaced:
            self.is_replaced, self._replaced_at = False, 0.0
            put_back()


def place_of(widget: Any) -> dict[str, Any]:
    """Return the metadata of outputs by which a page finds those of a widget."""
    return {"nbtasks": {"card": widget.model_id}}


def bundle_of(widget: Any, saved: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return data and metadata of an output that is a widget, or its saved form where there are none."""
    data, metadata = widget._repr_mimebundle_()
    return {**data, **saved}, {**metadata, **place_of(widget)}
