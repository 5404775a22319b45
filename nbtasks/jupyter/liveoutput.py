"""An output of the notebook that lives as a widget: what the card and the panels have in common."""

from __future__ import annotations

import functools
import hashlib
import json
import time
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FILES = Path(__file__).parent / "page"


def as_of() -> str:
    """Return what a saved form says of its time, without a full stop."""
    return f"As of {time.strftime('%Y-%m-%d %H:%M:%S')}"


def joined(*patterns: str) -> str:
    """Return files of the page as one: a widget has one module and one style sheet, and nothing here builds them."""
    files = (path for pattern in patterns for path in sorted(_FILES.glob(pattern)))
    return "\n".join(path.read_text("utf-8") for path in files)


@functools.cache
def packed(script: str, style: str) -> tuple[bytes, str]:
    """Return what page/loading/loader.js unpacks, a quarter as large as it is; and what names it.

    Args:
        script: the module.
        style: the style sheet.
    """
    module = f"{script}\nexport const style = {json.dumps(style)};\n"
    data = zlib.compress(module.encode(), 9)
    return data, hashlib.sha256(data).hexdigest()[:16]


@functools.cache
def live_widget_class() -> type[Any]:
    """Return what widgets descend from, made when it is first needed: a worker machine has no anywidget.

    Raises:
        ImportError: anywidget is not installed.
    """
    import anywidget
    import traitlets

    class LiveWidget(anywidget.AnyWidget):
        _esm = joined("loading/loader.js")
        script = style = ""
        #: Its scripts and style; the page needs them once of each version.
        packed = traitlets.Bytes().tag(sync=True)
        version = traitlets.Unicode().tag(sync=True)
        #: Its own id, by which the page finds its outputs in the notebook.
        card = traitlets.Unicode().tag(sync=True)
        #: The page that sees to it that the file is saved; pages settle that between them (page/custody.js).
        custodian = traitlets.Unicode().tag(sync=True)

        def __init__(
            self, now: Callable[[], dict[str, Any]], on_message: Callable[[dict[str, Any]], None]
        ) -> None:
            self._now = now
            own_id = uuid.uuid4().hex
            data, version = packed(self.script, self.style)
            super().__init__(card=own_id, model_id=own_id, packed=data, version=version)
            self.on_msg(lambda _widget, content, _buffers: on_message(content))
            _answer_where_asked(self.comm)

        def get_state(self, key: Any = None, drop_defaults: bool = False) -> Any:
            # Made when somebody asks for it: a reloaded page gets the truth, and no trait is written
            # (and sent) while the widget lives on messages. Single keys are asked for as the widget is made.
            if key is None:
                self._trait_values.update(self._now())
            return super().get_state(key, drop_defaults)

    return LiveWidget


def _answer_where_asked(comm: Any) -> None:
    """Let clicks be handled while a cell blocks.

    From 7.4 on ipykernel sends them to the shell that last sent on the comm, which is the one that blocks;
    before that, to the one that the front end had named. The method is private, hence the look.
    """
    if hasattr(type(comm), "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default
