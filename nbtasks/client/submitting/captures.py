"""What a task would take along: captured names with their sizes, local modules."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from nbtasks.core.errors import NotPicklable
from nbtasks.core.globals import captures, has_code, mentioned_by
from nbtasks.wire import pickling
from nbtasks.wire.modules.byname import noting, travels_by_name
from nbtasks.wire.modules.manifest import Needs, manifest_of


@dataclass(frozen=True)
class CaptureItem:
    """One captured name. ``bytes`` is its pickled size; None where it cannot travel, ``problem`` says why."""

    name: str
    type: str
    bytes: int | None
    problem: str | None = None


def capture_report(function: Callable[..., Any], args: tuple[Any, ...] = ()) -> list[CaptureItem]:
    """Return what a function captures, and the arguments given, largest first."""
    items = [*_captured(function), *(_item(f"argument {number}", value) for number, value in enumerate(args))]
    return sorted(items, key=lambda item: -(item.bytes if item.bytes is not None else 2**62))


def _captured(function: Callable[..., Any]) -> list[CaptureItem]:
    if not has_code(function):
        # A partial or an object that can be called: it travels as a whole.
        return [_item(getattr(function, "__name__", type(function).__name__), function)]
    items = [_item(name, value) for name, value in captures(function)]
    # What only a string speaks of is left out where it cannot travel.
    mentioned = {name for name, _ in mentioned_by(function)}
    return [item for item in items if item.problem is None or item.name not in mentioned]


def local_modules(
    function: Callable[..., Any], args: tuple[Any, ...] = (), include: Iterable[str] = ()
) -> list[str]:
    """Return the names of the local modules that travel with a function, and with the arguments given.

    Args:
        include: names of modules that workers have of their own, as ``App(include=...)`` has them.
    """
    needs = Needs()
    for value in (function, *args):
        # What cannot travel is reported elsewhere.
        with contextlib.suppress(NotPicklable), noting(needs):
            pickling.dump_function(value)
    return sorted(manifest_of(needs.roots(), frozenset(include)).modules)


def _item(name: str, value: Any) -> CaptureItem:
    if isinstance(value, ModuleType) and travels_by_name(value):
        return CaptureItem(name, "module", 0)
    try:
        return CaptureItem(name, type(value).__name__, len(pickling.dump_function(value)))
    except NotPicklable as error:
        return CaptureItem(name, type(value).__name__, None, str(error))
