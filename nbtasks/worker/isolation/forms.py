"""The forms of a value by MIME type, as a notebook shows it: IPython's where a task has imported that, else ours.

A worker needs no IPython. What it knows besides the methods that classes have for notebooks is little: how to write a
value as text, and what its users have registered.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable, Mapping
from pprint import pformat
from typing import Any

from nbtasks.core.errors import SoftTimeLimitExceeded
from nbtasks.core.interruption import Interrupted
from nbtasks.core.outputs import is_mime_type, is_of_text
from nbtasks.core.readable import exact, name_of

#: Data and metadata by MIME type.
Forms = tuple[dict[str, Any], dict[str, Any]]

_WIDTH = 79
_METHODS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "application/pdf": "_repr_pdf_",
    "text/latex": "_repr_latex_",
    "application/json": "_repr_json_",
    "application/javascript": "_repr_javascript_",
}
_ASKED = ("_repr_mimebundle_", *_METHODS.values())


def forms_of(value: Any, include: Any = None, exclude: Any = None) -> Forms:
    """Return a value's forms; none where it has shown itself.

    Args:
        include, exclude: MIME types, as ``display()`` takes them.

    Raises:
        Exception: whatever its methods raise.
    """
    figure = _figure(value)
    if figure is not None:
        return figure
    known = sys.modules.get("IPython.core.formatters")
    if known is not None and not isinstance(value, type):
        return sendable(*known.DisplayFormatter().format(value, include=include, exclude=exclude))
    data, metadata = _of_methods(value)
    wanted = [kind for kind in data if (not include or kind in include) and not (exclude and kind in exclude)]
    return sendable({kind: data[kind] for kind in wanted}, metadata)


def has_rich_forms(value: Any) -> bool:
    """Whether a value's class says how notebooks show it, other than as text. No code of its own runs."""
    kind = type(value)
    if kind.__module__ == "builtins":
        return False
    if any(not vars(base).keys().isdisjoint(_ASKED) for base in kind.__mro__):
        return True
    figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    return figure is not None and issubclass(kind, figure)


def sendable(data: Mapping[Any, Any], metadata: Mapping[Any, Any] | None = None) -> Forms:
    """Return those forms that can travel, bytes as base64."""
    kept: dict[str, Any] = {}
    for kind, form in data.items():
        if isinstance(form, bytes | bytearray):
            form = base64.b64encode(form).decode()  # noqa: PLW2901 # the same in another spelling
        if form is None or not is_mime_type(kind):
            continue
        if is_of_text(kind):
            if isinstance(form, str):
                kept[kind] = exact(form)
        elif (plain := as_json(form)) is not None:
            kept[kind] = plain
    return kept, as_json(metadata or {}) or {}


def as_json(value: Any) -> Any:
    """Return a value as plain JSON types; None where it is none."""
    import json

    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return None


def plain_text(value: Any) -> str:
    """Return a value as text, as a notebook spells it out."""
    try:
        return exact(pformat(value, width=_WIDTH, sort_dicts=False))
    except (Interrupted, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        return f"<{name_of(value)}: its repr raised {name_of(error)}>"


def _of_methods(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    shows_itself = _method(value, "_ipython_display_")
    if shows_itself is not None:
        shows_itself()
        return {}, {}
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    _add(data, metadata, _method(value, "_repr_mimebundle_"))
    for kind, name in _METHODS.items():
        method = None if kind in data else _method(value, name)
        if method is not None and (form := _tried(method)) is not None:
            if type(form) is tuple and len(form) == 2:
                form, metadata[kind] = form
            data[kind] = form
    data.setdefault("text/plain", plain_text(value))
    return data, metadata


def _add(data: dict[str, Any], metadata: dict[str, Any], bundle: Callable[..., Any] | None) -> None:
    made = _tried(lambda: bundle(include=None, exclude=None)) if bundle is not None else None
    forms, more = made if type(made) is tuple and len(made) == 2 else (made, None)
    if isinstance(forms, Mapping):
        data.update(forms)
    if isinstance(more, Mapping):
        metadata.update(more)


def _tried(make: Callable[[], Any]) -> Any:
    """Return what a method makes; None where it fails: there are other forms."""
    try:
        return make()
    except (Interrupted, SoftTimeLimitExceeded):
        raise
    except Exception:
        return None


def _method(value: Any, name: str) -> Callable[..., Any] | None:
    """Return a method of a value's class; None where it has none. A class has none, though its objects do."""
    if isinstance(value, type):
        return None
    method = getattr(type(value), name, None)
    return getattr(value, name, None) if callable(method) else None


def _figure(value: Any) -> Forms | None:
    known = sys.modules.get("matplotlib.figure")
    if known is None or not isinstance(value, known.Figure):
        return None
    file = io.BytesIO()
    value.savefig(file, format="png", bbox_inches="tight")
    return sendable({"image/png": file.getvalue(), "text/plain": repr(value)})
