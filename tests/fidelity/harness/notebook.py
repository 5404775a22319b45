"""The notebook of a comparison: corpus files run in ``__main__``, as cells do, and what must not change in it."""

from __future__ import annotations

import decimal
import io
import locale
import logging
import os
import random
import signal
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from description import Classes, described

CORPUS = Path(__file__).parent.parent / "corpus"
#: Beside the notebook, and in a folder that only the notebook's sys.path has.
FOLDERS = (CORPUS / "beside", CORPUS / "lib")

#: Names that a shell puts into a notebook.
_SHELL = frozenset({"In", "Out", "get_ipython", "exit", "quit", "open"})


@dataclass(frozen=True)
class Item:
    """A function of the corpus."""

    function: Callable[..., Any]
    #: Every call gives another value, as here, and no two may be equal.
    differs_each_time: bool = False
    #: Options of the task.
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.function.__name__


#: What the corpus files have registered, in order.
items: list[Item] = []
values: dict[str, Any] = {}
#: Names of what this Python, or this environment, does not have.
absent: list[str] = []


def item(function: Any = None, *, differs_each_time: bool = False, **options: Any) -> Any:
    """Register a function of no arguments: it is run here and there."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        items.append(Item(function, differs_each_time, options))
        return function

    return register if function is None else register(function)


def value(**named: Any) -> None:
    """Register values: each is sent, captured and brought back."""
    values.update(named)


def open_notebook(part: str) -> None:
    """Run all files of a part of the corpus in ``__main__``; none of them may take another one's names."""
    sys.path[:0] = map(str, FOLDERS)
    space = vars(sys.modules["__main__"])
    for file in sorted((CORPUS / part).glob("*.py")):
        before = dict(space)
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec", dont_inherit=True), space)
        taken = [name for name in before if space[name] is not before[name] and not name.startswith("__")]
        assert not taken, f"{file.name} defines again: {', '.join(taken)}"


def local_modules() -> Iterator[types.ModuleType]:
    """Yield the modules that lie beside the notebook."""
    folders = tuple(map(str, FOLDERS))
    for module in list(sys.modules.values()):
        if str(getattr(module, "__file__", None) or "").startswith(folders):
            yield module


def own_classes() -> Classes:
    """Return the classes that the notebook and its modules define."""
    found = {}
    for module in (sys.modules["__main__"], *local_modules()):
        for thing in list(vars(module).values()):
            if isinstance(thing, type) and thing.__module__ == module.__name__:
                found[thing.__module__, thing.__qualname__] = thing
    return found


def snapshot() -> dict[str, Any]:
    """Return what the notebook is made of, and what of the process a task may not change."""
    own = own_classes()
    found: dict[str, Any] = {}
    for module in (sys.modules["__main__"], *local_modules()):
        for name, thing in list(vars(module).items()):
            if not name.startswith("_") and name not in _SHELL:
                found[f"{module.__name__}.{name}"] = id(thing), _state_of(thing, own)
    return {**found, **_process()}


def _state_of(thing: Any, own: Classes) -> Any:
    if isinstance(thing, types.FunctionType):
        return id(thing.__globals__), id(thing.__code__), described(thing, own)
    if isinstance(thing, type):
        if (thing.__module__, thing.__qualname__) not in own:
            return None
        parts = {name: part for name, part in vars(thing).items() if name != "__dict__"}
        return tuple(
            (name, id(part), _state_of(part, own)) for name, part in parts.items() if not _internal(name)
        )
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    # Streams count what is written; generators of random numbers are asked for seeds.
    return (
        None
        if isinstance(getattr(thing, "__self__", thing), io.TextIOBase | random.Random)
        else described(thing, own)
    )


def _internal(name: str) -> bool:
    # Registers of ABCs, and what pickling itself notes.
    return name.startswith(("_abc", "__weakref__", "__subclasshook__", "__slotnames__"))


def _process() -> dict[str, Any]:
    return {
        "the state of random": hash(random.getstate()),
        "the folder": str(Path.cwd()),
        "the environment": dict(os.environ),
        "sys.path": list(sys.path),
        "the decimal context": str(decimal.getcontext()),
        "the locale": locale.setlocale(locale.LC_ALL),
        "SIGALRM": str(signal.getsignal(signal.SIGALRM)),
        "the root logger": (logging.root.level, len(logging.root.handlers)),
        "the filters of warnings": len(warnings.filters),
        "the recursion limit": sys.getrecursionlimit(),
        "the figures": _figures(),
        "sys.stdout": id(sys.stdout),
    }


def _figures() -> list[int]:
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    return list(pyplot.get_fignums()) if pyplot else []
