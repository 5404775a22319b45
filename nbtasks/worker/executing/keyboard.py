"""What asks somebody at a keyboard: a task has nobody there, and is told so."""

from __future__ import annotations

import builtins
import os
import sys
from typing import Any, NoReturn

_ADVICE = "run it in the notebook without the task, or with %%task --here, to look at it step by step"


def install() -> None:
    """Have ``input()`` and ``breakpoint()`` say what to do in their place."""
    builtins.input = _input
    if not os.environ.get("PYTHONBREAKPOINT"):
        # Who has set that has a debugger of their own, which may work over a network.
        sys.breakpointhook = _breakpoint


def _input(prompt: object = "", /) -> str:
    raise EOFError(
        f"input({str(prompt)!r:.80}): a task has nobody to ask; ask before, in the notebook, and pass the answer"
    )


def _breakpoint(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError(f"breakpoint(): a task has nobody at a keyboard; {_ADVICE}")


def of_debugger(kind: type) -> str | None:
    """Return what to do where a debugger has ended for want of somebody at a keyboard."""
    is_quit = (kind.__module__, kind.__name__) == ("bdb", "BdbQuit")
    return f"a debugger has nobody at a keyboard in a task: {_ADVICE}" if is_quit else None
