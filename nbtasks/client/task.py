"""A task: a function plus options. ``f(x)`` runs here, ``f.delay(x)`` runs there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbtasks.core.options import TaskOptions

from . import current
from .definition import Definition
from .dispatch import MapOptions, submit_call, submit_map
from .eager import apply_here
from .group import GroupResult
from .result import AsyncResult, EagerResult


class Task(Definition):
    """A function plus options. Pickles as these two; in a worker it submits to the same broker."""

    def __init__(
        self,
        function: Callable[..., Any],
        options: TaskOptions | None = None,
        app: current.Provider | None = None,
    ) -> None:
        super().__init__(function, options)
        self._app = app

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return current.rebuild[0], (self.function, self.options)

    @property
    def app(self) -> current.Provider:
        """The app that calls are submitted through: its own, else the current one."""
        return self._app if self._app is not None and self._app.usable else current.current()

    def with_options(self, **options: Any) -> Task:
        """Return the same function as a task with other options."""
        return Task(self.function, TaskOptions.make(options, self.options), self._app)

    # -- submitting

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Submit a call with these arguments."""
        return submit_call(self.app.session, self, args, kwargs, {})

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """Submit a call.

        Args:
            args: positional arguments.
            kwargs: keyword arguments.
            options: ``countdown`` (seconds), ``eta`` (datetime), ``expires`` (seconds or datetime), ``priority``,
                ``queue``, ``time_limit``, ``soft_time_limit``, ``retries``, ``label``, ``quiet`` (True: no card).

        Raises:
            TypeError: the arguments do not fit the function.
            NotPicklable: an argument, or something that the function captures, cannot travel.
            ConfigError: an unknown option or a bad value.
            BrokerUnavailable: the broker cannot be reached; nothing was submitted.
        """
        return submit_call(self.app.session, self, *self._arguments(args, kwargs), options)

    def map(
        self,
        iterable: Iterable[Any],
        *,
        chunk: int | None = None,
        max_parallel: int | None = None,
        on_error: str = "raise",
        quiet: bool = False,
        label: str | None = None,
        **options: Any,
    ) -> GroupResult:
        """Submit one call for each item; the items are read before anything is sent.

        Args:
            iterable: one argument for each call.
            chunk: calls that travel together; chosen by itself if None.
            max_parallel: so many calls of this map at once. Items are then read as they are needed, and an exception
                of the iterable revokes the rest.
            on_error: ``raise`` (in ``get()``), ``keep`` (exceptions as values) or ``stop`` (revoke the rest at the
                first failure).
            quiet: no card in a notebook.
            label: what cards call it.
            options: as for :meth:`apply_async`.
        """
        return self._map(
            ((item,) for item in iterable), iterable, chunk, max_parallel, on_error, quiet, label, options
        )

    def starmap(
        self,
        iterable: Iterable[Iterable[Any]],
        *,
        chunk: int | None = None,
        max_parallel: int | None = None,
        on_error: str = "raise",
        quiet: bool = False,
        label: str | None = None,
        **options: Any,
    ) -> GroupResult:
        """Submit one call for each tuple of arguments; otherwise as :meth:`map`."""
        tuples = (self._tuple(item) for item in iterable)
        return self._map(tuples, iterable, chunk, max_parallel, on_error, quiet, label, options)

    def _map(
        self,
        tuples: Iterable[tuple[Any, ...]],
        source: Any,
        chunk: int | None,
        max_parallel: int | None,
        on_error: str,
        quiet: bool,
        label: str | None,
        options: dict[str, Any],
    ) -> GroupResult:
        length = len(source) if hasattr(source, "__len__") else None
        return submit_map(
            self.app.session,
            self,
            tuples,
            MapOptions(chunk, max_parallel, on_error, quiet, label, length),
            options,
        )

    def apply(self, args: Iterable[Any] = (), kwargs: dict[str, Any] | None = None) -> EagerResult:
        """Run a call here, by the way a worker does it: everything is pickled and unpickled once."""
        return apply_here(self, *self._arguments(args, kwargs))

    def _tuple(self, item: Iterable[Any]) -> tuple[Any, ...]:
        try:
            return tuple(item)
        except TypeError:
            raise TypeError(
                f"{self.name}: starmap takes a tuple of arguments for each call, not {item!r:.40}; "
                "map takes one argument for each"
            ) from None

    def _arguments(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return both as they are needed; the arguments themselves are often given in their place."""
        if isinstance(args, (str, bytes)) or not isinstance(args, Iterable):
            raise TypeError(
                f"{self.name}: args is a tuple of all positional arguments, such as ({args!r:.40},), not {args!r:.40}"
            )
        if kwargs is not None and not isinstance(kwargs, Mapping):
            raise TypeError(
                f"{self.name}: kwargs is a dict of the keyword arguments, not {kwargs!r:.40}; "
                f"delay(...) takes arguments as a call does"
            )
        return tuple(args), dict(kwargs or {})
