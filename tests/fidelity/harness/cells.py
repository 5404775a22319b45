"""What the comparison of cells does in the kernel: describe what came back, describe what a plain cell has given."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

from description import described
from notebook import FOLDERS, own_classes, snapshot
from outcome import of_result

PATIENCE_S = 90.0

#: (item, "here" or "there") -> outcomes; what a cell has printed is known outside.
_found: dict[tuple[str, str], list[Any]] = {}
_before: dict[str, Any] = {}
_after: dict[str, Any] = {}


def begin() -> None:
    """Make the modules beside the notebook importable."""
    sys.path[:0] = map(str, FOLDERS)


def read_all(names: list[str]) -> None:
    """Read the results of all task cells, which are in the notebook under ``there_<name>``."""
    space = vars(sys.modules["__main__"])
    own = own_classes()
    _before.update(snapshot())
    for name in names:
        handle = space.get(f"there_{name}")
        if handle is not None:
            results = list(handle) if hasattr(handle, "completed_count") else [handle]
            _found[name, "there"] = [of_result(result, own, PATIENCE_S) for result in results]
    _after.update(snapshot())


def look(name: str, printed: str) -> None:
    """Note what the cell before this one has given."""
    from IPython import get_ipython

    ran = get_ipython().last_execution_result
    error = ran.error_before_exec or ran.error_in_exec
    own = own_classes()
    given = ("value", described(ran.result, own)) if error is None else _error(error, own)
    _found.setdefault((name, "here"), []).append((given, printed))


def _error(error: BaseException, own: Any) -> Any:
    return "error", f"{type(error).__name__}: {error}", described(error, own)


def write(path: str) -> None:
    """Hand all over to the process that runs the notebook."""
    Path(path).write_bytes(pickle.dumps((_found, _before, _after)))
