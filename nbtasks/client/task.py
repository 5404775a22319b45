"""A task: a function plus options. ``f(x)`` runs here, ``f.delay(x)`` runs there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.options import TaskOptions

if TYPE_CHECKING:
    from .app import App
    from .group import GroupResult
    from .result import AsyncResult, EagerResult


class Task:
    """A function plus options. Pickles as these two; in a worker it submits to the same broker."""

    def __init__(self, function: Callable[..., Any], options: TaskOptions | None = None, app: App | None = None) -> None:
        if isinstance(function, Task):
            function = function.function
        if not callable(function):
            raise ConfigError(f"{function!r} is not callable, so it cannot be a task")
        self.function = function
        self.options = options or TaskOptions()
        self._app = app
        self._signature: inspect.Signature | None | bool = False
        #: What was shipped last: (fingerprint, digest, frame, session).
        self.shipped: Any = None
        functools.update_wrapper(self, function, updated=())

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.function, self.options)

    @property
    def name(self) -> str:
        """The task's name: as given, else the function's."""
        return self.options.name or str(getattr(self.function, "__name__", type(self.function).__name__))

    @property
    def app(self) -> App:
        """The app that calls are submitted through: its own, else the current one."""
        from .app import App

        return self._app if self._app is not None and self._app.usable else App.current()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here, now."""
        if self.options.bind:
            from nbtasks.core.context import CurrentCall
            from nbtasks.core.execution import BoundTask

            request = CurrentCall(id="", name=self.name, is_eager=True, args=args, kwargs=kwargs)
            return self.function(BoundTask(request, self.options), *args, **kwargs)
        return self.function(*args, **kwargs)

    def with_options(self, **options: Any) -> Task:
        """Return the same function as a task with other options."""
        return Task(self.function, TaskOptions.make(options, self.options), self._app)

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Check arguments against the function's signature.

        Raises:
            TypeError: they do not fit; the message shows the signature.
        """
        signature = self._own_signature()
        if signature is None:
            return
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}{signature}: {error}") from None

    def _own_signature(self) -> inspect.Signature | None:
        if self._signature is False:
            self._signature = _signature_of(self.function, self.options.bind)
        return self._signature  # type: ignore[return-value]

    # -- submitting

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Submit a call with these arguments."""
        from .dispatch import submit_call

        return submit_call(self, args, kwargs, {})

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: dict[str, Any] | None = None, **options: Any
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
        from .dispatch import submit_call

        return submit_call(self, tuple(args), dict(kwargs or {}), options)

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
        return self._map(((item,) for item in iterable), iterable, chunk, max_parallel, on_error, quiet, label, options)

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
        tuples = (tuple(item) for item in iterable)
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
        from .dispatch import MapOptions, submit_map

        length = len(source) if hasattr(source, "__len__") else None
        return submit_map(self, tuples, MapOptions(chunk, max_parallel, on_error, quiet, label, length), options)

    def apply(self, args: Iterable[Any] = (), kwargs: dict[str, Any] | None = None) -> EagerResult:
        """Run a call here, by the way a worker does it: everything is pickled and unpickled once."""
        from .eager import apply_here

        return apply_here(self, tuple(args), dict(kwargs or {}))


def _rebuilt(function: Callable[..., Any], options: TaskOptions) -> Task:
    return Task(function, options)


def _signature_of(function: Callable[..., Any], bound: bool) -> inspect.Signature | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    if bound:
        parameters = list(signature.parameters.values())[1:]
        return signature.replace(parameters=parameters)
    return signature
