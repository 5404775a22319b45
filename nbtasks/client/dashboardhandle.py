"""The dashboard of an App's namespace, for a cell of a notebook."""

from __future__ import annotations

from typing import Any

from nbtasks.core import pages


class Dashboard:
    """All that goes on in a namespace, live where it ends a cell. :meth:`App.dashboard` makes it.

    Nothing is asked of the server while nobody looks at it.

    Attributes:
        app: whose namespace it is.
        readonly: nothing can be done there.
    """

    def __init__(self, app: Any, readonly: bool = False) -> None:
        self.app = app
        self.readonly = readonly

    def __repr__(self) -> str:
        where = self.app.connection
        of = f"{where.address}, namespace {where.namespace}"
        return f"<Dashboard of {of}: `nbtasks dashboard` serves it as a web page>"

    def _display_(self) -> Any:
        return pages.page_of(self)

    def _ipython_display_(self) -> None:
        pages.show[0](self)
