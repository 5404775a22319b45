"""Open figures of matplotlib's pyplot are each call's own and end with it, as a notebook's end with their cell.

pyplot draws into the figure that was opened last, and calls may run side by side.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from typing import Any

from nbtasks.core.context import CurrentCall, current_call, reset_current, set_current

from .awaiting import when_imported
from .copies import here
from .showing import show

#: Where pyplot keeps them.
_MODULE = "matplotlib._pylab_helpers"


def install() -> None:
    """Have calls find figures of their own in pyplot, once it is imported, and show them where the call is shown."""
    when_imported(_MODULE, _divide)
    when_imported("matplotlib.pyplot", _show_in_calls)


def show_figures(besides: Any = None) -> None:
    """Show the open figures of the call that runs here, as a notebook does at the end of a cell, and close them.

    Args:
        besides: one that is shown otherwise.
    """
    known = sys.modules.get(_MODULE)
    if known is None:
        return
    try:
        for manager in list(known.Gcf.figs.values()):
            if manager.canvas.figure is not besides:
                show(manager.canvas.figure)
    finally:
        known.Gcf.destroy_all()


def has_figures(call: CurrentCall) -> bool:
    """Whether a call has open figures."""
    return type(call.figures) is _Figures and len(call.figures) > 0


def close_figures(call: CurrentCall | None = None) -> None:
    """Have pyplot forget the open figures of a call; those that belong to none if that is None."""
    known = sys.modules.get(_MODULE)
    if known is None or (call is not None and call.figures is None):
        return
    token = set_current(call)
    try:
        # It may be a module of the user's, or half imported.
        with contextlib.suppress(Exception):
            if known.Gcf.figs:
                known.Gcf.destroy_all()
    finally:
        reset_current(token)


class _Figures(OrderedDict[Any, Any]):
    """Open figures of one call: number -> manager."""

    def __reduce__(self) -> tuple[Any, ...]:
        # A task may return its request.
        return OrderedDict, ()


class _FiguresOfCalls(MutableMapping[Any, Any]):
    """Stands in for pyplot's open figures: has those of the call that asks."""

    def __init__(self, outside: OrderedDict[Any, Any]) -> None:
        self._outside = outside

    def _own(self) -> OrderedDict[Any, Any]:
        call = current_call()
        if call is None:
            return self._outside
        if type(call.figures) is not _Figures:
            call.figures = _Figures()
        figures: _Figures = call.figures
        return figures

    def __getitem__(self, number: Any) -> Any:
        return self._own()[number]

    def __setitem__(self, number: Any, manager: Any) -> None:
        self._own()[number] = manager

    def __delitem__(self, number: Any) -> None:
        del self._own()[number]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._own())

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self._own()))

    def __len__(self) -> int:
        return len(self._own())

    def keys(self) -> Any:
        """As of a dict."""
        return self._own().keys()

    def values(self) -> Any:
        """As of a dict."""
        return self._own().values()

    def items(self) -> Any:
        """As of a dict."""
        return self._own().items()

    def popitem(self, last: bool = True) -> tuple[Any, Any]:
        """As of an OrderedDict."""
        return self._own().popitem(last)

    def move_to_end(self, number: Any, last: bool = True) -> None:
        """As of an OrderedDict."""
        self._own().move_to_end(number, last)


def _divide(known: Any) -> None:
    if type(known.Gcf.figs) is OrderedDict:
        known.Gcf.figs = _FiguresOfCalls(known.Gcf.figs)


def _show_in_calls(pyplot: Any) -> None:
    otherwise = pyplot.show

    @functools.wraps(otherwise)
    def show_here(*args: Any, **kwargs: Any) -> Any:
        if current_call() is None or here.is_copy:
            return otherwise(*args, **kwargs)
        show_figures()
        return None

    pyplot.show = show_here
