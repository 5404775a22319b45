"""Locks of an eager App, for tests: there is no broker, so they are those of this process."""

from __future__ import annotations

import itertools
import threading
import time

from nbtasks.client.batches.engineparts import Owner
from nbtasks.core.errors import TimeoutError
from nbtasks.core.hold import Hold
from nbtasks.core.lock import Lock


class EagerHolding:
    """Takes the place of :class:`Holding`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[str, list[tuple[Owner, Hold]]] = {}
        self._tokens = itertools.count(1)

    def is_held_by(self, owner: Owner, lock: Lock) -> bool:
        """Whether a thread holds a lock."""
        return any(one == owner for one, _ in self._held.get(lock.id, ()))

    def take(
        self, lock: Lock, owner: Owner, timeout_s: float | None, given_up: threading.Event | None = None
    ) -> Hold:
        """Take a lock, and wait for it."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self._has_room(lock):
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or (given_up is not None and given_up.is_set()):
                    raise TimeoutError(f"lock {lock.name!r} was not free within {timeout_s or 0:g} s")
                self._changed.wait(min(0.2, left) if left is not None else 0.2)
            hold = Hold((lock,), "", next(self._tokens))
            self._held.setdefault(lock.id, []).append((owner, hold))
        return hold

    def _has_room(self, lock: Lock) -> bool:
        held = self._held.get(lock.id, [])
        return len(held) < min([lock.capacity, *(hold.locks[0].capacity for _, hold in held)])

    def give_back(self, hold: Hold) -> None:
        """Give a lock back, once."""
        with self._changed:
            held = self._held.get(hold.locks[0].id, [])
            held[:] = [one for one in held if one[1] is not hold]
            self._changed.notify_all()
