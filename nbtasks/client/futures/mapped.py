"""What ``executor.map()`` returns: results in the order of the items."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from itertools import islice
from typing import Any, TypeVar

from nbtasks.client.group import GroupResult
from nbtasks.core.errors import TimeoutError

from .taskfuture import TaskFuture

R = TypeVar("R")


def in_order(group: GroupResult[R], give_up_at: float | None) -> Iterator[R]:
    """Yield the results of a map; what has not begun is revoked when nobody wants the rest.

    Args:
        give_up_at: moment (monotonic) from which on a result that has not come is a TimeoutError.
    """
    batch, index = group.batch, 0
    try:
        while True:
            ready = _has(group, index)
            batch.wait_for(ready, _left(give_up_at))
            if index >= batch.n and not batch.growing:
                if batch.problem is not None:
                    raise batch.problem
                return
            if not ready():
                raise FutureTimeoutError
            yield _value(group, index)
            index += 1
    finally:
        if not batch.done:
            group.revoke()


def _has(group: GroupResult[Any], index: int) -> Callable[[], bool]:
    """Return a function that tells whether a result is there, or none will come."""
    batch = group.batch

    def has() -> bool:
        if index >= batch.n:
            return not batch.growing
        return group[index].ready() or not batch.engine.usable

    return has


def _value(group: GroupResult[R], index: int) -> R:
    try:
        return group[index].get(timeout=0)
    except TimeoutError:
        raise FutureTimeoutError from None


def as_taken(
    submit: Callable[..., TaskFuture[R]],
    fn: Callable[..., R],
    items: Iterable[tuple[Any, ...]],
    give_up_at: float | None,
    ahead: int,
) -> Iterator[R]:
    """Yield results. ``ahead`` items are submitted at once, then one for each result that is taken."""
    source = iter(items)
    futures = deque(submit(fn, *one) for one in islice(source, ahead))
    return _taken(submit, fn, source, futures, give_up_at)


def _taken(
    submit: Callable[..., TaskFuture[R]],
    fn: Callable[..., R],
    source: Iterator[tuple[Any, ...]],
    futures: deque[TaskFuture[R]],
    give_up_at: float | None,
) -> Iterator[R]:
    try:
        while futures:
            for one in source:
                futures.append(submit(fn, *one))
                break
            future = futures.popleft()
            try:
                yield future.result(_left(give_up_at))
            finally:
                future.cancel()
                del future
    finally:
        for future in futures:
            future.cancel()


def _left(give_up_at: float | None) -> float | None:
    return None if give_up_at is None else max(0.0, give_up_at - time.monotonic())
