"""Wait for a handle inside a cell; the Stop button then stops its calls too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import OperationalError
from nbtasks.jupyter.card import saved, words
from nbtasks.jupyter.card.card import Card
from nbtasks.jupyter.card.display import wait_until_complete

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult

#: Seconds that interrupted calls get to end before the cell does.
STOP_WITHIN_S = 2.0
_LINE_EVERY_S = 0.25
_SNAPSHOT_EVERY_S = 0.5


def wait_and_get(
    handle: AsyncResult | GroupResult, timeout: float | None = None, *, text: bool = False
) -> Any:
    """Return the value of ``handle`` when it is there.

    Args:
        handle: of a call or of a map.
        timeout: seconds to wait at most; the calls then go on.
        text: show a line in the terminal meanwhile.

    Raises:
        KeyboardInterrupt: Stop was pressed. What had not ended was revoked and had two seconds to end.
        TimeoutError: the time is over.
        Exception: what the task raised.
    """
    try:
        if text:
            _show_line(handle, timeout)
            return handle.get(timeout=0 if timeout is not None else None)
        return handle.get(timeout=timeout)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stop(handle)) from None


def wait_quietly(handle: AsyncResult | GroupResult, meanwhile: Callable[[], None]) -> None:
    """Wait for the end, whatever it is, and call ``meanwhile`` twice a second; Stop as in :func:`wait_and_get`."""
    try:
        while not handle.until_ready(_SNAPSHOT_EVERY_S):
            meanwhile()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stop(handle)) from None


def _stop(handle: AsyncResult | GroupResult) -> str:
    """Revoke what has not ended; returns what was done."""
    batch = handle.batch
    left = batch.n - batch.finished_count
    try:
        batch.revoke(terminate=True, how="cancelled with the Stop button")
    except OperationalError as problem:
        return f"stopped waiting; the calls could not be revoked: {problem}"
    if batch.wait(STOP_WITHIN_S):  # a second press of Stop ends this at once
        return f"stopped waiting and revoked {words.calls(left)}"
    return f"stopped waiting; {words.calls(left)} revoked, some still stopping"


def _show_line(handle: AsyncResult | GroupResult, timeout: float | None) -> None:
    """Rewrite one line of the terminal until the end or the timeout."""
    card = Card(handle.batch)
    left = float("inf") if timeout is None else timeout
    width = 0
    try:
        while True:
            ended = handle.until_ready(max(0.0, min(_LINE_EVERY_S, left)))
            left -= _LINE_EVERY_S
            if ended:
                wait_until_complete(handle.batch)
            line = saved.text(card.view()).partition("\n")[0]
            sys.stdout.write("\r" + line.ljust(width))
            sys.stdout.flush()
            width = len(line)
            if ended or left <= 0:
                return
    finally:
        card.close()
        sys.stdout.write("\n")
