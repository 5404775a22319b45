"""Tasks called over HTTP by programs in other languages, and their results; paths and words as Flower has them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from nbtasks.client.result import AsyncResult
from nbtasks.client.taskelsewhere import task_at_hand
from nbtasks.client.waiting import wait_async
from nbtasks.core import states as st
from nbtasks.core.errors import (
    BackPressure,
    BrokerUnavailable,
    NbtasksError,
    OperationalError,
    UnknownCall,
)
from nbtasks.monitor.callresult import call_result

from .jsonanswer import JsonAnswer, refusal_answer

if TYPE_CHECKING:
    from starlette.requests import Request

    from nbtasks.client.app import App
    from nbtasks.monitor.monitor import Monitor

    from .hooksto import HooksTo

#: Requests that wait for the end of a call at once; seconds for which one may, and does by itself.
_MOST_WAITING = 64
_LONGEST_S, _PATIENCE_S = 300.0, 30.0
_MOST_NAME = 500
#: What workers call for nbtasks itself: webhooks, which may go to some URLs only.
_OURS = "nbtasks."
#: What may be said of a call besides its arguments; all of it goes to ``apply_async``.
_OPTIONS = {
    "queue": str,
    "priority": (int, str),
    "countdown": (int, float),
    "eta": str,
    "expires": (int, float, str),
    "task_id": str,
    "label": str,
}


class _Refused(Exception):
    """A request makes no sense."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class TaskCalls:
    """Answers them.

    Args:
        hooks: which URLs may be called when a task ends.
    """

    def __init__(self, app: App, monitor: Monitor, hooks: HooksTo) -> None:
        self._app = app
        self._monitor = monitor
        self._hooks = hooks
        self._waiting = 0

    def routes(self) -> list[Route]:
        """Return where they are."""
        get, post = ["GET"], ["POST"]
        return [
            Route("/api/task/async-apply/{name:path}", self._answers(self._submit), methods=post),
            Route("/api/task/send-task/{name:path}", self._answers(self._submit), methods=post),
            Route("/api/task/apply/{name:path}", self._answers(self._apply), methods=post),
            Route("/api/task/result/{id:path}", self._answers(self._result), methods=get),
            Route("/api/task/info/{id:path}", self._answers(self._info), methods=get),
            Route("/api/task/revoke/{id:path}", self._answers(self._revoke), methods=post),
        ]

    def _answers(self, act: Callable[[Request], Any]) -> Callable[[Request], Any]:
        @functools.wraps(act)
        async def answering(request: Request) -> Response:
            try:
                return JsonAnswer(await act(request))
            except _Refused as refused:
                return _error(refused.status, str(refused))
            except UnknownCall as error:
                return _error(404, str(error))
            except (BrokerUnavailable, BackPressure) as error:
                return _error(503, str(error))
            except (NbtasksError, TypeError) as error:
                # What was asked for makes no sense: a task of another signature, an option of another kind.
                return _error(502 if type(error) is OperationalError else 400, str(error))

        return answering

    # -- calling

    async def _submit(self, request: Request) -> Any:
        handle = await self._submitted(request)
        return {"task-id": handle.id, "state": handle.state}

    async def _apply(self, request: Request) -> Any:
        timeout_s = _timeout(request, _PATIENCE_S)
        # Nothing is submitted by who is then told to come again.
        with self._place():
            handle = await self._submitted(request)
            await _wait(request, handle, timeout_s)
        return await self._known(handle)

    async def _submitted(self, request: Request) -> AsyncResult[Any]:
        if self._monitor.readonly:
            raise _Refused(403, "this dashboard is read-only")
        name = request.path_params["name"]
        if len(name) > _MOST_NAME:
            raise _Refused(400, "that is no name of a task")
        if name.startswith(_OURS):
            raise _Refused(
                403, f"{name!r:.60} is called by nbtasks itself only; for a webhook say webhook=URL"
            )
        body = await _body(request)
        args, kwargs = body.pop("args", []), body.pop("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise _Refused(400, "args is a list, kwargs an object")
        options = self._hooks.linked(body.pop("webhook", None), body.get("queue"))
        for option, value in body.items():
            kinds = _OPTIONS.get(option)
            if kinds is None or isinstance(value, bool) or not isinstance(value, kinds):  # type: ignore[arg-type]
                known = ", ".join(["args", "kwargs", "webhook", *_OPTIONS])
                raise _Refused(400, f"{option!r:.60} is unknown, or of another kind; there are {known}")
            options[option] = value
        # With the token alone nobody has a worker import what it has not, for that runs it.
        task = self._app.tasks.get(name) or task_at_hand(name, self._app)
        return await run_in_threadpool(task.apply_async, args, kwargs, **options)

    # -- asking

    async def _result(self, request: Request) -> Any:
        timeout_s = _timeout(request, 0.0)
        handle = await self._handle(request)
        if timeout_s and not handle.ready():
            with self._place():
                await _wait(request, handle, timeout_s)
        return await self._known(handle)

    async def _info(self, request: Request) -> Any:
        page = await run_in_threadpool(self._monitor.page, "call", {"id": request.path_params["id"]})
        if page.get("found") is False:
            raise _Refused(404, page["problem"])
        return page

    async def _revoke(self, request: Request) -> Any:
        body = await _body(request)
        action = "terminate" if body.pop("terminate", False) is True else "revoke"
        given = {**body, "id": request.path_params["id"]}
        if self._monitor.readonly:
            raise _Refused(403, "this dashboard is read-only")
        # An id that nobody knows is told as everywhere.
        await run_in_threadpool(self._app.attach, given["id"])
        done = await run_in_threadpool(self._monitor.act, action, given)
        if not done["ok"]:
            raise _Refused(400, done["said"])
        return done

    async def _handle(self, request: Request) -> AsyncResult[Any]:
        return await run_in_threadpool(self._app.AsyncResult, request.path_params["id"])

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places for those who wait."""
        if self._waiting >= _MOST_WAITING:
            raise _Refused(503, f"{_MOST_WAITING} requests wait for the end of calls, which is the most")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    @staticmethod
    async def _known(handle: AsyncResult[Any]) -> dict[str, Any]:
        """Return what is known of a call."""
        state = handle.state
        found = {"task-id": handle.id, "state": state}
        if state not in st.READY_STATES:
            return found
        return {**found, **await run_in_threadpool(call_result, handle)}


async def _wait(request: Request, handle: AsyncResult[Any], timeout_s: float) -> None:
    """Wait for the end of a call, or until who has asked is gone."""
    waiting = [
        asyncio.ensure_future(wait_async(handle.batch, handle.ready)),
        asyncio.ensure_future(_gone(request)),
    ]
    try:
        done, _ = await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        found = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise _Refused(400, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise _Refused(400, "the body is no object in JSON")
    return found


def _timeout(request: Request, default: float) -> float:
    text = request.query_params.get("timeout")
    try:
        found = default if text is None else float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found <= _LONGEST_S:
        raise _Refused(400, f"timeout is seconds, {_LONGEST_S:g} at most")
    return found


def _error(status: int, said: str) -> Response:
    return refusal_answer(status, said[:1000])
