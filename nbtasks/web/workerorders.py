"""Orders to workers under the paths that Flower has for them; the same is done as from a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from .jsonanswer import JsonAnswer, refusal_answer

if TYPE_CHECKING:
    from starlette.requests import Request

    from nbtasks.monitor.monitor import Monitor

#: Path -> the action, what the end of the path is, and parameters: Flower's name -> ours.
_PATHS: dict[str, tuple[str, str, Mapping[str, str]]] = {
    "worker/shutdown": ("drain", "worker", {}),
    "worker/pool/restart": ("restart_pool", "worker", {}),
    "worker/pool/grow": ("grow", "worker", {"n": "n"}),
    "worker/pool/shrink": ("shrink", "worker", {"n": "n"}),
    "worker/pool/autoscale": ("autoscale", "worker", {"min": "min", "max": "max"}),
    "worker/queue/add-consumer": ("add_queue", "worker", {"queue": "queue"}),
    "worker/queue/cancel-consumer": ("cancel_queue", "worker", {"queue": "queue"}),
    "task/rate-limit": ("rate_limit", "task", {"ratelimit": "rate", "workername": "worker"}),
    "task/timeout": ("time_limit", "task", {"soft": "soft_s", "hard": "hard_s", "workername": "worker"}),
}
#: Of these there has to be one, for without it a limit would be taken away by mistake.
_NEEDED = {
    "task/rate-limit": (("ratelimit",), "?ratelimit=10/m, or none for no limit"),
    "task/timeout": (("soft", "hard"), "?soft=50&hard=60, in seconds, or 0 for no limit"),
}


#: What is a text, though it may look like a number.
_TEXTS = frozenset({"queue", "rate", "worker"})


def order_routes(monitor: Monitor) -> list[Route]:
    """Return them: ``POST /api/worker/pool/grow/NAME?n=2`` and so on."""
    return [
        Route(f"/api/{path}/{{name}}", _order(monitor, *what, _NEEDED.get(path)), methods=["POST"])
        for path, what in _PATHS.items()
    ]


def _order(
    monitor: Monitor,
    action: str,
    subject: str,
    parameters: Mapping[str, str],
    needed: tuple[tuple[str, ...], str] | None,
) -> Callable[[Request], Any]:
    async def order(request: Request) -> Response:
        if monitor.readonly:
            return refusal_answer(403, "this dashboard is read-only")
        if needed is not None and not any(one in request.query_params for one in needed[0]):
            return refusal_answer(400, f"{action}: say {needed[1]}")
        unknown = [name for name in request.query_params if name not in parameters and name != "token"]
        if unknown:
            known = ", ".join(parameters) or "none"
            return refusal_answer(
                400, f"{action}: the parameter {unknown[0]!r:.40} is unknown; there are {known}"
            )
        body = {subject: request.path_params["name"]}
        for theirs, ours in parameters.items():
            if theirs in request.query_params:
                text = request.query_params[theirs]
                body[ours] = text if ours in _TEXTS else _value(text)
        if body.get("rate", "").lower() == "none":
            body["rate"] = ""
        done = await run_in_threadpool(monitor.act, action, body)
        return JsonAnswer(done, 200 if done["ok"] else 400)

    return order


def _value(text: str) -> Any:
    """Return a number where it is one, else the text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if type(found) in (int, float) else text
