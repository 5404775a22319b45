"""A function plus options, and what was shipped of it last. No way to submit it: that is task.py."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.options import TaskOptions
from nbtasks.core.replacement import Replaced
from nbtasks.core.taskbody import TaskBody
from nbtasks.wire.modules.origin import MAIN

#: What stands there has no module that would say anything.
_OF_NO_MODULE = frozenset({"builtins", *MAIN})
#: What is said of methods.
_INSTEAD = (
    ", and a task has no object to call it on: make it a function that takes the object as an argument, "
    "or a static method (@staticmethod above @task)"
)


class Definition:
    """What a task is.

    Attributes:
        function: runs in a worker.
        own_options: how it runs, as far as that was said where it was made.
        shipped: what was packed last, a shipping.PackedFunction, or None.
        modules: names of local modules that arguments have needed so far, and its function does not.
        plain_options: the options of a single call without any of its own: (codec, options), or None.
    """

    def __init__(self, function: Callable[..., Any], options: TaskOptions | None = None) -> None:
        if isinstance(function, Definition):
            function = function.function
        if isinstance(function, (classmethod, property)):
            raise ConfigError(f"{_name_of(function)} is a {type(function).__name__}{_INSTEAD}")
        if not callable(function):
            raise ConfigError(f"{function!r} is not callable, so it cannot be a task")
        self._define(function, options or TaskOptions())

    def _define(self, function: Callable[..., Any], options: TaskOptions) -> None:
        self.function: Callable[..., Any] = function
        self.own_options = options
        self.shipped: Any = None
        self.modules: frozenset[str] = frozenset()
        self.plain_options: tuple[Any, Any] | None = None
        self._name: str | None = None
        #: The class whose method the function is.
        self._owner: type | None = None
        self._fitting: set[int] = set()
        self._signature: inspect.Signature | bool | None = False
        functools.update_wrapper(self, function, updated=())

    def __set_name__(self, owner: type, name: str) -> None:
        """Note that it stands in a class."""
        is_its_own = _name_of(self.function) == f"{owner.__qualname__}.{name}"
        if is_its_own and not self.own_options.bind and _takes_itself(self._own_signature()):
            self._owner = owner

    @property
    def options(self) -> TaskOptions:
        """How it runs."""
        return self.own_options

    @property
    def name(self) -> str:
        """The task's name: as given, else the function's with its module; what a notebook defines has none."""
        if self._name is None:
            self._name = self.own_options.name or _full_name(self.function)
        return self._name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here, now."""
        try:
            return self._called(args, kwargs)
        except Replaced as replaced:
            return replaced.value()

    def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if type(self.function) is TaskBody:
            return self.function.task.run(*args, **kwargs)
        if self._owner is not None:
            self.check(args, kwargs)
        if self.own_options.bind:
            from nbtasks.core.boundtask import BoundTask
            from nbtasks.core.context import CurrentCall

            request = CurrentCall(id="", name=self.name, is_eager=True, args=args, kwargs=kwargs)
            return self.function(BoundTask(request, self.options, self.function), *args, **kwargs)
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
            given = signature.bind(*args, **kwargs).args
        except TypeError as error:
            if _takes_itself(signature) and "." in _name_of(self.function).rpartition("<locals>.")[2]:
                raise TypeError(f"{_name_of(self.function)} is a method{_INSTEAD}") from None
            raise TypeError(f"{self.name}{signature}: {error}") from None
        if self._owner is not None:
            if given and not isinstance(given[0], self._owner):
                raise TypeError(f"{_name_of(self.function)} is a method{_INSTEAD}")
        elif not kwargs:
            self._fitting.add(len(args))

    def parameters(self, n: int) -> list[str]:
        """Return the names of the first ``n`` positional parameters; "" for those that have none of their own."""
        code = self.function.__code__ if type(self.function) is FunctionType else None
        names = code.co_varnames[: code.co_argcount] if code is not None else ()
        return [*names[self.own_options.bind : n + self.own_options.bind], *[""] * n][:n]

    def signature_of_calls(self) -> inspect.Signature | None:
        """Return what calls take; None where that cannot be found out."""
        return self._own_signature()

    def _own_signature(self) -> inspect.Signature | None:
        if self._signature is False:
            self._signature = _signature_of(self.function, self.own_options.bind)
        return self._signature  # type: ignore[return-value]


def as_it_is_now(task: Definition) -> Definition:
    """Return what stands in a notebook now under the name of a task of it: somebody has corrected it, perhaps."""
    name = _name_of(task.function)
    if getattr(task.function, "__module__", None) != "__main__" or "." in name:
        return task
    found = vars(sys.modules["__main__"]).get(name)
    if isinstance(found, Definition):
        return found if found.name == task.name and found.function is not task.function else task
    if not isinstance(found, FunctionType) or type(task.function) is not FunctionType:
        return task
    return task if found is task.function else Definition(found, task.options)


def _name_of(function: Any) -> str:
    function = getattr(function, "fget", function)
    return str(
        getattr(function, "__qualname__", None) or getattr(function, "__name__", type(function).__name__)
    )


def _full_name(function: Any) -> str:
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        return type(function).__name__
    module = getattr(function, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) and module not in _OF_NO_MODULE else name


def _takes_itself(signature: inspect.Signature | None) -> bool:
    """Whether a function's first parameter is named as that of methods is."""
    return signature is not None and next(iter(signature.parameters), "") in {"self", "cls"}


def _signature_of(function: Callable[..., Any], bound: bool) -> inspect.Signature | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    if bound:
        parameters = list(signature.parameters.values())[1:]
        return signature.replace(parameters=parameters)
    return signature
