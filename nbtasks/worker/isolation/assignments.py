"""What a call finds below Python's own names, and in modules that keep something for the whole process.

A call may put anything there by assignment, which nobody sees: it has to be looked for.
"""

from __future__ import annotations

import builtins
import decimal
import multiprocessing.context
import os
import sys
import threading
import warnings
from contextvars import ContextVar, copy_context
from operator import attrgetter
from typing import Any

from .openfigures import close_figures

_OF_SYS = (
    "excepthook", "displayhook", "unraisablehook", "breakpointhook", "stdin", "__stdin__", "dont_write_bytecode",
)  # fmt: skip
_values_of_sys = attrgetter(*_OF_SYS)
#: What a call is most likely to replace; the others are compared where there is time.
_used_builtins = attrgetter("print", "open", "input", "len", "sum", "range", "__import__")

#: The built-in functions as they are now, and as they are outside calls.
_builtins = vars(builtins)
_own_builtins: dict[str, Any] = {}


def are_builtins_replaced() -> bool:
    """Whether a call that runs has replaced built-in functions: our own code, which needs them, fails meanwhile."""
    for name, function in _own_builtins.items():  # noqa: SIM110 - any() is one of them
        if _builtins.get(name) is not function:
            return True
    return False


def restore_builtins() -> None:
    """Have every built-in function be Python's own again."""
    _builtins.update(_own_builtins)
    # What was added stays: code that was made since may use it.
    _own_builtins.update(_builtins)


def _variable_of_decimal() -> ContextVar[decimal.Context | None]:
    context = copy_context()
    context.run(decimal.getcontext)
    found: Any = next(variable for variable in context if variable.name == "decimal_context")
    return found  # type: ignore[no-any-return]


#: Where decimal keeps its context.
decimal_context = _variable_of_decimal()


class Assignments:
    """Of a child."""

    def remember(self) -> None:
        """Note what is there."""
        self._argv, self._of_sys = list(sys.argv), _values_of_sys(sys)
        _own_builtins.update(_builtins)
        self._used = _used_builtins(builtins)
        self._hooks = threading.excepthook, warnings.showwarning, os.environ
        self._traced = sys.gettrace(), sys.getprofile()
        self._default = _settings(decimal.DefaultContext)
        #: Decimal's context outside calls, and its settings. Code of a module may have made one: calls share it.
        self.shared: decimal.Context | None = None
        self._settings: tuple[Any, ...] = ()

    def note_shared(self) -> None:
        """A call begins: remember what it shares with others."""
        self.shared = decimal_context.get(None)
        self._settings = _settings(self.shared) if self.shared is not None else ()

    def restore_shared(self) -> None:
        """Have what calls share be as it was."""
        if self.shared is not None and _settings(self.shared) != self._settings:
            _set(self.shared, self._settings)

    def restore(self, long: bool) -> None:
        """Put it there again. No call runs.

        Args:
            long: there is time for a closer look.
        """
        if not self._is_there():
            self._assign()
        elif long and _builtins != _own_builtins:
            restore_builtins()
        if long:
            _restore_modules()
            if _settings(decimal.DefaultContext) != self._default:
                _set(decimal.DefaultContext, self._default)

    def _is_there(self) -> bool:
        try:
            return (
                _values_of_sys(sys) == self._of_sys
                and _used_builtins(builtins) == self._used
                and (threading.excepthook, warnings.showwarning, os.environ) == self._hooks
                and (sys.gettrace(), sys.getprofile()) == self._traced
                and sys.argv == self._argv
            )
        except AttributeError:
            return False

    def _assign(self) -> None:
        sys.settrace(self._traced[0])
        sys.setprofile(self._traced[1])
        vars(sys).update(zip(_OF_SYS, self._of_sys, strict=True))
        sys.argv = list(self._argv)
        threading.excepthook, warnings.showwarning, os.environ = self._hooks
        restore_builtins()


_NAMES_OF_SETTINGS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_values_of_settings = attrgetter(*_NAMES_OF_SETTINGS)


def _settings(context: decimal.Context) -> tuple[Any, ...]:
    return *_values_of_settings(context), dict(context.traps)


def _set(context: decimal.Context, settings: tuple[Any, ...]) -> None:
    for name, value in zip(_NAMES_OF_SETTINGS, settings, strict=False):
        setattr(context, name, value)
    context.traps.update(settings[-1])


def _restore_modules() -> None:
    """Put right what modules keep for the process."""
    default: Any = multiprocessing.context._default_context
    if default._actual_context is not None:
        # Else the next call could not choose how its processes are started.
        default.set_start_method(None, force=True)
    close_figures()
    if (numpy := sys.modules.get("numpy")) is not None and numpy.__version__.startswith("1."):
        # Later ones keep it in a context variable.
        numpy.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
