"""What the peers with an asyncio client share. Apart from the others, which need not import asyncio."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any

from benchmarks.setting import Setting

from .base import Peer


class AsyncPeer(Peer):
    """A peer whose client is asyncio: the adapter owns a loop and runs each piece of work in it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._loop = asyncio.new_event_loop()

    def run(self, work) -> Any:
        return self._loop.run_until_complete(work)

    async def asubmit(self, task, x) -> Any:
        raise NotImplementedError

    async def await_value(self, handle) -> Any:
        raise NotImplementedError

    def submit(self, task, x) -> Any:
        return self.run(self.asubmit(task, x))

    def wait(self, handle) -> Any:
        return self.run(self.await_value(handle))

    def call(self, task, x) -> Any:
        return self.run(self._call(task, x))

    async def _call(self, task, x) -> Any:
        return await self.await_value(await self.asubmit(task, x))

    def loop(self, task, items) -> list:
        return self.run(self._one_by_one(task, items))

    async def _one_by_one(self, task, items) -> list:
        handles = [await self.asubmit(task, item) for item in items]
        return [await self.await_value(handle) for handle in handles]


def as_coroutine(function) -> Any:
    """Return a coroutine function that does the same: an asyncio library need not use a thread then."""
    if inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    async def run(x):
        return function(x)

    # Frameworks look at the signature of what was wrapped, and some would call that.
    del run.__wrapped__
    return run
