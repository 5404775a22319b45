"""A map with a window: so many calls at once, items read as they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.parcel import Parcel


class Feeder:
    """Reads items and submits calls, never more than ``window`` ahead of the results.

    Args:
        send: submits one call: (index, arguments).
    """

    def __init__(
        self,
        batch: Ledger,
        parcel: Parcel,
        engine: Engine,
        tuples: Iterable[tuple[Any, ...]],
        window: int,
        send: Callable[[int, tuple[Any, ...]], None],
    ) -> None:
        self._batch = batch
        self._parcel = parcel
        self._engine = engine
        self._tuples = iter(tuples)
        self._window = window
        self._send = send

    def start(self) -> None:
        """Feed from a thread."""
        self._engine.registry.add(self._batch)
        threading.Thread(target=self._run, name="nbtasks-feeder", daemon=True).start()

    def _run(self) -> None:
        sent = 0
        try:
            for args in self._tuples:
                if not self._wait_for_room(sent):
                    return
                if self._over():
                    break
                self._send(sent, args)
                sent += 1
        except Exception as error:
            self._give_up(error, sent)
            return
        self._complete(sent)

    def _wait_for_room(self, sent: int) -> bool:
        """Wait until another call may be sent; False when the engine was closed meanwhile."""
        batch = self._batch
        while not batch.wait_for(lambda: self._over() or sent - batch.finished_count < self._window, 1.0):
            if not self._engine.usable:
                return False
        return True

    def _over(self) -> bool:
        batch = self._batch
        failed = batch.origin.on_error == "stop" and batch.failed_count
        revoked = batch.revoked_count or -1 in batch.revoked.running
        return bool(batch.problem is not None or revoked or failed)

    def _complete(self, sent: int) -> None:
        batch = self._batch
        batch.shrink(sent)
        batch.complete()
        if sent:
            self._engine.complete(batch, self._parcel)
        if -1 in batch.revoked.running and not batch.done:
            # One may have been sent while that was done.
            batch.revoke(terminate=False)
        if batch.done:
            self._engine.registry.note_over(batch)
        batch.note_change()
        self._engine.registry.announce()

    def _give_up(self, error: Exception, sent: int) -> None:
        """The iterable has raised: revoke what was submitted, and show the error."""
        batch = self._batch
        batch.shrink(sent)
        batch.complete()
        self._engine.registry.fail(batch, error)
        if sent:
            self._engine.complete(batch, self._parcel)
            batch.revoke(terminate=True)
