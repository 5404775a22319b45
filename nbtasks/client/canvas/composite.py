"""What is made of signatures, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .compiling import Kind
from .signature import Signature

if TYPE_CHECKING:
    from typing_extensions import Self


class Composite(Signature):
    """What is made of signatures. It has no task and no arguments of its own."""

    __slots__ = ()

    def _begin(self, options: Mapping[str, Any]) -> None:
        self.args, self.kwargs, self.options, self.immutable = (), {}, {}, False
        self.set(**options)

    @property
    def task(self) -> str:
        """Its kind, as Celery names it."""
        return f"nbtasks.{self.subtask_type}"

    @property
    def name(self) -> str:
        """The same."""
        return self.task

    def _parts(self) -> tuple[Any, ...]:
        return self._made_of(), self.options, self.immutable

    def _made_of(self) -> Any:
        """Return what is pickled and compared of it."""
        raise NotImplementedError

    def _copied(self) -> Self:
        """Return the same, with parts of its own and no options yet."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt_composite, (type(self), *self._parts())

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """Return it as text."""
        return repr(self)

    def clone(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Self:
        """Return a copy, with more arguments for the calls that begin it, and options over its own."""
        made = self._copied()
        made.options, made.immutable = self._own_links(), self.immutable
        args = tuple(args or ())
        if args or kwargs:
            made._prepend(args, kwargs or {})
        return made.set(**options)

    def _own_links(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, list) else value for name, value in self.options.items()
        }

    def _prepend(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Put arguments before those of the calls that begin it."""
        raise NotImplementedError

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Submit it, with more arguments for the calls that begin it."""
        return self.delay(*args, **kwargs)

    @property
    def kind(self) -> Kind:
        """It has none: it is no call of one task."""
        raise TypeError(f"{self!r} is no call of one task")


def rebuilt_composite(kind: type[Any], parts: Any, options: dict[str, Any], immutable: bool) -> Any:
    """Return a pickled composition; named in pickles, so it keeps its name and place."""
    made = kind(*parts)
    made.options, made.immutable = options, immutable
    return made
