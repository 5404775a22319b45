"""What a call ends with whose result cannot be sent, wherever it ran."""

from __future__ import annotations

from typing import Any

from nbtasks.core.errors import NotPicklable, PayloadTooLarge, WireError
from nbtasks.core.readable import is_kind, name_of, text_of


def why_unsent(value: Any, error: BaseException, call_id: str) -> WireError:
    """Return the error that says so.

    Args:
        error: what packing the value has raised.
    """
    if is_kind(error, PayloadTooLarge):
        return PayloadTooLarge(
            f"the result of call {call_id} is too large: {error}; "
            "write it to a file and return the path, return less, or raise App(result_limit=...)"
        )
    if is_kind(error, NotPicklable):
        return NotPicklable(f"the result of call {call_id} cannot be sent: {error}", error.path)
    return NotPicklable(
        f"the result of call {call_id} cannot be sent: {name_of(value)} has raised "
        f"{name_of(error)} when it was pickled: {text_of(error, 500)}; return plain values"
    )
