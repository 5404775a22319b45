"""The dashboard's pages, data, actions and metrics as one web application."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from nbtasks.core.errors import ConfigError

from .callwords import filters_of
from .jsonanswer import JsonAnswer, refusal_answer
from .metrics import CONTENT_TYPE, Metrics
from .taskcalls import TaskCalls
from .workerorders import order_routes

if TYPE_CHECKING:
    from starlette.requests import Request

    from nbtasks.monitor.monitor import Monitor

    from .livestreams import Streams

#: Bytes of what an action is told.
_MOST_ACTION = 64_000
_START = """\
import {start, webTransport} from "./dashboard.js";

// The token is in the cookie now, and shall not stay in the address.
const address = new URL(location.href);
if (address.searchParams.has("token")) {
  address.searchParams.delete("token");
  history.replaceState(null, "", address.pathname + address.search + address.hash);
}
start(document.getElementById("dashboard"), webTransport("./"));
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>nbtasks</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static/dashboard.css">
</head>
<body>
<main id="dashboard"></main>
<noscript>The dashboard needs JavaScript.</noscript>
<script type="module" src="static/start.js"></script>
</body>
</html>
"""


class Site:
    """Answers requests that were let in.

    Args:
        page_files: return the module and the style sheet of the pages.
    """

    def __init__(
        self,
        monitor: Monitor,
        streams: Streams,
        calls: TaskCalls,
        metrics: Metrics,
        script: Callable[[], str],
        style: Callable[[], str],
    ) -> None:
        self._monitor = monitor
        self._streams = streams
        self._calls = calls
        self._metrics = metrics
        self._script = script
        self._style = style

    def application(self) -> Starlette:
        """Return it."""
        get = ["GET"]
        return Starlette(
            routes=[
                Route("/", self._page, methods=get),
                Route("/static/start.js", _script(lambda: _START), methods=get),
                Route("/static/dashboard.js", _script(self._script), methods=get),
                Route("/static/dashboard.css", _style(self._style), methods=get),
                Route("/stream", self._streams.stream, methods=get),
                Route("/api/pages/{name}", self._data, methods=get),
                Route("/api/act/{action}", self._act, methods=["POST"]),
                *self._calls.routes(),
                *order_routes(self._monitor),
                Route("/api/workers", self._named("workers"), methods=get),
                Route("/api/tasks", self._calls_asked_for, methods=get),
                Route("/api/queues/length", self._queues, methods=get),
                Route("/metrics", self._metric_text, methods=get),
                Route("/healthcheck", self._health, methods=get),
            ],
            exception_handlers={HTTPException: _refused},
        )

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(_PAGE)

    async def _data(self, request: Request) -> Response:
        return await self._json(request, request.path_params["name"])

    def _named(self, name: str) -> Callable[[Request], Any]:
        async def page(request: Request) -> Response:
            return await self._json(request, name)

        return page

    async def _calls_asked_for(self, request: Request) -> Response:
        return await self._json(request, "tasks", lambda: filters_of(request.query_params))

    async def _json(self, request: Request, name: str, filters: Callable[[], Any] | None = None) -> Response:
        try:
            wanted = filters() if filters is not None else _filters(request)
            return JsonAnswer(await run_in_threadpool(self._monitor.page, name, wanted))
        except ConfigError as error:
            return refusal_answer(404, str(error))
        except ValueError as error:
            return refusal_answer(400, str(error))

    async def _queues(self, _request: Request) -> Response:
        page = await run_in_threadpool(self._monitor.page, "overview")
        queues = [{"name": one["name"], "messages": one["waiting"], **one} for one in page.get("queues", [])]
        return JsonAnswer({"active_queues": queues, "problem": page["problem"]})

    async def _act(self, request: Request) -> Response:
        action = request.path_params["action"]
        raw = await request.body()
        if len(raw) > _MOST_ACTION:
            return _answer(413, f"what an action is told has {_MOST_ACTION:,} bytes at most")
        try:
            body = json.loads(raw or b"{}")
        except (ValueError, RecursionError):
            return _answer(400, "the body is no JSON")
        if self._monitor.readonly:
            return _answer(403, "this dashboard is read-only")
        if action not in self._monitor.actions:
            return _answer(
                404, f"there is no action {action!r:.60}; there are {', '.join(self._monitor.actions)}"
            )
        return JsonAnswer(await run_in_threadpool(self._monitor.act, action, body))

    async def _metric_text(self, _request: Request) -> Response:
        return Response(await run_in_threadpool(self._metrics.text), media_type=CONTENT_TYPE)

    async def _health(self, _request: Request) -> Response:
        page = await run_in_threadpool(self._monitor.page, "workers")
        if page["problem"]:
            return _answer(503, page["problem"])
        return JsonAnswer({"ok": True, "said": f"{len(page['workers'])} workers"})


def _filters(request: Request) -> Any:
    """Return what of a page is wanted, from ``filters=JSON`` or from words.

    Raises:
        ValueError: it is no JSON.
    """
    query = request.query_params
    if "filters" in query:
        try:
            return json.loads(query["filters"])
        except (ValueError, RecursionError):
            raise ValueError("filters is no JSON") from None
    found: dict[str, Any] = {}
    for name, text in query.items():
        try:
            found[name] = json.loads(text) if text[:1].isdigit() else text
        except ValueError:
            found[name] = text
    return found


def _script(made: Callable[[], str]) -> Callable[[Request], Any]:
    async def file(_request: Request) -> Response:
        return Response(made(), media_type="text/javascript")

    return file


def _style(made: Callable[[], str]) -> Callable[[Request], Any]:
    async def file(_request: Request) -> Response:
        return Response(made(), media_type="text/css")

    return file


def _answer(status: int, said: str) -> Response:
    return JsonAnswer({"ok": False, "said": said, "workers": {}}, status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said, path = error.detail, request.url.path
    if error.status_code == 404:
        said = f"there is nothing at {path!r:.100}; docs/guide/dashboard.md lists the paths"
    elif error.status_code == 405:
        # The other method is the one of the two that this path has.
        said = f"{path!r:.100} is asked with {'POST' if request.method == 'GET' else 'GET'}, not {request.method:.20}"
    return refusal_answer(error.status_code, said, error.headers)
