"""What a process tells the children that ``multiprocessing`` starts anew: where its calls go.

Such a child knows nothing of the objects of its parent. An App with defaults would go to another server in silence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_VARIABLE = "NBTASKS_PARENT_BROKER"


def tell_children(where: str) -> None:
    """Have child processes know where calls go here; empty where they go by the environment, as theirs would."""
    if where:
        os.environ[_VARIABLE] = where
    else:
        os.environ.pop(_VARIABLE, None)


def told_by_parent() -> str:
    """Return where calls go in the process that has started this one by ``multiprocessing``; empty where unknown."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return ""
    return os.environ.get(_VARIABLE, "")


def at_exit_of_child(action: Callable[[], Callable[[], object] | None]) -> None:
    """Have something done at the end of a child of ``multiprocessing``, which may end without a look at ``atexit``.

    Args:
        action: returns what is to be done, None where that is no longer needed.
    """
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    def act() -> None:
        found = action()
        if found is not None:
            found()

    Finalize(None, act, exitpriority=10)
