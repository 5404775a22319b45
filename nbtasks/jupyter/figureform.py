"""A figure that ``get()`` has brought is a picture in the notebook, though no figure was ever made there.

The notebook's own way to show figures is set up by pyplot, when it makes the first one.
"""

from __future__ import annotations

from typing import Any

_MODULE, _CLASS = "matplotlib.figure", "Figure"
_PICTURE = "image/png"


class FigureForm:
    """Shows figures of matplotlib in one shell, as long as nothing else there says how."""

    def __init__(self, shell: Any) -> None:
        self._formatters = shell.display_formatter.formatters
        self._own = self._formatters.get(_PICTURE)
        if self._own is not None:
            self._own.for_type_by_name(_MODULE, _CLASS, self._picture)

    def undo(self) -> None:
        """Leave the shell as it was."""
        if self._own is None:
            return
        self._own.deferred_printers.pop((_MODULE, _CLASS), None)
        for kind in [kind for kind, shown in self._own.type_printers.items() if shown == self._picture]:
            self._own.type_printers.pop(kind)

    def _picture(self, figure: Any) -> Any:
        others = [one for kind, one in self._formatters.items() if kind not in (_PICTURE, "text/plain")]
        if any(type(figure) in other.type_printers for other in others):
            return None  # %config has chosen another form, such as SVG
        from IPython.core import pylabtools

        shown: Any = pylabtools
        return shown.print_figure(figure, "png")
