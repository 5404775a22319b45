"""Metrics alone: printed once, or served."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from nbtasks.monitor.monitor import Monitor

from .admission import Admission, new_token
from .doorway import Doorway
from .metrics import CONTENT_TYPE, Metrics
from .serving import Listening, run

if TYPE_CHECKING:
    from starlette.requests import Request

    from nbtasks.client.app import App


def metrics_once(app: App) -> str:
    """Return the metrics of an App as they are now."""
    monitor = Monitor(app, readonly=True)
    try:
        return Metrics(monitor).text()
    finally:
        monitor.close()


def serve_metrics(app: App, token: str | None, listening: Listening, on_ready: Callable[[str], None]) -> None:
    """Serve ``/metrics`` until the process is told to end.

    Args:
        token: None: everyone who reaches it may look.
        on_ready: called with the URL of the server.
    """
    monitor = Monitor(app, readonly=True)
    metrics = Metrics(monitor)

    async def text(_request: Request) -> Response:
        return Response(await run_in_threadpool(metrics.text), media_type=CONTENT_TYPE)

    inner = Starlette(routes=[Route("/metrics", text, methods=["GET"])])
    access = Admission(token or new_token(), listening.names)
    try:
        run(Doorway(inner, access, is_open=token is None), listening, on_ready, lambda: None)
    finally:
        monitor.close()
