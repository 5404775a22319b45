"""What a plain call has no use for is imported when it is asked for: compositions, calls that run here, bars."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbtasks.core import context

from . import linked, onlooking

if TYPE_CHECKING:
    from .canvas.sequence import chunks
    from .canvas.signature import Signature, signature
    from .current import Provider
    from .eager import apply_here
    from .linked import Relatives
    from .runs.runlist import RunList

__all__ = ["Signature", "apply_here", "chunks", "signature"]

#: Attributes of this module, and where they are.
_PLACES = {
    "Signature": "nbtasks.client.canvas.signature",
    "apply_here": "nbtasks.client.eager",
    "chunks": "nbtasks.client.canvas.sequence",
    "signature": "nbtasks.client.canvas.signature",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return value


def _relatives(handle: Any) -> Relatives:
    from .canvas.family import family_of

    return family_of(handle)


def _restored(kind: Any, id: str, app: Provider | None) -> Any:
    from .canvas.savedgroup import restored

    return restored(kind, id, app)


def _draw(handles: list[Any], timeout: float | None) -> None:
    from .runs.runlist import draw_handles

    draw_handles(handles, timeout)


def _progress_of(value: Any) -> RunList | None:
    from .runs.runlist import progress_of

    return progress_of(value)


linked.find.append(_relatives)
linked.restore.append(_restored)
onlooking.draw.append(_draw)
context.show_handles.append(_progress_of)
