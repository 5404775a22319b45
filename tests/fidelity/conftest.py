"""What tests of fidelity share: code that stands in ``__main__``, as a notebook's does."""

from __future__ import annotations

import linecache
import sys
import textwrap
from itertools import count
from types import ModuleType
from typing import Any

import pytest

_numbers = count(1)


class Notebook:
    """Cells that run one after the other in a ``__main__`` of their own."""

    def __init__(self) -> None:
        self.module = ModuleType("__main__")

    def run(self, source: str, **names: Any) -> Any:
        """Run a cell with these names added; returns the value of its last line where that is an expression."""
        text, file = textwrap.dedent(source).strip("\n") + "\n", f"<cell {next(_numbers)}>"
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        space = vars(self.module)
        space.update(names)
        *_, last = lines = text.splitlines()
        try:
            code = compile(last, file, "eval")
        except SyntaxError:
            exec(compile(text, file, "exec"), space)
            return None
        exec(compile("\n".join(lines[:-1]) + "\n", file, "exec"), space)
        return eval(code, space)

    def __getitem__(self, name: str) -> Any:
        return vars(self.module)[name]


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """A notebook without a kernel: what its cells define belongs to ``__main__``, and so travels by value."""
    made = Notebook()
    monkeypatch.setitem(sys.modules, "__main__", made.module)
    return made
