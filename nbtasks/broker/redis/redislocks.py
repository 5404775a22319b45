"""Locks: who holds them, who waits for them, and what becomes of those that a dead process held.

A holder is known by a name, and by the consumer that it runs in: a worker's child, or a client. It holds a lock until
it gives it back, or until its worker, or its client, has lost its lease; nobody guesses how long that may take.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Sequence

from nbtasks.broker.verbs.consumers import worker_of
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.locks import LOOK_S, MOST_AT_ONCE, MOST_LOCKS, MOST_SHOWN, Turn, title_of
from nbtasks.core.errors import BrokerUnavailable
from nbtasks.core.lock import Lock
from nbtasks.core.occupancy import Holder, Occupancy

from .channel import Argument
from .keys import GROUP, Keys
from .lanes import Lanes
from .link import Link, translated
from .untrusted import number_or

_HOLDER = re.compile(
    rb"([0-9]{1,15}) ([0-9]{1,15}) ([0-9]{1,15}) ([\x21-\x7e]{1,300}) ?(.{0,300})", re.DOTALL
)


class RedisCallLocks:
    """Takes locks for calls, as one consumer."""

    def __init__(self, lanes: Lanes, consumer: str) -> None:
        self._lanes = lanes
        self._consumer = consumer

    def take(self, entry: Entry, index: int, lane: str, title: str, locks: Sequence[Lock]) -> Turn:
        """Take the locks of a call that is about to start, all of them; or end its entry: it comes when it is its turn.

        Args:
            entry: what it came with, in which it is alone.
            lane: that it comes back to.
            title: what is shown of it.
        """
        place: list[Argument] = [GROUP, self._consumer, entry.address, entry.lane, entry.id, lane, index]
        args = [*place, title_of(title), *_flat(locks)]
        root = self._lanes.keys.root
        kind, *rest = self._lanes.grouped(lambda: self._lanes.link.script("lock_for_call", [root], args))
        return Turn(int(rest[0])) if kind == 1 else Turn(waits=kind == 0)


class RedisLocks:
    """All else that is done with locks.

    Args:
        link: for what is short; nobody waits on it.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    # -- of code that takes them by itself

    def acquire(self, lock: Lock, name: str, consumer: str, title: str, wait: bool) -> int | None:
        """Take a lock; returns the token, or None where it is not free.

        Args:
            wait: have a place in the line then. Who waits asks again when it is told to, and now and then.
        """
        args: list[Argument] = [lock.id, lock.capacity, name, consumer, title_of(title), "1" if wait else ""]
        kind, value = (*self._link.script("lock_for_code", [self._keys.root], args), 0)[:2]
        return int(value) if kind == 1 else None

    def await_turn(self, name: str, most_s: float, given_up: Callable[[], bool]) -> None:
        """Wait until who has a place in a line is told that it is its turn."""
        end, block_ms = time.monotonic() + most_s, max(1, round(most_s * 1000))
        try:
            self._link.ask(self._keys.lock_calls(name), b"0-0", 10, block_ms)
            while not self._link.answer(min(LOOK_S, max(0.0, end - time.monotonic()))):
                if time.monotonic() >= end or given_up():
                    break
        except BrokerUnavailable:
            time.sleep(min(LOOK_S, most_s))
        finally:
            self._link.close()

    def release(self, locks: Sequence[Lock], name: str, consumer: str) -> None:
        """Give locks back, or leave their lines."""
        self._link.script("lock_release", [self._keys.root], [name, consumer, *_flat(locks)])

    def are_held(self, locks: Sequence[Lock], name: str, token: int) -> bool:
        """Whether somebody still holds what he has got with this token."""
        values = self._link.pipeline([("HGET", self._keys.lock_holders(lock.id), name) for lock in locks])
        found = [_HOLDER.fullmatch(value) if isinstance(value, bytes) else None for value in values]
        for value in values:
            if isinstance(value, Exception):
                raise translated(value, self._link.label)
        return all(one is not None and int(one[2]) == token for one in found)

    # -- of the dead

    def unlock(self, worker: str, consumer: str = "", guard: bool = False) -> int:
        """Give back what a consumer held, or all of a worker's; returns how many locks.

        Args:
            guard: only while there is no lease for the worker.
        """
        keys = [self._keys.root, *([self._keys.lease(worker)] if guard else [])]
        total = 0
        while True:
            found = int(self._link.script("lock_of_dead", keys, [worker, consumer, MOST_AT_ONCE]))
            total += found
            if found < MOST_AT_ONCE:
                return total

    def unlock_consumer(self, consumer: str) -> int:
        """Give back what one dead consumer held."""
        return self.unlock(worker_of(consumer), consumer)

    def unlock_all(self, workers: Sequence[str]) -> None:
        """Give back what workers and clients held that have no lease, of whom most held nothing."""
        for start in range(0, len(workers), 1000):
            part = workers[start : start + 1000]
            holding = self._link.pipeline([("EXISTS", self._keys.locks_of(name)) for name in part])
            for name, there in zip(part, holding, strict=True):
                if there == 1:
                    self.unlock(name, guard=True)

    def see_to_lines(self) -> int:
        """See that all lines get on; returns how many there are."""
        ids = self._link.call_or_nothing(("HKEYS", self._keys.lines), [])[:MOST_LOCKS]
        for start in range(0, len(ids), MOST_AT_ONCE):
            self._link.script("lock_turns", [self._keys.root], ids[start : start + MOST_AT_ONCE])
        return len(ids)

    # -- looked at

    def occupancy(self, lock_id: str, capacity: int, address: str = "@", name: str = "") -> Occupancy:
        """Return who holds a lock.

        Args:
            capacity: how many may, as who waits says.
            address: of the queue of who waits; "@" of code that waits by itself.
            name: under which it waits.
        """
        args: list[Argument] = [lock_id, MOST_SHOWN, address, name, capacity]
        waiting, before, count, now, *rest = self._link.script("lock_holders", [self._keys.root], args)
        found = [_holder(one, value, now) for one, value in zip(rest[::2], rest[1::2], strict=True)]
        holders = tuple(one for one in found if one is not None)
        return Occupancy(int(waiting), None if before < 0 else int(before), int(count), holders)


def _flat(locks: Iterable[Lock]) -> list[Argument]:
    return [part for one in locks for part in (one.id, one.capacity)]


def _holder(name: bytes, value: bytes, now_ms: int) -> Holder | None:
    found = _HOLDER.fullmatch(value)
    if found is None or len(name) > 400:
        return None
    since_s = max(0.0, (now_ms - number_or(found[3], now_ms)) / 1000)
    with contextlib.suppress(UnicodeDecodeError):
        return Holder(name.decode(), worker_of(found[4].decode()), found[5].decode(), since_s, int(found[1]))
    return None
