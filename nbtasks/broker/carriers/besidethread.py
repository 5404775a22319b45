"""A thread on which a library is used that may not answer for long: it is given up then."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class BesideThread:
    """One thread, which does one thing after the other as long as it answers.

    Args:
        name: of the thread, for those who look at a stuck process.
    """

    def __init__(self, name: str) -> None:
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        # It is never waited for: a process may end while it hangs.
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def do(self, action: Callable[[], T], within_s: float) -> T:
        """Do something there, and return what comes of it.

        Raises:
            TimeoutError: it has not ended in time, and may go on. The thread is not to be used any more.
        """
        future: Future[T] = Future()
        self._asked.put((action, future))
        try:
            return future.result(within_s)
        except TimeoutError:
            raise
        except Exception as error:
            # Python 3.10 has a TimeoutError of its own for this.
            if not future.done():
                raise TimeoutError("no answer in time") from error
            raise

    def end(self) -> None:
        """End when what is being done has ended."""
        self._asked.put(None)

    def _serve(self) -> None:
        while (asked := self._asked.get()) is not None:
            action, future = asked
            try:
                future.set_result(action())
            except BaseException as error:  # noqa: BLE001  # who has asked raises it
                future.set_exception(error)
