"""What a cell comes after: names that hold handles of runs, and that are their results when the cell runs.

They stand behind ``--after``, or the cell reads them. Pure: nothing is sent here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtasks.client.canvas.rehearsal import EagerGroup
from nbtasks.client.eager import EagerResult
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.client.runs.runlist import RunList
from nbtasks.core.errors import CellError
from nbtasks.core.globals import captures
from nbtasks.core.nearest import nearest

from .flags import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbtasks.client.batches.ledger import Ledger

    from .cell import Cell

_HANDLES = (AsyncResult, GroupResult)
_HERE = (EagerResult, EagerGroup)
#: IPython keeps what cells have shown there.
_OF_IPYTHON = frozenset({"In", "Out"})
_COLLECTIONS = (list, tuple, set, dict)
_MOST_DEEP = 3
_MOST_ITEMS = 100_000


@dataclass(frozen=True)
class After:
    """What a cell comes after.

    Attributes:
        given: name -> what it holds; the cell gets the results in its place.
        order: handles of runs that have to succeed before, and that the cell has no name for.
    """

    given: Mapping[str, Any]
    order: Sequence[Any] = ()

    def and_also(self, given: Mapping[str, Any]) -> After:
        """Return the same with more names."""
        return After({**self.given, **given}, self.order)


NOTHING = After({})


def named_after(
    names: Iterable[str], namespace: Mapping[str, Any], find: Callable[[str], Any], runs: Iterable[Ledger]
) -> After:
    """Return what the names behind ``--after`` stand for.

    Args:
        find: returns the handle of the run that has an id or is called so, or None.
        runs: those that can be named.

    Raises:
        OptionError: a name holds no handle, and no run is called so.
    """
    given: dict[str, Any] = {}
    order = []
    for name in names:
        held = namespace.get(name)
        if _is_awaited(held):
            given[name] = _plain(held)
            continue
        handle = find(name)
        if handle is None:
            raise OptionError(_unknown(name, namespace, runs))
        if name.isidentifier() and name not in namespace:
            given[name] = handle
        else:
            order.append(handle)
    return After(given, order)


def read_by(cell: Cell, namespace: dict[str, Any], but: Iterable[str] = ()) -> dict[str, Any]:
    """Return the names that a cell reads and that hold handles, with what they hold.

    Args:
        but: names that are taken care of.
    """
    held = {name for name, value in list(namespace.items()) if _is_awaited(value)}.difference(but)
    mentioned = cell.mentions(held)
    if not mentioned:
        return {}
    return {
        name: _plain(value)
        for name, value in captures(cell.function(namespace, "<task cell>"))
        if name in mentioned and namespace.get(name) is value
    }


def refuse_waiting(cell: Cell, names: Iterable[str]) -> None:
    """Look whether a cell waits for what has ended when it runs.

    Raises:
        CellError: it does, as in ``pages.get()``.
    """
    wanted = set(names)
    for call in cell.calls():
        target = call.func
        if (
            isinstance(target, ast.Attribute)
            and target.attr in {"get", "ready", "successful", "until_ready"}
            and isinstance(target.value, ast.Name)
            and target.value.id in wanted
            and not (call.args or call.keywords)
        ):
            name = target.value.id
            raise CellError(
                f"line {call.lineno}: `{name}.{target.attr}()`: the cell runs when {name} has ended, and {name} is its "
                f"result there; write `{name}`"
            )


def _is_awaited(value: Any, deep: int = _MOST_DEEP) -> bool:
    """Whether a value is a handle, or a collection that has one."""
    if isinstance(value, (*_HANDLES, *_HERE, RunList)):
        return True
    if type(value) not in _COLLECTIONS or not deep or len(value) > _MOST_ITEMS:
        return False
    items: Iterable[Any] = value.values() if type(value) is dict else value
    return any(_is_awaited(item, deep - 1) for item in list(items))


def _plain(value: Any) -> Any:
    """Return a list of handles for what shows them, and values for what has run here."""
    if isinstance(value, RunList):
        return list(value.handles)
    return value.get() if isinstance(value, _HERE) else value


def _unknown(name: str, namespace: Mapping[str, Any], runs: Iterable[Ledger]) -> str:
    known = list(dict.fromkeys([*_holders(namespace), *(run.title for run in runs)]))
    near = nearest(name, known)
    if near:
        hint = f"did you mean {near if near.isidentifier() else repr(near)}?"
    elif known:
        hint = f"there are {', '.join(one if one.isidentifier() else repr(one) for one in known[:5])}"
    else:
        hint = "there is none yet; `%%task -o NAME` gives one a name"
    if name in namespace:
        kind = type(namespace[name]).__name__
        return f"--after {name}: {name} is of type {kind}, and no handle of a run; {hint}"
    return f"--after {name}: no name of this notebook holds a run, and no run is called so: {hint}"


def _holders(namespace: Mapping[str, Any]) -> Iterator[str]:
    for name, value in list(namespace.items()):
        if not name.startswith("_") and name not in _OF_IPYTHON and _is_awaited(value):
            yield name
