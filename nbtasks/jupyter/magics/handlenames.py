"""Under which names a notebook has the handles of a run, and which of its names a cell gives other values to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult

from .names import bound_names, read_before_bound

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger

#: IPython keeps what cells have shown there.
_OF_IPYTHON = re.compile(r"_+|_i*\d*|_o?h|_ii*|_dh|In|Out")
_COLLECTIONS = (list, tuple, set, dict)
_MOST_DEEP = 3
_MOST_ITEMS = 100_000


def holders(batch: Ledger, namespace: Mapping[str, Any]) -> set[str]:
    """Return the names of a notebook whose values are handles of a batch, or collections that have one."""
    return {
        name
        for name, value in list(namespace.items())
        if not _OF_IPYTHON.fullmatch(name) and _has(value, batch, _MOST_DEEP)
    }


def _has(value: Any, batch: Ledger, deep: int) -> bool:
    kind = type(value)
    if kind in (AsyncResult, GroupResult):
        return getattr(value, "batch", None) is batch
    if kind not in _COLLECTIONS or not deep or len(value) > _MOST_ITEMS:
        return False
    items: Iterable[Any] = value.values() if kind is dict else value
    return any(_has(item, batch, deep - 1) for item in list(items))


def given_anew(source: str) -> set[str]:
    """Return the names that a cell gives other values to without having read them; none where it is no Python."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return set()
    return bound_names(body) - read_before_bound(body)
