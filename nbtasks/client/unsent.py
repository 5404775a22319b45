"""Calls that were accepted and could not be handed over before the end: what is said, and a script's exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .batches.ledger import Ledger

_MOST_NAMES = 10
_MOST_IDS = 3


def describe(batches: Sequence[Ledger], label: str, why: str) -> str:
    """Return what is said of calls that were not handed over.

    Args:
        label: the broker's URL without its secrets.
        why: what was wrong with the broker last.
    """
    n = sum(_open_calls(batch) for batch in batches)
    calls, they = ("1 call was", "it") if n == 1 else (f"{n:,} calls were", "they")
    return (
        f"{calls} accepted and could not be handed over to the broker at {label}: {_by_task(batches)}. Unless the "
        f"broker has taken {'it' if n == 1 else 'them'} without an answer, {they} will not run: submit again when it "
        f"is there{f' ({why})' if why else ''}"
    )


def _open_calls(batch: Ledger) -> int:
    return batch.n - batch.finished_count


def _by_task(batches: Sequence[Ledger]) -> str:
    ids: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for batch in batches:
        ids.setdefault(batch.name, []).append(batch.id)
        counts[batch.name] = counts.get(batch.name, 0) + _open_calls(batch)
    parts = [f"{counts[name]:,} of {name} ({_some(ids[name], _MOST_IDS)})" for name in ids]
    return _some(parts, _MOST_NAMES)


def _some(words: list[str], most: int) -> str:
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def tell_at_exit(text: str) -> None:
    """Say it on standard error, and have the process end with exit code 120.

    That is the code with which Python itself says that it could not write at its end what it had promised to write. An
    exit handler can set no other one, for all that is left to do would not be done then.
    """
    if sys.stderr is None:
        return
    sys.stderr.write(f"nbtasks: {text}\n")
    sys.stderr = _Unfinished(sys.stderr)


class _Unfinished:
    """Standard error, which cannot be flushed when the interpreter ends."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def flush(self) -> None:
        self._stream.flush()
        if sys.is_finalizing():
            raise OSError("calls were not handed over to the broker")
