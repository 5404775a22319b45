"""What code of this process holds of locks, and how it waits for them: in a worker as its child, else as a client."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtasks.client import whence
from nbtasks.client.batches.engineparts import Owner
from nbtasks.core import context
from nbtasks.core.errors import (
    BrokerUnavailable,
    ConfigError,
    OperationalError,
    TimeoutError,
    WouldDeadlock,
)
from nbtasks.core.hold import Hold
from nbtasks.core.ids import new_id
from nbtasks.core.lock import Lock
from nbtasks.local.connection import Connection, place

from .clientlease import LEASE_S, ClientLease
from .deadholders import DeadHolders

if TYPE_CHECKING:
    from nbtasks.broker.verbs.brokerline import BrokerLine

#: Seconds that one who waits sleeps at most before it asks again.
_ASK_S = 2.0
_LOOK_S = 0.2
#: Seconds that it is tried to give a lock back.
_GIVE_BACK_S = 10.0


class Holding:
    """Of one session.

    Args:
        connection: of the session.
        new_line, end_line: return a connection to its broker, and end it.
        line: for what is short.
    """

    def __init__(
        self,
        connection: Connection,
        new_line: Callable[[], BrokerLine],
        end_line: Callable[[BrokerLine], None],
        line: BrokerLine,
    ) -> None:
        self._connection = connection
        self._new_line, self._end_line = new_line, end_line
        self._line, self._locks = line, line.locks()
        self._serving = next((one for one in context.serving if _is_there(one.connection, connection)), None)
        self._worker = f"c-{new_id()}"
        self._consumer = self._serving.consumer if self._serving is not None else f"{self._worker}/0"
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._holds: dict[Owner, list[Hold]] = {}
        #: How many hold a lock, or wait for one; they need the lease.
        self._users = 0
        self._lease: ClientLease | None = None
        #: Nothing more is taken; and all that was held is given back, so that connections end now.
        self._closed = self._is_over = False

    def is_held_by(self, owner: Owner, lock: Lock) -> bool:
        """Whether a thread, or the call that runs there, holds a lock."""
        held = list(self._holds.get(owner, ()))
        call = context.current_call()
        if call is not None and call.hold is not None:
            held.append(call.hold)
        return any(one.id == lock.id for hold in held for one in hold.locks)

    def take(
        self, lock: Lock, owner: Owner, timeout_s: float | None, given_up: threading.Event | None = None
    ) -> Hold:
        """Take a lock, and wait for it.

        Args:
            given_up: set where nobody wants it any more.

        Raises:
            TimeoutError: others hold it.
            BrokerUnavailable: the broker cannot be reached.
        """
        name, call = f"{self._consumer}/{new_id()}", context.current_call()
        lapses = self._use()
        try:
            self._begin_lease()
            token = self._locks.acquire(lock, name, self._consumer, self._title(), wait=timeout_s != 0)
            if token is None:
                if given_up is None and timeout_s != 0:
                    self._check_others_go_on(lock, owner)
                token = self._token(lock, name, timeout_s, given_up)
            hold = Hold((lock,), name, token, lapses)
            self._keep(hold, owner)
        except BaseException as error:
            # Whatever has ended the wait: it stands in the line no more.
            with contextlib.suppress(OperationalError):
                self._step_out(lock, name)
            self._unuse()
            self._end_line_if_over()
            if self._closed and isinstance(error, OperationalError):
                # That has cut the connection.
                raise _closed_meanwhile(lock) from None
            raise
        if self._serving is not None and self._serving.holds is not None:
            self._serving.holds.taken(hold, call)
        elif self._lease is not None:
            self._lease.watch(hold)
        return hold

    def _keep(self, hold: Hold, owner: Owner) -> None:
        """Know what is held, so that it is given back at the end; not where that has come meanwhile."""
        with self._lock:
            if self._closed:
                raise _closed_meanwhile(hold.locks[0])
            self._holds.setdefault(owner, []).append(hold)

    def _begin_lease(self) -> None:
        lease = self._lease
        if lease is not None:
            lease.begin()

    def _step_out(self, lock: Lock, name: str) -> None:
        self._give([lock], name)

    def _give(self, locks: Sequence[Lock], name: str) -> None:
        """Give locks back, and leave their lines."""
        if not self._is_over:
            self._locks.release(locks, name, self._consumer)
            self._end_line_if_over()
            return
        # The session's connections have ended, or do so now: nobody would end one that is made again.
        line = self._new_line()
        try:
            line.locks().release(locks, name, self._consumer)
        finally:
            self._end_line(line)

    def _end_line_if_over(self) -> None:
        """What came at the very end may have opened it once more."""
        if self._is_over:
            self._end_line(self._line)

    def _check_others_go_on(self, lock: Lock, owner: Owner) -> None:
        """Refuse to wait where other cells or coroutines of this thread hold all places: they stand still then."""
        held = [hold for one, holds in list(self._holds.items()) if one[:2] == owner[:2] for hold in holds]
        if sum(own.id == lock.id for hold in held for own in hold.locks) >= lock.capacity:
            raise WouldDeadlock(
                f"lock {lock.name!r} is held by another cell or coroutine of this thread, which cannot go on while "
                "this one waits: end that block first, or say async with in coroutines"
            )

    def _use(self) -> int:
        with self._lock:
            if self._closed or self._pid != os.getpid():
                raise ConfigError(
                    "the App of this lock is closed, or belongs to another process; make a new one"
                )
            self._users += 1
            if self._serving is not None:
                return self._serving.slot.lease()[1]  # type: ignore[no-any-return]
            if self._lease is None:
                self._lease = ClientLease(self._new_line(), self._end_line, self._worker, self._locks)
        return 0

    def _unuse(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._lease is not None:
                self._lease.end()
                self._lease = None

    def _token(self, lock: Lock, name: str, timeout_s: float | None, given_up: threading.Event | None) -> int:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        token = None
        line = self._new_line()
        turns = line.locks()
        try:
            dead = DeadHolders(line.fleet(), self._locks, LEASE_S)
            while token is None:
                left = _ASK_S if deadline is None else min(_ASK_S, deadline - time.monotonic())
                if self._closed:
                    raise _closed_meanwhile(lock)
                if left <= 0 or (given_up is not None and given_up.is_set()):
                    raise TimeoutError(self._said(lock, timeout_s))
                if timeout_s != 0:
                    turns.await_turn(name, left, given_up.is_set if given_up is not None else _never)
                    if self._closed:
                        # What has ended the wait has ended the other connections, too.
                        raise _closed_meanwhile(lock)
                dead.bury_those_of(lock)
                token = self._locks.acquire(lock, name, self._consumer, self._title(), wait=True)
        except OperationalError:
            if self._closed:
                # That has cut the connection.
                raise _closed_meanwhile(lock) from None
            raise
        finally:
            self._end_line(line)
        return token

    def _title(self) -> str:
        call = context.current_call()
        if call is not None:
            return f"{call.name}[{call.id}]"
        here = whence.submitter()
        return f"{whence.name_of(here.place)} on {here.machine.partition(' ')[0]}, pid {here.pid}"

    def _said(self, lock: Lock, timeout_s: float | None) -> str:
        held = self._locks.occupancy(lock.id, lock.capacity)
        by = "; ".join(f"{one.title or one.name} for {one.since_s:,.0f} s" for one in held.holders[:3])
        waiting = f"; {held.waiting:,} {'wait' if held.waiting > 1 else 'waits'} for it"
        return (
            f"lock {lock.name!r} was not free within {timeout_s or 0:g} s: held by {by or 'others'}"
            f"{waiting if held.waiting else ''}"
        )

    def give_back(self, hold: Hold) -> None:
        """Give a lock back, once. Where the broker cannot be reached, it is free when the lease has ended."""
        if self._pid != os.getpid():
            return
        with self._lock:
            owner = next((one for one, holds in self._holds.items() if hold in holds), None)
            if owner is None:
                return
            self._holds[owner].remove(hold)
            if not self._holds[owner]:
                del self._holds[owner]
        if self._serving is not None and self._serving.holds is not None:
            self._serving.holds.given_back(hold)
        elif self._lease is not None:
            self._lease.forget(hold)
        try:
            self._release(hold)
        finally:
            self._unuse()

    def _release(self, hold: Hold) -> None:
        end = time.monotonic() + _GIVE_BACK_S
        while True:
            was_over = self._is_over
            try:
                self._give(hold.locks, hold.name)
            except BrokerUnavailable:
                # Where the end has cut its connection it is said once more, over one of its own.
                if time.monotonic() > end or was_over:
                    return
                time.sleep(0 if self._is_over else _LOOK_S)
            else:
                return

    def close(self) -> None:
        """Give everything back."""
        with self._lock:
            self._closed = True
        for hold in list(itertools.chain(*self._holds.values())):
            # Whoever holds it goes on without.
            hold.lost_at = hold.lost_at or time.monotonic()
            with contextlib.suppress(OperationalError):
                self.give_back(hold)
        if self._lease is not None:
            self._lease.end()
        self._is_over = True


def _closed_meanwhile(lock: Lock) -> ConfigError:
    return ConfigError(f"the App was closed while lock {lock.name!r} was waited for")


def _never() -> bool:
    return False


def _is_there(one: Connection, other: Connection) -> bool:
    """Whether both lead to the same data."""
    return place(one.address, one.namespace) == place(other.address, other.namespace)
