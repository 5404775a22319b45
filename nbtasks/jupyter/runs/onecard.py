"""The card of a run as a widget by itself, for pages that keep their outputs themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtasks.jupyter.card.card import widget_class
from nbtasks.jupyter.widgetline import WidgetLine

from .opencard import OpenCard

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run
    from nbtasks.jupyter.card.writer import Writer


class OneCard:
    """A card that a writer follows until its run has ended, and again when calls of it run again."""

    def __init__(self, run: Run, writer: Writer) -> None:
        self._run = run
        self._card = OpenCard(run, self._tell, lambda: writer.follow(self))
        self.widget: Any = widget_class()(self._card.full_state, self._card.receive)
        self._line = WidgetLine(self.widget)

    def tick(self, now: float) -> bool:
        """Called by the writer."""
        ended = self._run.ended_at is not None
        self._card.tick(now)
        self._line.beat(now)
        return not ended

    def _tell(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self._line.tell(content, buffers)
