"""``with app.lock("name")``: a lock, or a semaphore, that a block of code holds, in any process."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

from nbtasks.client import current
from nbtasks.core.durations import Duration, patience
from nbtasks.core.errors import ConfigError, LockLost, WouldDeadlock
from nbtasks.core.hold import Hold
from nbtasks.core.lock import Lock, check_capacity, check_name

if TYPE_CHECKING:
    from nbtasks.client.batches.engineparts import LockKeeper, Owner
    from nbtasks.client.current import Provider


class AppLock:
    """A lock by its name, of an App, or of the current one; ``with`` and ``async with`` take it for a block.

    What the block gets is the hold: its ``token`` grows with each that gets the lock, and ``is_lost`` says whether
    somebody else may have it by now. It may be used again, by several threads too, each of which waits for its turn.

    Args:
        app: None for the one that is current when it is taken.
        timeout: how long it waits; None: as long as it takes, 0: not at all.

    Raises:
        ConfigError: that is no name, or no capacity.
    """

    def __init__(
        self, app: Provider | None, name: str, capacity: int = 1, timeout: Duration | None = None
    ) -> None:
        self._app = app
        self._lock = Lock(check_name(name, "lock"), check_capacity(capacity))
        self._timeout = timeout
        self._timeout_s = 0.0 if timeout == 0 else patience(timeout)
        #: What is held, and by whom it was taken: the App may be closed when it is given back.
        self._holds: dict[Owner, tuple[LockKeeper, Hold]] = {}

    def __repr__(self) -> str:
        return f"<lock {self._lock.name!r} of {self._lock.capacity}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # In a worker it is one of the App that the worker runs for.
        return AppLock, (None, self._lock.name, self._lock.capacity, self._timeout)

    def _holding(self) -> LockKeeper:
        app = current.current() if self._app is None else self._app
        return app.engine.holding

    def _check_free(self, owner: Owner) -> None:
        if owner in self._holds or self._holding().is_held_by(owner, self._lock):
            raise WouldDeadlock(
                f"lock {self._lock.name!r} is held already by this code, which would wait for itself: a lock is not "
                "reentrant. Take it once, around all that needs it"
            )

    def __enter__(self) -> Hold:
        owner = _owner()
        self._check_free(owner)
        holding = self._holding()
        hold = holding.take(self._lock, owner, self._timeout_s)
        self._holds[owner] = holding, hold
        return hold

    def __exit__(self, kind: object, *_: object) -> None:
        left = self._left()
        if left is None:
            # A process that was forked off holds nothing.
            return
        holding, hold = left
        holding.give_back(hold)
        if hold.is_lost and kind is None:
            raise LockLost(
                f"{hold} was lost before its block has ended: its App was closed, this process could not say in time "
                "that it lives, or the broker has lost its data. Somebody else may have had it meanwhile"
            )

    def _left(self) -> tuple[LockKeeper, Hold] | None:
        """Return the hold of the block that ends here.

        Web frameworks begin a block in one thread of a pool, and end it in another.
        """
        here = _owner()
        if here in self._holds:
            return self._holds.pop(here)
        others = [one for one in list(self._holds) if one[0] == here[0]]
        if len(others) > 1:
            raise ConfigError(
                f"lock {self._lock.name!r}: a block ends in another thread than it has begun in, and {len(others)} of "
                f"them hold the lock by this one object: have each say app.lock({self._lock.name!r}) of its own"
            )
        return self._holds.pop(others[0], None) if others else None

    def __getattr__(self, name: str) -> Any:
        if name in {"acquire", "release", "locked"}:
            raise AttributeError(
                f"a lock has no {name}(): it is held for a block, with app.lock(...): or async with, and timeout=0 "
                "does not wait; contextlib.ExitStack holds it for longer than a block"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    async def __aenter__(self) -> Hold:
        owner = _owner()
        self._check_free(owner)
        holding, loop, given_up = self._holding(), asyncio.get_running_loop(), threading.Event()
        taken: asyncio.Future[Hold] = loop.create_future()

        def settle(hold: Hold | None, error: BaseException | None) -> None:
            if taken.done():
                if hold is not None:
                    holding.give_back(hold)
            elif error is not None:
                taken.set_exception(error)
            elif hold is not None:
                taken.set_result(hold)

        def take() -> None:
            hold, error = None, None
            try:
                hold = holding.take(self._lock, owner, self._timeout_s, given_up)
            except BaseException as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(settle, hold, error)
            except RuntimeError:
                # The loop is closed: nobody waits any more.
                if hold is not None:
                    holding.give_back(hold)

        # A thread of its own: many may wait, and those of a pool may be needed by who holds it.
        threading.Thread(target=take, name="nbtasks-lock", daemon=True).start()
        try:
            hold = await taken
        except asyncio.CancelledError:
            given_up.set()
            if taken.done() and not taken.cancelled() and taken.exception() is None:
                holding.give_back(taken.result())
            raise
        self._holds[owner] = holding, hold
        return hold

    async def __aexit__(self, kind: object, *_: object) -> None:
        self.__exit__(kind)


def _owner() -> Owner:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return os.getpid(), threading.get_ident(), 0 if task is None else id(task)
