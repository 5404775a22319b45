"""``nbtasks.current_app``: whatever App is current when it is asked, as Celery's."""

from __future__ import annotations

from typing import Any

from . import current


class CurrentApp:
    """Stands for the current App; everything it is asked for is that one's."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            return getattr(current.current(), name)
        app = current.known()
        if name.startswith("__") or app is None:
            # What Python asks of every object, when it is copied say, is of this one; and for what pytest and notebooks
            # ask of every object no App is made.
            raise AttributeError(name)
        return getattr(app, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(current.current(), name, value)

    def __dir__(self) -> list[str]:
        return dir(current.current())

    def __repr__(self) -> str:
        return repr(current.current())

    def __eq__(self, other: object) -> bool:
        return other is self or other is current.current()

    def __hash__(self) -> int:
        return hash(current.current())


current_app = CurrentApp()
