"""What a result looks like in the saved card: as the notebook would show it, if that is small enough."""

from __future__ import annotations

from typing import Any

from . import words
from .static import Preview

MOST_BYTES = 100_000
MOST_TEXT = 4_000


def preview_of(shell: Any, value: Any) -> Preview | None:
    """Return the preview of ``value`` with the formatters of ``shell``; None for a value that shows nothing.

    Runs on the writer's thread, so a value whose own methods raise is shown as text, silently.
    """
    if value is None:
        return None
    formatters = shell.display_formatter.formatters
    html = _form(formatters.get("text/html"), value)
    if html is not None:
        return Preview(html=html)
    png = _form(formatters.get("image/png"), value)
    return Preview(png=png) if png is not None else Preview(text=_text(value))


def _form(formatter: Any, value: Any) -> str | None:
    if formatter is None or not formatter.enabled:
        return None
    try:
        made = _printer(formatter, value)
    except Exception:  # noqa: BLE001 - whatever a value's own method raises, its text is shown instead
        return None
    if isinstance(made, tuple):  # with metadata
        made = made[0]
    if isinstance(made, bytes):
        from base64 import b64encode

        made = b64encode(made).decode("ascii")
    return made if isinstance(made, str) and 0 < len(made) <= MOST_BYTES else None


def _printer(formatter: Any, value: Any) -> Any:
    from IPython.utils.dir2 import get_real_method

    try:
        printer = formatter.lookup(value)
    except KeyError:
        method = get_real_method(value, formatter.print_method)
        return None if method is None else method()
    return printer(value)


def _text(value: Any) -> str:
    from IPython.lib.pretty import pretty

    try:
        made: str = pretty(value, max_seq_length=100)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - a result that cannot be shown is still a result
        made = f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
    return words.plain(made, MOST_TEXT)
