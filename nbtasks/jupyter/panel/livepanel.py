"""A panel that is kept up to date while somebody looks at it, and where one can act.

The page says that the panel is on show, again and again; when it has not said so for a while, nothing is asked and
nothing is sent any more, until it says so again.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import NbtasksError
from nbtasks.jupyter.card.looks import style_sheet
from nbtasks.jupyter.liveoutput import as_of, joined, live_widget_class

from .paneloutput import PanelOutput, SavedForm
from .table import Panel

if TYPE_CHECKING:
    from nbtasks.jupyter.card.writer import Writer

_log = logging.getLogger("nbtasks")
#: Scripts of the card that the panel shares.
_SHARED = ("custody.js", "elements.js", "greeting.js", "keeper.js", "kernelline.js", "lifecycle.js")
#: Seconds for which one word of the page counts that the panel is on show; it says so three times as often.
LEASE_S = 30.0
#: Seconds between two looks, at first and where nothing has changed for long.
LOOK_EVERY_S = 1.0
LOOK_AT_LEAST_EVERY_S = 10.0
_SLOWER = 1.2
_LONGEST_NAME = 300


class LivePanel:
    """One panel in one output.

    Args:
        look: returns what it shows now.
        act: does what a button says (action, key of the row or ""); returns what is to be said of that.
    """

    def __init__(
        self, shell: Any, writer: Writer, look: Callable[[], Panel], act: Callable[[LivePanel, str, str], str]
    ) -> None:
        self._writer = writer
        self._look = look
        self._act = act
        #: The request whose cell shows it: what it brings goes below it.
        self.cell = shell.kernel.get_parent()
        self.on_first_look: Callable[[], None] = lambda: None
        self.on_placed: Callable[[str, bool], None] = lambda _card, _placed: None
        self._panel = look()
        self._shown = self._panel.live()
        self._looked_at = 0.0
        self._every_s = LOOK_EVERY_S
        self._until = 0.0
        self._followed = self._greeted = False
        self.widget = _widget_class()(lambda: {"panel": self._shown}, self._receive)
        self._output = PanelOutput(shell.display_pub, self.widget, self._still)

    def show(self) -> None:
        """Show the panel in the cell that runs now."""
        self._output.show()
        self._writer.follow(self)

    def close(self) -> None:
        """Let the saved form take its place."""
        self._output.retire()

    def tell(self, content: dict[str, Any]) -> None:
        """Send something to the page; on the writer's thread only."""
        self._output.tell(content)

    def _still(self, hint: str) -> SavedForm:
        return still(self._panel, hint)

    def tick(self, now: float) -> bool:
        """Called by the writer."""
        if now >= self._until:
            self._followed = False
            return self._output.waits_for_page(now)
        if now - self._looked_at >= self._every_s:
            self._looked_at = now
            self._refresh(now)
        return True

    def _refresh(self, now: float) -> None:
        try:
            self._panel = self._look()
        except NbtasksError as problem:
            self.tell({"k": "said", "text": str(problem)})
            return
        content = self._panel.live()
        if content == self._shown:
            self._every_s = min(LOOK_AT_LEAST_EVERY_S, self._every_s * _SLOWER)
            return
        self._shown, self._every_s = content, LOOK_EVERY_S
        self.tell({"k": "panel", "panel": content})
        if self._output.wants_keeping(now):
            self._output.keep()

    # -- what the page says; on whichever thread Jupyter runs this

    def _receive(self, content: dict[str, Any]) -> None:
        kind = content.get("t")
        if kind == "hello":
            self._writer.note(self._output.greet)
        elif kind == "look":
            self._writer.note(self._on_look)
        elif kind == "away":
            self._writer.note(self._on_away)
        elif kind == "placed" and isinstance(content.get("card"), str):
            self._writer.note(lambda: self.on_placed(content["card"], content.get("ok") is True))
        elif kind == "do":
            action, key = content.get("action"), content.get("key")
            if isinstance(action, str) and isinstance(key, str) and len(action + key) < _LONGEST_NAME:
                # It may take seconds, and cards are not to wait for it.
                threading.Thread(
                    target=self._do, args=(action, key), name="nbtasks-panel", daemon=True
                ).start()

    def _on_look(self) -> None:
        self._until = time.time() + LEASE_S
        if not self._followed:
            self._followed = True
            self._looked_at, self._every_s = 0.0, LOOK_EVERY_S
            self._writer.follow(self)
        if not self._greeted:
            self._greeted = True
            self.on_first_look()

    def _on_away(self) -> None:
        self._until = 0.0
        self._panel = self._look()
        self._output.keep()

    def _do(self, action: str, key: str) -> None:
        try:
            said = self._act(self, action, key)
        except NbtasksError as problem:
            said = str(problem)
        except Exception as problem:  # noqa: BLE001 - it is said where it was asked for
            _log.debug("a panel's button failed", exc_info=True)
            said = f"{type(problem).__name__}: {problem}"
        self._writer.note(lambda: self._answer(said))

    def _answer(self, said: str) -> None:
        self._looked_at, self._every_s = 0.0, LOOK_EVERY_S
        self.tell({"k": "said", "text": said})


def still(panel: Panel, hint: str = "") -> SavedForm:
    """Return what stands in a panel's place without a kernel, with one more sentence."""
    return {"text/html": panel.html(hint=f"{as_of()}. {hint}".rstrip()), "text/plain": panel.text()}


@functools.cache
def _widget_class() -> type[Any]:
    import traitlets

    class PanelWidget(live_widget_class()):  # type: ignore[misc]  # the class is made at run time
        script = joined(*_SHARED, "panel/*.js")
        style = style_sheet() + joined("card.css", "panel/*.css")
        panel = traitlets.Dict().tag(sync=True)

    return PanelWidget
