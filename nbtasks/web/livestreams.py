"""Pages sent on as they change: server-sent events, to a bounded number of browsers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from .admission import Admission
from .jsonanswer import refusal_answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from nbtasks.monitor.monitor import Monitor

#: Browsers that are served at once; seconds between two looks, and between two signs of life.
MOST_STREAMS = 64
_EVERY_S = 1.0
_BEAT_S = 10.0
#: Seconds after which a browser comes back whose stream has ended.
_AGAIN_MS = 1_000

#: A page and what of it is wanted, as JSON.
_Wanted = tuple[str, str]


class Streams:
    """All that are open. Who looks at the same page shares what it costs."""

    def __init__(self, monitor: Monitor, access: Admission) -> None:
        self._monitor = monitor
        self._access = access
        self._open = 0
        self._ended = asyncio.Event()
        #: What was made lately: when (monotonic), and what.
        self._made: dict[_Wanted, tuple[float, asyncio.Future[dict[str, Any]]]] = {}

    def end(self) -> None:
        """End all streams."""
        self._ended.set()

    async def stream(self, request: Request) -> Response:
        """Answer ``GET stream?page=NAME&filters=JSON&call=ID``."""
        if self._open >= MOST_STREAMS:
            return refusal_answer(503, f"{MOST_STREAMS} pages are open, which is the most; close one")
        try:
            filters = json.loads(request.query_params.get("filters") or "{}")
        except (ValueError, RecursionError):
            return refusal_answer(400, "filters is no JSON")
        page, call = request.query_params.get("page", ""), request.query_params.get("call", "")
        wanted = [(page, json.dumps(filters))] if page else []
        wanted += [("call", json.dumps({"id": call}))] if call else []
        for name, _ in wanted:
            if name not in self._monitor.names:
                return refusal_answer(404, f"there is no page {name!r:.60}")
        # From now on, for many may ask at once.
        self._open += 1
        return _Stream(self._messages(wanted), self._leave)

    def _leave(self) -> None:
        self._open -= 1

    async def _messages(self, wanted: list[_Wanted]) -> AsyncIterator[str]:
        hello = {**self._monitor.hello(), "csrf": self._access.csrf}
        yield f"retry: {_AGAIN_MS}\n{_message('hello', hello)}"
        sent: dict[_Wanted, Any] = {}
        beat_at = time.monotonic()
        while not self._ended.is_set():
            for one in wanted:
                page = await self._page(one)
                content = {name: value for name, value in page.items() if name != "now"}
                if content != sent.get(one):
                    sent[one], beat_at = content, time.monotonic()
                    yield _message("page", {"page": one[0], "data": page})
            if time.monotonic() - beat_at >= _BEAT_S:
                beat_at = time.monotonic()
                yield ": beat\n\n"
            await self._pause()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._ended.wait(), _EVERY_S)
        except asyncio.TimeoutError:
            return

    async def _page(self, wanted: _Wanted) -> dict[str, Any]:
        """Return a page, made by whoever was first to want it a moment ago."""
        now = time.monotonic()
        made = self._made.get(wanted)
        if made is None or now - made[0] >= _EVERY_S * 0.9:
            self._made = {one: kept for one, kept in self._made.items() if now - kept[0] < _EVERY_S}
            name, filters = wanted
            making = asyncio.ensure_future(run_in_threadpool(self._monitor.page, name, json.loads(filters)))
            made = self._made[wanted] = now, making
        return await asyncio.shield(made[1])


class _Stream(StreamingResponse):
    """One that says when it is over, though it may never have begun."""

    def __init__(self, messages: AsyncIterator[str], on_end: Callable[[], None]) -> None:
        # A proxy passes it on as it comes.
        super().__init__(messages, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


def _message(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
