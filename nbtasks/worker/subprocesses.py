"""Which subprocesses belong to which call of an event loop: when a call is stopped there, they end with it."""

from __future__ import annotations

import asyncio

from nbtasks.core.context import CurrentCall
from nbtasks.local.proctree import kill_tree


class Subprocesses:
    """Of one event loop; its thread's only, but for :meth:`end`."""

    def __init__(self) -> None:
        self._started: dict[tuple[str, int], list[asyncio.SubprocessTransport]] = {}

    def note(self, call: CurrentCall | None, transport: asyncio.SubprocessTransport) -> None:
        """Note that a call has started a subprocess."""
        if call is not None:
            self._started.setdefault((call.batch, call.index), []).append(transport)

    def forget(self, call: CurrentCall) -> None:
        """A call has ended by itself: what it has started may go on."""
        self._started.pop((call.batch, call.index), None)

    def end(self, call: CurrentCall) -> None:
        """End what a call has started, with what that has started."""
        for transport in self._started.pop((call.batch, call.index), []):
            pid = transport.get_pid()
            # Else its number may be another one's by now.
            if transport.get_returncode() is None and pid is not None:
                kill_tree(pid)
