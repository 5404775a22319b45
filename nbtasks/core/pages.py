"""What pages show that ask an object for it, as marimo does; the root names here who makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Returns what such a page shows in the place of a handle, of a list of handles, or of a dashboard.
make: list[Callable[[Any], Any]] = []
#: Shows in the cell that runs what lives there, such as a dashboard.
show: list[Callable[[Any], None]] = []


def page_of(what: Any) -> Any:
    """Return what a page shows in the place of such a thing; its repr where nothing can be made."""
    return make[0](what) if make else repr(what)
