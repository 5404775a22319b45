"""A function plus options, and what was shipped of it last. No way to submit it: that is task.py."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.options import TaskOptions


class Definition:
    """What a task is.

    Attributes:
        function: runs in a worker.
        options: how it runs.
        shipped: what was packed last, a dispatch.PackedFunction, or None.
        modules: names of local modules that arguments have needed so far, and its function does not.
        plain_options: the options of a single call without any of its own: (codec, options), or None.
    """

    def __init__(self, function: Callable[..., Any], options: TaskOptions | None = None) -> None:
        if isinstance(function, Definition):
            function = function.function
        if not callable(function):
            raise ConfigError(f"{function!r} is not callable, so it cannot be a task")
        self.function: Callable[..., Any] = function
        self.options = options or TaskOptions()
        self.shipped: Any = None
        self.modules: frozenset[str] = frozenset()
        self.plain_options: tuple[Any, Any] | None = None
        self._fitting: set[int] = set()
        self._signature: inspect.Signature | bool | None = False
        functools.update_wrapper(self, function, updated=())

    @property
    def name(self) -> str:
        """The task's name: as given, else the function's."""
        return self.options.name or str(getattr(self.function, "__name__", type(self.function).__name__))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here, now."""
        if self.options.bind:
            from nbtasks.core.context import CurrentCall
            from nbtasks.core.retrying import BoundTask

            request = CurrentCall(id="", name=self.name, is_eager=True, args=args, kwargs=kwargs)
            return self.function(BoundTask(request, self.options), *args, **kwargs)
        return self.function(*args, **kwargs)

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Check arguments against the function's signature.

        Raises:
            TypeError: they do not fit; the message shows the signature.
        """
        # Where there are no keyword arguments, their number says it all.
        if not kwargs and len(args) in self._fitting:
            return
        signature = self._own_signature()
        if signature is None:
            return
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}{signature}: {error}") from None
        if not kwargs:
            self._fitting.add(len(args))

    def _own_signature(self) -> inspect.Signature | None:
        if self._signature is False:
            self._signature = _signature_of(self.function, self.options.bind)
        return self._signature  # type: ignore[return-value]


def _signature_of(function: Callable[..., Any], bound: bool) -> inspect.Signature | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    if bound:
        parameters = list(signature.parameters.values())[1:]
        return signature.replace(parameters=parameters)
    return signature
