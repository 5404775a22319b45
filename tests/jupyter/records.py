"""Real batch records, filled by hand as the session fills them: for the parts that are pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbtasks.client.batches.capabilities import EVERYTHING
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import CallOptions, Parcel
from nbtasks.client.batches.provenance import Provenance
from nbtasks.client.definition import Definition
from nbtasks.core import states
from nbtasks.core.callheader import CallHeader
from nbtasks.core.calloutput import CallOutput
from nbtasks.core.events import Progressed, Started
from nbtasks.core.options import TaskOptions
from nbtasks.wire import pickling
from nbtasks.wire.errors import failures
from nbtasks.wire.record import Record
from nbtasks.wire.values import Shelf

ID = "01a1f955f78f7fed06ef"


class NoEngine:
    """Brings nothing anywhere.

    Attributes:
        why: says why calls wait.
    """

    def __init__(self, why: str | None) -> None:
        self.why: Callable[[], str | None] = lambda: why
        self.shelf = Shelf(lambda name, piece: name, lambda key, target: None)
        self.usable = True
        self.capabilities = EVERYTHING

    def check_open(self, name: str) -> None:
        pass

    def wait_for(self, ready: Callable[[], bool], timeout: float | None, eager: bool) -> bool:
        return ready()

    def when(self, batch: Ledger, ready: Callable[[], bool], action: Callable[[], None]) -> None:
        batch.watchers.when(ready, action)

    def forget(self, batch: Ledger) -> None:
        pass

    def taking(self, queue: str) -> list[Any]:
        return []

    def revoke(self, batch: Ledger, index: int, terminate: bool) -> None:
        pass

    def why_pending(self, batch: Ledger, index: int | None = None) -> str | None:
        return self.why()

    def retry_failed(self, batch: Ledger, parcel: Parcel, index: int | None = None) -> None:
        pass


def make_batch(
    n: int = 1,
    kind: str = "map",
    *,
    created_at: float = 1000.0,
    why: str | None = None,
    task: dict[str, Any] | None = None,
    **origin: Any,
) -> Ledger:
    """Return a batch of ``n`` calls with nothing known of them yet; ``task`` are options of its task."""
    settings = {"name": "clean", "queue": "default", **origin}
    options = TaskOptions.make(task or {})
    parcel = Parcel(
        Definition(len, options),
        CallOptions(options, 0.0, None, True, CallHeader()),
        [((i,), {}) for i in range(n)],
    )
    about = Provenance(kind=kind, single=kind == "call", **settings)
    return Ledger(ID, n, about, NoEngine(why), parcel, created_at)


def start(batch: Ledger, *indexes: int, attempt: int = 1) -> None:
    """Have calls run."""
    for index in indexes:
        batch.apply_event("w1", Started(index, attempt=attempt))


def tell(batch: Ledger, index: int, done: float, total: float | None, message: str = "") -> None:
    """Report progress of a call."""
    batch.apply_event("w1", Progressed(index, done, total, message))


def succeed(batch: Ledger, *indexes: int, seconds: float = 1.0, output: str = "") -> None:
    """End calls with their index as the value."""
    for index in indexes:
        payload = b"".join(bytes(part) for part in pickling.dumps(index))
        _end(batch, index, states.SUCCESS_CODE, payload, seconds, output)


def fail(batch: Ledger, error: BaseException, *indexes: int, attempt: int = 1) -> None:
    """End calls with an exception."""
    payload = failures.pack(_raised(error))
    for index in indexes:
        _end(batch, index, states.FAILURE_CODE, payload, 1.0, "", attempt)


def revoke(batch: Ledger, *indexes: int) -> None:
    """Revoke calls."""
    for index in indexes:
        _end(batch, index, states.REVOKED_CODE, b"", 0.0, "", 1)


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
    batch: Ledger, index: int, state: int, payload: bytes, seconds: float, output: str, attempt: int = 1
) -> None:
    kept = {index: CallOutput([["o", output]], [len(output), 0, 0])} if output else {}
    record = Record(ID, index, bytes([state]), [seconds], [payload], "w1", attempt, kept)
    batch.apply_record(record, [(index, 1)])
