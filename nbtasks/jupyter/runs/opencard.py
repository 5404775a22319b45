"""The card of a run whose row is open: it speaks through the list, which passes on what is for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import NbtasksError
from nbtasks.jupyter.card.answers import answer
from nbtasks.jupyter.card.card import Card

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

#: Takes what is for the page: a message, and the bytes that go with it.
Tell = Callable[[dict[str, Any], "list[bytes]"], None]


class OpenCard:
    """A card in a row. On the writer's thread only.

    Args:
        tell: takes what is for the page's card.
        on_retry: told that calls run again that had failed.
    """

    def __init__(self, run: Run, tell: Tell, on_retry: Callable[[], None]) -> None:
        self._card = Card(run)
        self._tell = tell
        self._on_retry = on_retry
        self._told_end = False

    def full_state(self) -> dict[str, Any]:
        """Return everything the page's card needs when it starts from nothing."""
        return self._card.full_state()

    def state(self) -> tuple[dict[str, Any], bytes]:
        """Return what the page's card begins with: its head and number, and the states of the calls."""
        state = self._card.full_state()
        return {"head": state["head"], "seq": state["seq"]}, state["mosaic"]

    def tick(self, now: float) -> None:
        """Bring the page up to date."""
        ended = self._card.batch.ended_at is not None
        self._send(self._card.tick(now, always=ended and not self._told_end))
        self._told_end = ended

    def receive(self, asked: dict[str, Any]) -> None:
        """Do or answer what the page's card asks for; it may be anything."""
        kind, index = asked.get("t"), asked.get("index")
        if kind == "hello":
            self._tell({"k": "welcome"}, [])
        if kind == "cancel":
            self._card.batch.revoke(terminate=True, how="cancelled from the card")
            self._card.stopping = True
        if kind in ("cancel", "resync"):
            self._send(self._card.tick(time.time(), whole=True))
        elif kind == "retry" or (kind == "again" and type(index) is int):
            self._retry(index if kind == "again" else None)
        else:
            found = answer(self._card.calls, asked)
            if found is not None:
                self._tell(*found)

    def _retry(self, index: int | None) -> None:
        try:
            self._card.batch.retry_failed(index)
        except NbtasksError as problem:
            self._tell({"k": "problem", "text": str(problem)}, [])
            return
        self._card.stopping = False
        self._tell({"k": "retried"}, [])
        self._on_retry()

    def _send(self, tick: Any) -> None:
        if tick is not None:
            self._tell(tick.content, tick.buffers)

    def close(self) -> None:
        """The row is shut."""
        self._card.close()
