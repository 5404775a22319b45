"""Show a panel or a sentence in the cell that runs: rich in a notebook, as text in a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nbtasks.jupyter.frontend import has_kernel

if TYPE_CHECKING:
    from .panels import Panel


def show_panel(shell: Any, panel: Panel) -> None:
    """Show a panel."""
    if has_kernel(shell):
        shell.display_pub.publish({"text/html": panel.html(), "text/plain": panel.text()})
    else:
        say(panel.text())


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
