"""What can prepare the processes of workers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.readable import name_of


def check_setup(function: Callable[..., Any]) -> None:
    """Refuse what cannot be called without arguments, now.

    Raises:
        ConfigError: it cannot.
    """
    if not isinstance(function, FunctionType):
        raise ConfigError(
            f"worker_setup: {name_of(function)} is no function; put @app.worker_setup above a def"
        )
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigError(
            f"worker_setup: {function.__qualname__} must be a plain def: it is called, and has run then"
        )
    needed = [
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needed:
        raise ConfigError(
            f"worker_setup: {function.__qualname__} takes {', '.join(needed)}, and is called without arguments"
        )
