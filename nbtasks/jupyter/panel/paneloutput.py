"""The output of a panel or a dashboard: a widget, and what stands in its place where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbtasks.jupyter.outputplaces import OutputPlaces
from nbtasks.jupyter.widgetline import NO_HELLO, WidgetLine, bundle_of

#: By MIME type.
SavedForm = dict[str, str]


class PanelOutput:
    """Shows it, answers the page's greeting, and has pages keep its saved form.

    Args:
        publisher: of the shell.
        saved: returns the saved form as it is now, with one more sentence.
    """

    def __init__(self, publisher: Any, widget: Any, saved: Callable[[str], SavedForm]) -> None:
        self.widget = widget
        self._places = OutputPlaces(publisher)
        self._line = WidgetLine(widget)
        self.tell = self._line.tell
        self.wants_keeping = self._line.wants_keeping
        self._saved = saved
        self._kept = saved("")

    def show(self) -> None:
        """Show it in the cell that runs now."""
        self._places.show(*bundle_of(self.widget, self._kept), self._places.begin())
        self._line.note_shown()

    def retire(self) -> None:
        """Let the saved form take its place."""
        self._line.retire()

    def keep(self) -> None:
        """Have pages keep the saved form as it is now."""
        self._kept = self._saved("")
        self._line.keep(self._kept)

    def greet(self) -> None:
        """Answer a page that says that the widget lives there; on the writer's thread."""
        self._line.greet({}, self._put_back)
        # Before anybody looks at it, so that the file has no widget.
        self._line.keep(self._kept)

    def _put_back(self) -> None:
        self._places.replace(*bundle_of(self.widget, self._kept))

    def waits_for_page(self, now: float) -> bool:
        """Whether the page may still say that it has widgets; one that has none gets the saved form."""
        if self._line.is_heard or self._line.is_replaced:
            return False
        if not self._line.is_deaf(now):
            return True
        self._line.is_replaced = True
        self._places.replace(self._saved(NO_HELLO), {})
        return False
