"""Real batch records, filled by hand as the session fills them: for the parts that are pure."""

from __future__ import annotations

import threading
from typing import Any

from nbtasks.client.batches.batch import Batch, Hooks, Origin
from nbtasks.core import states
from nbtasks.wire import pickling
from nbtasks.wire.codec import Record
from nbtasks.wire.errors import failures
from nbtasks.wire.values import Shelf

ID = "01a1f955f78f7fed06ef"


def make_batch(
    n: int = 1, kind: str = "map", *, created_at: float = 1000.0, why: str | None = None, **origin: Any
) -> Batch:
    """Return a batch of ``n`` calls with nothing known of them yet."""
    hooks = Hooks(
        changed=threading.Condition(),
        read_here=lambda most_s: False,
        revoke=lambda batch, index, terminate: None,
        why_pending=lambda batch: why,
        shelf=Shelf(lambda name, piece: name, lambda key, target: None),
    )
    settings = {"name": "clean", "queue": "default", **origin}
    batch = Batch(ID, n, Origin(kind=kind, single=kind == "call", **settings), hooks, created_at)
    batch.calls = [((index,), {}) for index in range(n)]
    return batch


def start(batch: Batch, *indexes: int, attempt: int = 1) -> None:
    """Have calls run."""
    for index in indexes:
        batch.apply_event("w1", {"t": "started", "i": index, "a": attempt})


def tell(batch: Batch, index: int, done: float, total: float | None, message: str = "") -> None:
    """Report progress of a call."""
    batch.apply_event("w1", {"t": "progress", "i": index, "d": done, "n": total, "m": message})


def succeed(batch: Batch, *indexes: int, seconds: float = 1.0, output: str = "") -> None:
    """End calls with their index as the value."""
    for index in indexes:
        payload = b"".join(bytes(part) for part in pickling.dumps(index))
        _end(batch, index, states.SUCCESS_CODE, payload, seconds, output)


def fail(batch: Batch, error: BaseException, *indexes: int, attempt: int = 1) -> None:
    """End calls with an exception."""
    payload = failures.pack(_raised(error))
    for index in indexes:
        _end(batch, index, states.FAILURE_CODE, payload, 1.0, "", attempt)


def _raised(error: BaseException) -> BaseException:
    """Return the error with a traceback."""

    def task() -> None:
        raise error

    try:
        task()
    except type(error) as raised:
        return raised
    return error


def _end(
    batch: Batch, index: int, state: int, payload: bytes, seconds: float, output: str, attempt: int = 1
) -> None:
    kept = {index: [["o", output]]} if output else {}
    record = Record(ID, index, bytes([state]), [seconds], [payload], "w1", attempt, kept)
    batch.apply_record(record, [(index, 1)])
