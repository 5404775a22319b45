"""What a function gives: a value or an error, and what it has printed; here and from a worker in one form."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import os
import pickle
from collections.abc import Callable
from typing import Any

from description import Classes, described

#: ("value" or "error", described; what was printed)
Outcome = tuple[Any, str]


def in_a_copy(function: Callable[[], Any], own: Classes) -> Outcome:
    """Run a function in a copy of this process, so that what it does to the notebook stays there.

    No other thread may run yet.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as file:
                pickle.dump(of_function(function, own), file)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    return pickle.loads(data)  # type: ignore[no-any-return]


def of_function(function: Callable[[], Any], own: Classes) -> Outcome:
    """Run a function here."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            value = function()
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
            given = "value", described(value, own)
        except Exception as error:
            given = "error", f"{type(error).__name__}: {error}", described(error, own)
    return given, printed.getvalue()


def of_result(result: Any, own: Classes, patience: float) -> Outcome:
    """Wait for a call and read it."""
    try:
        given = "value", described(result.get(timeout=patience), own)
    except Exception as error:
        given = "error", f"{type(error).__name__}: {error}", described(error, own)
    return given, result.stdout
