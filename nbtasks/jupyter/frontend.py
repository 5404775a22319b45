"""What kind of shell this is and who looks at it: a page with widgets, a terminal, or nobody."""

from __future__ import annotations

import os
import sys
from typing import Any

from nbtasks.core.shownlines import show


def has_kernel(shell: Any) -> bool:
    """Whether the shell is a Jupyter kernel's, so that outputs can be shown and replaced."""
    return getattr(shell, "kernel", None) is not None


def is_watched(shell: Any) -> bool:
    """Whether somebody sees what happens after a cell has ended.

    nbclient, papermill and nbconvert run a notebook without anybody to ask, and say so in each request.
    ``NBTASKS_INTERACTIVE`` (0 or 1) decides by hand.
    """
    by_hand = os.environ.get("NBTASKS_INTERACTIVE", "")
    if by_hand in {"0", "1"}:
        return by_hand == "1"
    return can_ask(shell)


def can_ask(shell: Any) -> bool:
    """Whether somebody can be asked: a debugger needs that."""
    return not has_kernel(shell) or bool(getattr(shell.kernel, "_allow_stdin", True))


def takes_updates_of_threads(shell: Any) -> bool:
    """Whether the page shows what threads send. Colab does not: googlecolab/colabtools#3373."""
    return not has_kernel(shell) or "google.colab" not in sys.modules


def is_captured(shell: Any) -> bool:
    """Whether outputs are being collected (``%%capture``): a widget there would be shown later, or never."""
    from IPython.core.displaypub import CapturingDisplayPublisher

    return isinstance(shell.display_pub, CapturingDisplayPublisher)


def running_cell(shell: Any) -> str:
    """Return what names the execution that is under way."""
    if has_kernel(shell):
        return str(shell.kernel.get_parent().get("header", {}).get("msg_id", ""))
    return str(shell.displayhook.prompt_count)


def register_source(shell: Any, source: str) -> str:
    """Make tracebacks show ``source`` as the cell that runs now; returns the file name to compile it with.

    Not by ``shell.compile.cache()``: in a kernel that gives a name ending in ``.py``, and IPython shows the wrong
    lines of frames that were rebuilt from a worker's traceback when a file of such a name does not exist.
    """
    from IPython.core.compilerop import code_name

    number = shell.displayhook.prompt_count
    filename = code_name(source, number)
    show(filename, source)
    names = getattr(shell.compile, "_filename_map", None)
    if names is not None:  # private; without it a traceback says <ipython-input-7-...> in place of Cell In[7]
        names[filename] = number
    return str(filename)
