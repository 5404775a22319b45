"""What the handles of a call and of a map have in common: shown, revoked, awaited, followed by a callback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nbtasks.core.awaited import keep_place
from nbtasks.core.pages import page_of

from . import observers, waiting
from .border import at_awaited_border, at_border
from .handlewords import CeleryWords, revoked, stopping
from .linked import Linked
from .onlooking import watched

if TYPE_CHECKING:
    from typing_extensions import Self

    from .batches.ledger import Ledger

#: What ``get()`` returns.
V = TypeVar("V")


class Handle(Linked, CeleryWords, Generic[V]):
    """Stands for calls of one batch: for one of them, or for all."""

    __reduce_ex__ = keep_place

    batch: Ledger

    def __str__(self) -> str:
        return self.id

    @property
    def id(self) -> str:
        """By which any process finds it."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The task's name."""
        return self.batch.name

    # -- what each of them says

    def successful(self) -> bool:
        """Whether all that it stands for has ended with a result."""
        raise NotImplementedError

    def get(self, timeout: float | None = None) -> V:
        """Wait for the end and return what it has come to."""
        raise NotImplementedError

    @property
    def _place(self) -> int:
        """Which of the batch's calls it stands for; -1 for all."""
        raise NotImplementedError

    def _has_ended(self) -> bool:
        """Whether all that it stands for has ended, or nobody will tell, as far as it is known now."""
        raise NotImplementedError

    def _goes_on(self) -> str:
        """Say to who stops waiting what goes on."""
        raise NotImplementedError

    def _is_settled(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self._has_ended() or not self.batch.engine.usable

    # -- acting

    @at_border
    def show(self) -> None:
        """Show the card here. In a terminal or a script a bar is drawn until all has ended; Ctrl-C leaves it."""
        watched(self, None)

    def _display_(self) -> Any:
        return page_of(self)

    @at_border
    def revoke(self, terminate: bool = False, **words: Any) -> None:
        """Revoke what has not ended: it does not start any more; with ``terminate`` it is stopped if it runs.

        What waits for it is revoked with it. The result of a workflow revokes the whole workflow. Of Celery's words
        ``signal`` says how it is stopped, ``wait`` and ``timeout`` wait for its end.
        """
        how = stopping(terminate, words)
        if terminate:
            self.batch.engine.capabilities.need("terminate")
        found = self._relatives()
        if not (self._has_ended() or (found is not None and found.revoke_whole(how))):
            self.batch.revoke(how, self._place)
        if words:
            revoked(self, words)

    def then(
        self, callback: Callable[[Self], object], on_error: Callable[[Self], object] | None = None
    ) -> Self:
        """Call ``callback(self)`` when all has succeeded, ``on_error(self)`` when all has ended and some has not."""

        def choose() -> None:
            if self.successful():
                callback(self)
            elif on_error is not None:
                on_error(self)

        self.batch.engine.when(self.batch, self._has_ended, choose)
        return self

    def __await__(self) -> Generator[Any, None, V]:
        return self._awaited().__await__()

    @at_awaited_border
    async def _awaited(self) -> V:
        try:
            await waiting.wait_async(self.batch, self._is_settled)
        except asyncio.CancelledError as stopped:
            raise waiting.saying(stopped, self._goes_on())  # noqa: B904 - the same error
        if self.batch.done:
            observers.waited(self.batch)
        return self.get(timeout=0)
