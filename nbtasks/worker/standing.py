"""Threads of a child that it cannot do without. They share the process with calls, which may do anything to it."""

from __future__ import annotations

from collections.abc import Callable

# By name: a task may put something else into the module.
from time import sleep

from nbtasks.core.readable import name_of, text_of

from .log import log_once

#: Seconds after a turn that has failed.
_REST_S = 0.1


def take_turns(turn: Callable[[], bool], what: str, on_failure: Callable[[], None] = lambda: None) -> None:
    """Take turns until one returns False; the next one follows also where one has failed.

    A call that replaces a built-in function, lowers the recursion limit or uses up the memory makes everything fail
    for a while, not only what it does itself.

    Args:
        what: names a turn in the log.
        on_failure: called before the next turn.
    """
    goes_on = True
    while goes_on:
        try:
            goes_on = turn()
        except BaseException as error:
            try:
                on_failure()
                log_once(f"{what} failed: {name_of(error)}: {text_of(error, 500)}", with_traceback=True)
            except BaseException:  # noqa: S110 - there is nobody left to tell
                # What has made the turn fail may keep it from being told, too.
                pass
            sleep(_REST_S)
