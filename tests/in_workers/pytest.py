"""What a test module asks of pytest where a worker runs it, which is to let it be imported.

The real one takes longer to import than a worker takes to start, in every child anew. Whoever uses more of it gets it.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any


class _Mark:
    """Stands for whatever decorates a test; no test runs here."""

    def __getattr__(self, name: str) -> _Mark:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *given: Any, **options: Any) -> _Mark:
        return self


mark, fixture, param = _Mark(), _Mark(), _Mark()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_real(), name)


def _real() -> Any:
    known, here = sys.modules["pytest"], Path(__file__).parent
    if known.__dict__ is not globals():
        return known
    spec = PathFinder.find_spec("pytest", [path for path in sys.path if Path(path) != here])
    assert spec is not None
    assert spec.loader is not None
    found = module_from_spec(spec)
    sys.modules["pytest"] = found
    spec.loader.exec_module(found)
    return found
