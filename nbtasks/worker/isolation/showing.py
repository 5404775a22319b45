"""``display()`` and what belongs to it, in calls: what is displayed goes with the call, to be shown in its card.

They stand in for IPython's own where a task imports that, which would only print without a shell of IPython's.
"""

from __future__ import annotations

import builtins
import sys
import uuid
from collections.abc import Mapping
from typing import Any

from nbtasks.core.context import current_call
from nbtasks.core.outputs import MOST_NAME, RichOutput

from .awaiting import when_imported
from .copies import here
from .displays import Displays
from .forms import as_json, forms_of, sendable
from .streams import output_of


def install() -> None:
    """Make ``display`` a builtin, as in a notebook, and have IPython's functions be these where it is imported."""
    if not hasattr(builtins, "display"):
        builtins.display = display  # type: ignore[attr-defined]
    when_imported("IPython.core.display_functions", _stand_in)


def show(value: Any) -> None:
    """Show a value where the call is shown."""
    _publish(*forms_of(value))


class DisplayHandle:
    """What ``display(..., display_id=...)`` returns: shows something else in that place.

    Args:
        display_id: the name of the place.
    """

    def __init__(self, display_id: str | None = None) -> None:
        self.display_id = display_id or uuid.uuid4().hex

    def __repr__(self) -> str:
        return f"<{type(self).__name__} display_id={self.display_id}>"

    def display(self, value: Any, **kwargs: Any) -> None:
        """Show a value as one more output, in a place of this name."""
        display(value, display_id=self.display_id, **kwargs)

    def update(self, value: Any, **kwargs: Any) -> None:
        """Show a value in the place of this name."""
        update_display(value, display_id=self.display_id, **kwargs)


def display(
    *objs: Any,
    include: Any = None,
    exclude: Any = None,
    metadata: Mapping[str, Any] | None = None,
    transient: Mapping[str, Any] | None = None,
    display_id: str | bool | None = None,
    raw: bool = False,
    clear: bool = False,
    update: bool = False,
    **_: Any,
) -> DisplayHandle | None:
    """Show objects where the call is shown, as IPython's function of this name does."""
    name = (transient or {}).get("display_id") or display_id
    handle = DisplayHandle(None if name is True else str(name)[:MOST_NAME]) if name else None
    if update and handle is None:
        raise TypeError("display_id required for update_display")
    if clear:
        clear_output(wait=True)
    place = handle.display_id if handle else None
    # Without an object it makes an empty place, to be filled later.
    shown: tuple[Any, ...] = objs or (({},) if handle else ())
    as_it_is = raw or not objs
    for value in shown:
        data, more = sendable(value) if as_it_is else forms_of(value, include, exclude)
        if data or as_it_is:
            _publish(data, {**more, **(as_json(metadata or {}) or {})}, place, update=update)
    return handle


def update_display(obj: Any, *, display_id: str, **kwargs: Any) -> None:
    """Show an object in the place of an earlier output of this call."""
    kwargs["update"] = True
    display(obj, display_id=display_id, **kwargs)


def publish_display_data(
    data: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
    *_: Any,
    transient: Mapping[str, Any] | None = None,
    update: bool = False,
    **_more: Any,
) -> None:
    """Show what is there in several forms, by MIME type."""
    name = (transient or {}).get("display_id")
    _publish(*sendable(data, metadata), None if name is None else str(name)[:MOST_NAME], update=update)


def clear_output(wait: bool = False) -> None:
    """Remove what this call has printed and displayed so far; with ``wait`` as soon as something comes in its place."""
    call = current_call()
    if call is not None and not here.is_copy:
        output_of(call).clear(wait)


def _publish(
    data: dict[str, Any], metadata: dict[str, Any], name: str | None = None, *, update: bool = False
) -> None:
    call = current_call()
    if call is None or here.is_copy:
        # It is shown nowhere, so it is printed, as IPython does without a shell.
        sys.stdout.write(f"{data.get('text/plain', '')}\n")
        return
    output = output_of(call)
    output.make_way()
    displays = output.displays
    if displays is None:
        displays = output.displays = Displays()
    shown = RichOutput(data, metadata, name)
    if not update:
        displays.add(shown)
    elif not displays.update(shown):
        output.write(
            "e", f"display {name!r} cannot be updated: this call has displayed nothing of that name\n"
        )


def _stand_in(module: Any) -> None:
    for function in (display, update_display, publish_display_data, clear_output):
        if hasattr(module, function.__name__):
            setattr(module, function.__name__, function)
    module.DisplayHandle = DisplayHandle
