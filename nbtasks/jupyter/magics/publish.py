"""Show a panel or a sentence in the cell that runs: rich in a notebook, as text in a terminal."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtasks.jupyter.frontend import has_kernel, is_captured
from nbtasks.jupyter.panel.livepanel import LivePanel

if TYPE_CHECKING:
    from nbtasks.jupyter.card.display import Display
    from nbtasks.jupyter.panel.table import Panel

#: Live panels of one notebook, the newest; the others keep what they have shown last.
_MOST_LIVE = 20


class Panels:
    """Shows the panels of one shell, live where somebody looks."""

    def __init__(self, shell: Any, display: Display) -> None:
        self._shell = shell
        self._display = display
        self._live: deque[LivePanel] = deque()

    def show(self, look: Callable[[], Panel], act: Callable[[LivePanel, str, str], str]) -> LivePanel | None:
        """Show a panel, for arguments as of :class:`LivePanel`; returns it where it is live."""
        shell = self._shell
        if not has_kernel(shell) or not self._display.is_live() or is_captured(shell):
            show_panel(shell, look())
            return None
        try:
            panel = LivePanel(shell, self._display.writer, look, act)
        except ImportError:
            show_panel(shell, look())
            return None
        panel.show()
        self._live.append(panel)
        while len(self._live) > _MOST_LIVE:
            self._display.writer.note(self._live.popleft().close)
        return panel


def show_panel(shell: Any, panel: Panel) -> None:
    """Show a panel as it is now."""
    if has_kernel(shell):
        shell.display_pub.publish({"text/html": panel.html(), "text/plain": panel.text()})
    else:
        say(panel.text())


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
