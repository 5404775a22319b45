"""Handles of calls that come after each other: what each of them knows of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from nbtasks.core.stopsignal import Terminate

from .batches.steps import step_of


class Relatives(Protocol):
    """What comes before a call of a workflow, and what after it."""

    @property
    def parent(self) -> Any:
        """The handle of what it waits for; None where it begins the workflow."""

    @property
    def children(self) -> list[Any]:
        """The handles of what waits for it."""

    @property
    def steps(self) -> list[Any]:
        """The handles of the whole workflow, one for each step, in an order in which they can run."""

    @property
    def graph(self) -> Any:
        """Which of these waits for which."""

    @property
    def why_waiting(self) -> str | None:
        """What it waits for in its workflow; None where all of that has ended."""

    def revoke_whole(self, terminate: Terminate) -> bool:
        """Revoke the whole workflow where the handle is that of its result; returns whether it is."""

    def tell(self, error: BaseException) -> None:
        """Have an error say which step has failed, and what was not run therefore."""


#: Finds the relatives of a handle; set by lateparts.py, as ``restore`` is: see canvas/family.py.
find: list[Callable[[Any], Relatives]] = []
#: Returns the handles of what the task of a call has submitted while it ran; set by submittedbytasks.py.
submitted_by: list[Callable[[Any], list[Any]]] = []
#: Returns the handle of a map, or of a saved group, by its class and id, at an App; see canvas/savedgroup.py.
restore: list[Callable[[Any, str, Any], Any]] = []


def relatives(handle: Any) -> Relatives | None:
    """Return what comes before and after a call; None where nothing does, or its workflow is not known here."""
    return None if step_of(handle.batch) is None or not find else find[0](handle)


class Linked:
    """A handle that may be one of several that come after each other."""

    def _relatives(self) -> Relatives | None:
        return relatives(self)

    @property
    def parent(self) -> Any:
        """The handle of what it waits for in a workflow; None where it begins that, or is in none."""
        found = self._relatives()
        return None if found is None else found.parent

    @property
    def root(self) -> Any:
        """The handle of what begins its chain: the parent's parent, and so on."""
        one: Any = self
        while (before := one.parent) is not None:
            one = before
        return one

    @property
    def children(self) -> list[Any]:
        """The handles of what waits for it in a workflow or is linked to it, and of what its task has submitted.

        The latter are known when the call has ended.
        """
        found = self._relatives()
        return [*([] if found is None else found.children), *submitted_by[0](self)]

    @property
    def steps(self) -> list[Any]:
        """The handles of its whole workflow, one for each step, in an order in which they can run."""
        found = self._relatives()
        return [self] if found is None else found.steps

    @property
    def graph(self) -> Any:
        """Which steps of its workflow wait for which: ``print()`` it; ``edges()``, ``to_dot()``. None without one."""
        found = self._relatives()
        return None if found is None else found.graph
