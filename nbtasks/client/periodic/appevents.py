"""``app.on_after_configure`` and ``app.on_after_finalize``: what a project has done once its App is ready."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])
#: A receiver of a module runs: what it adds is declared.
_declaring: ContextVar[bool] = ContextVar("nbtasks_declaring", default=False)


def is_declared() -> bool:
    """Whether what is said now is said by a module while it is imported, and not by who uses it."""
    return _declaring.get() or _is_imported(sys._getframe(1))


def _is_imported(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def declaring() -> Iterator[None]:
    """Have what is added meanwhile be declared."""
    before = _declaring.set(True)
    try:
        yield
    finally:
        _declaring.reset(before)


class AppEvent:
    """Something that happens to an App once.

    Args:
        name: as users write it.
        app: the sender.
        has_happened: whether whoever connects now is called at once.
    """

    def __init__(self, name: str, app: Callable[[], Any], has_happened: Callable[[], bool]) -> None:
        self.name = name
        self._app = app
        self._has_happened = has_happened
        #: Receivers by their names, and whether modules have connected them; those that were called are gone.
        self._waiting: dict[tuple[str, str], tuple[Callable[..., Any], bool]] = {}

    def __repr__(self) -> str:
        return f"<AppEvent {self.name}>"

    @overload
    def connect(self, receiver: F, **options: Any) -> F: ...

    @overload
    def connect(self, receiver: None = None, **options: Any) -> Callable[[F], F]: ...

    def connect(self, receiver: Any = None, **options: Any) -> Any:
        """Have a function called as ``receiver(sender=app, **kwargs)``, at once where it has happened already.

        Args:
            receiver: the function; left out, this is a decorator.
            options: Celery's, ``weak`` and ``sender``, which mean nothing here.
        """
        if receiver is None:
            return lambda function: self.connect(function, **options)
        by_module = is_declared()
        name = (getattr(receiver, "__module__", ""), getattr(receiver, "__qualname__", repr(receiver)))
        self._waiting[name] = receiver, by_module
        if self._has_happened() and not by_module:
            self.happen()
        return receiver

    def happen(self) -> None:
        """Call those that have not been called."""
        while self._waiting:
            name = next(iter(self._waiting))
            receiver, by_module = self._waiting.pop(name)
            with declaring() if by_module else contextlib.nullcontext():
                receiver(sender=self._app(), source=self._app().conf, signal=self)
