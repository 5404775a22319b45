"""Rebuild a value from its pickle, also where an object lies in a set of its own, or is a key of its own dict.

A pickle puts objects into sets before it gives them their attributes, where they refer to each other in a circle: the
neighbours of a graph's nodes, say. What has a hash of its own then has nothing to make it from. Such a pickle is read
once more, more slowly, and its sets and dicts are filled at the end.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from nbtasks.core.errors import NotPicklable

_HASHING = frozenset({"__hash__", "__eq__"})


def rebuilt(data: bytes | memoryview, buffers: Sequence[Any] = ()) -> Any:
    """Return what was pickled, by a process that is trusted.

    Args:
        buffers: what was left out of it, as for ``pickle.loads``.

    Raises:
        NotPicklable: an object lies in a frozenset of its own.
    """
    try:
        return pickle.loads(data, buffers=buffers)
    except Exception as error:
        return rebuilt_after(error, data, buffers)


def rebuilt_after(error: Exception, data: bytes | memoryview, buffers: Sequence[Any] = ()) -> Any:
    """Do as :func:`rebuilt`, where reading it has raised; to be called while that error is handled."""
    if not _is_hashed_too_early(error):
        raise error
    return _Patient(io.BytesIO(data), buffers=buffers).load()


def _is_hashed_too_early(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name in _HASHING:
            return True
        trace = trace.tb_next
    return False


#: There is no public one whose steps can be replaced.
_Unpickler: Any = vars(pickle)["_Unpickler"]


class _Patient(_Unpickler):  # type: ignore[misc] # as above
    """Fills sets and dicts at the end where their items or keys have no hash before."""

    def __init__(self, file: io.BytesIO, **options: Any) -> None:
        super().__init__(file, **options)
        self._to_fill: list[Callable[[], object]] = []
        #: Dicts whose items wait, so that what comes later waits as well: they have an order.
        self._waiting: set[int] = set()

    def load(self) -> Any:
        """Return what was pickled."""
        value = super().load()
        for fill in self._to_fill:
            fill()
        return value

    def _add_items(self) -> None:
        items = self.pop_mark()
        add = self.stack[-1].add
        for item in items:
            self._unless_too_early(item, partial(add, item))

    def _set_items(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._put(self.stack[-1], key, value)

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put(self.stack[-1], key, value)

    def _put(self, target: Any, key: Any, value: Any) -> None:
        def put() -> None:
            target[key] = value

        if id(target) in self._waiting:
            self._to_fill.append(put)
        elif not self._unless_too_early(key, put):
            self._waiting.add(id(target))

    def _unless_too_early(self, item: Any, action: Callable[[], object]) -> bool:
        try:
            hash(item)
        except Exception as error:
            if not _is_hashed_too_early(error):
                raise
            self._to_fill.append(action)
            return False
        action()
        return True

    def _frozen_set(self) -> None:
        items = self.pop_mark()
        try:
            self.append(frozenset(items))
        except Exception as error:
            if not _is_hashed_too_early(error):
                raise
            raise NotPicklable(
                f"an object of class {type(items[0]).__qualname__} lies in a frozenset of its own, and is hashed there "
                "before it has its attributes again: keep the objects in a set or a list"
            ) from error

    dispatch: ClassVar[dict[int, Any]] = {
        **_Unpickler.dispatch,
        pickle.ADDITEMS[0]: _add_items,
        pickle.SETITEMS[0]: _set_items,
        pickle.SETITEM[0]: _set_item,
        pickle.FROZENSET[0]: _frozen_set,
    }
