"""What the card of a single call shows of its result: made here, beside the result, and bounded in time and size.

Whoever shows the card then has to run no code of the value's: to rebuild it may open figures, and to ask for its text
may print, raise or never end.
"""

from __future__ import annotations

import base64
import contextvars
import io
import sys
import threading
from collections.abc import Callable
from pprint import pformat
from typing import Any

from nbtasks.core.brief import brief
from nbtasks.core.context import CurrentCall, set_current
from nbtasks.core.interruption import raise_in
from nbtasks.core.readable import exact, name_of

_MOST_S = 1.0
#: Seconds for what is told to stop to do so.
_GRACE_S = 0.1
_MOST_BYTES = 100_000
_MOST_TEXT = 8_000
_WIDTH = 79


def preview_of(value: Any, call: CurrentCall) -> dict[str, str]:
    """Return ``html``, ``png`` (base64) or ``text`` of a call's result; empty where nothing could be made in time.

    What the value prints meanwhile is output of the call.
    """
    made: list[dict[str, str]] = []
    context = contextvars.copy_context()
    context.run(set_current, call)
    # A thread can be stopped, and left alone where that does not help.
    thread = threading.Thread(
        target=context.run, args=(_make, value, made), name="nbtasks-preview", daemon=True
    )
    thread.start()
    thread.join(_MOST_S)
    if thread.is_alive() and thread.ident is not None:
        raise_in(thread.ident, SystemExit)
        thread.join(_GRACE_S)
    return made[0] if made else {}


def _make(value: Any, made: list[dict[str, str]]) -> None:
    try:
        made.append(_form(value))
    except BaseException as error:
        shown = brief(value)
        if type(value).__module__ != "builtins":
            shown = f"<{name_of(value)}: its repr raised {name_of(error)}>"
        made.append({"text": shown})


def _form(value: Any) -> dict[str, str]:
    html = _tried(lambda: _method(value, "_repr_html_"))
    if type(html) is str and 0 < len(html) <= _MOST_BYTES:
        return {"html": html}
    png = _tried(lambda: _png(value))
    if isinstance(png, bytes) and 0 < len(png) <= _MOST_BYTES:
        return {"png": base64.b64encode(png).decode()}
    return {"text": exact(pformat(value, width=_WIDTH, sort_dicts=False))[:_MOST_TEXT]}


def _tried(make: Callable[[], Any]) -> Any:
    try:
        made = make()
    except Exception:
        return None
    return made[0] if isinstance(made, tuple) and made else made


def _method(value: Any, name: str) -> Any:
    """Call a method of a value's class; None where it has none. A class has none, though its objects do."""
    method = None if isinstance(value, type) else getattr(type(value), name, None)
    return method(value) if callable(method) else None


def _png(value: Any) -> Any:
    known = sys.modules.get("matplotlib.figure")
    if known is None or not isinstance(value, known.Figure):
        return _method(value, "_repr_png_")
    file = io.BytesIO()
    value.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()
