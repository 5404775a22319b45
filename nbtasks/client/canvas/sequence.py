"""Many items in one call: Celery's map and starmap (xmap, xstarmap), and chunks of them beside each other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbtasks.client import current
from nbtasks.client.definition import Definition
from nbtasks.core.errors import ConfigError

from .algebra import group
from .composite import Composite
from .signature import Signature, checked_task
from .taskpaths import path_of, task_named

if TYPE_CHECKING:
    from typing_extensions import Self

    from nbtasks.core.plan import CallRange

    from .compiling import Builder, Given, Left


class EachItem:
    """Runs a function for many items, one after the other; returns the list of what it returns.

    Args:
        star: whether an item is all arguments of a call, or one.
    """

    def __init__(self, function: Callable[..., Any], star: bool) -> None:
        self.function = function
        self.star = star
        self.__name__ = str(getattr(function, "__name__", type(function).__name__))

    def __call__(self, items: Iterable[Any]) -> list[Any]:
        """Run it for all items."""
        return [self.function(*item) if self.star else self.function(item) for item in items]


class EachItemAsync(EachItem):
    """The same for an ``async def``."""

    async def __call__(self, items: Iterable[Any]) -> list[Any]:  # type: ignore[override]
        """Run it for all items."""
        return [await (self.function(*item) if self.star else self.function(item)) for item in items]


class EachItemBound(EachItem):
    """The same for a task that gets itself as its first argument."""

    def __call__(self, task: Any, items: Iterable[Any]) -> list[Any]:  # type: ignore[override]
        """Run it for all items."""
        return [self.function(task, *(item if self.star else (item,))) for item in items]


def _of_many(task: Definition, star: bool) -> Definition:
    """Return a task whose calls run another for many items."""
    is_async = inspect.iscoroutinefunction(task.function)
    if is_async and task.options.bind:
        raise ConfigError(
            f"{task.name}: many items in one call are for tasks without bind=True, or that are no async def; "
            "task.map(items) makes a call of each"
        )
    kind = EachItemAsync if is_async else EachItemBound if task.options.bind else EachItem
    return current.rebuild[0](kind(task.function, star), task.options, getattr(task, "_app", None))  # type: ignore[no-any-return]


class _OfItems(Composite):
    """A task and many items for it.

    Attributes:
        of: the task.
        items: what it is to be run for.
    """

    __slots__ = ("items", "of")
    _star = False

    def __init__(self, task: Any, it: Iterable[Any], **options: Any) -> None:
        self.of: Definition = task_named(task) if isinstance(task, str) else checked_task(task)
        if not isinstance(it, Iterable):
            raise TypeError(
                f"{type(self).__name__}: {it!r:.60} is not iterable; give a list of items for {self.of.name}"
            )
        self.items: list[Any] = list(it)
        self._begin(options)

    def _made_of(self) -> Any:
        return self.of, self.items

    def _copied(self) -> Self:
        made = type(self).__new__(type(self))
        made.of, made.items = self.of, list(self.items)
        return made

    def _prepend(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Leave them out: it is immutable, as in Celery."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.of.name}, {len(self.items):,} items)"

    def __getitem__(self, key: Any) -> Any:
        if key == "kwargs":
            return {"task": path_of(self.of), "it": list(self.items)}
        return super().__getitem__(key)

    @classmethod
    def _stored(cls, data: Mapping[str, Any]) -> Signature:
        own = data["kwargs"]
        return cls(own["task"], own["it"])

    def signature(self) -> Signature:
        """Return the one call that it is."""
        made = Signature(_of_many(self.of, self._star), (self.items,), immutable=True)
        made.options = dict(self.options)
        return made

    def emit(self, builder: Builder, before: Left | None, given: Given) -> Left:
        """Add its call to a plan."""
        return self.signature().emit(builder, before, given)

    def emit_errback(self, builder: Builder, watched: Iterable[CallRange]) -> Left:
        """Add its call to a plan as what runs only after a failure."""
        return self.signature().emit_errback(builder, watched)


class xmap(_OfItems):  # noqa: N801 - Celery's name
    """One call that runs a task for all items, one after the other: Celery's ``task.map(items)``."""

    __slots__ = ()
    subtask_type = "xmap"


class xstarmap(_OfItems):  # noqa: N801 - Celery's name
    """The same, where an item is a tuple of arguments: Celery's ``task.starmap(items)``."""

    __slots__ = ()
    subtask_type = "xstarmap"
    _star = True


class chunks(_OfItems):  # noqa: N801 - Celery's name
    """Calls that run a task for ``n`` tuples of arguments each: ``add.chunks(zip(a, b), 10)()`` gives lists of ten.

    Args:
        task: the task.
        it: tuples of arguments.
        n: how many for each call.
    """

    __slots__ = ("n",)
    subtask_type = "chunks"
    _star = True

    def __init__(self, task: Any, it: Iterable[Any], n: int, **options: Any) -> None:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ConfigError(
                f"chunks: {n!r} is not a whole number of 1 or more: how many items for each call"
            )
        self.n = n
        super().__init__(task, it, **options)

    def _made_of(self) -> Any:
        return self.of, self.items, self.n

    def _copied(self) -> Self:
        made = super()._copied()
        made.n = self.n
        return made

    def __getitem__(self, key: Any) -> Any:
        if key == "kwargs":
            return {**super().__getitem__(key), "n": self.n}
        return super().__getitem__(key)

    @classmethod
    def _stored(cls, data: Mapping[str, Any]) -> Signature:
        own = data["kwargs"]
        return cls(own["task"], own["it"], own["n"])

    def group(self) -> group:
        """Return the calls that it is, as a group."""
        each = _of_many(self.of, star=True)

        def calls() -> Iterator[Signature]:
            for first in range(0, len(self.items), self.n):
                yield Signature(each, (self.items[first : first + self.n],), immutable=True)

        made = group(calls())
        made.options = dict(self.options)
        return made

    def emit(self, builder: Builder, before: Left | None, given: Given) -> Left:
        """Add its calls to a plan."""
        return self.group().emit(builder, before, given)

    def emit_errback(self, builder: Builder, watched: Iterable[CallRange]) -> Left:
        """Add its calls to a plan as what runs only after a failure."""
        return self.group().emit_errback(builder, watched)
