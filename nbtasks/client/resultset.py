"""Handles that somebody has put together: waited for, asked and revoked as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from nbtasks.core.errors import ConfigError

from .canvas.spread import SpreadResult
from .group import GroupResult
from .result import AsyncResult

R = TypeVar("R")


class ResultSet(SpreadResult[R]):
    """Any handles, of any tasks, in the order in which they were added; as Celery's ``ResultSet``.

    Args:
        results: handles of calls, maps and groups; each counts as one, and the value of a map is its list.
    """

    def __init__(self, results: Iterable[Any] = ()) -> None:
        super().__init__([])
        self.update(results)

    def __repr__(self) -> str:
        return f"<ResultSet: [{', '.join(one.id for one in self)}]>"

    @property
    def results(self) -> list[Any]:
        """The handles."""
        return list(self.members())

    def add(self, result: Any) -> None:
        """Take one more handle; one that is there already stays where it is.

        Raises:
            ConfigError: it is no handle.
        """
        if not isinstance(result, (AsyncResult, GroupResult)):
            raise ConfigError(f"ResultSet: {result!r:.60} is no handle: give what delay() and map() return")
        if result not in self.members():
            self._change([*self._parts, (result, False)])

    def update(self, results: Iterable[Any]) -> None:
        """Take more handles."""
        for one in results:
            self.add(one)

    def remove(self, result: Any) -> None:
        """Let a handle, or the one with an id, go.

        Raises:
            KeyError: it is not there.
        """
        left = [(one, is_open) for one, is_open in self._parts if result not in (one, one.id)]
        if len(left) == len(self._parts):
            raise KeyError(result)
        self._change(left)

    def discard(self, result: Any) -> None:
        """Let a handle go, if it is there."""
        if result in self.members():
            self.remove(result)

    def clear(self) -> None:
        """Let all go."""
        self._change([])

    def _change(self, parts: list[tuple[Any, bool]]) -> None:
        self._parts, self._members = parts, None
