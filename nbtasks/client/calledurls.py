"""A URL that is called when a task has ended: by a call like any other, of a task that all workers have.

So it is told as calls are run: at least once, whatever restarts meanwhile, and again while the URL does not answer.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbtasks.core import context
from nbtasks.core.errors import ConfigError, NbtasksError

from .decorator import task

if TYPE_CHECKING:
    from nbtasks.local.connection import Connection

    from .canvas.signature import Signature

_MOST_URL, _MOST_BYTES, _MOST_TEXT = 2_000, 1_000_000, 10_000
_TIMEOUT_S = 10.0
_TRIES, _FIRST_S, _LONGEST_S = 8, 2.0, 600.0
_PERSON = b"nbtasks webhook "


class WebhookRefused(NbtasksError):
    """A URL has not taken what it was told."""


def check_url(url: str) -> str:
    """Return a URL.

    Raises:
        ConfigError: it is none that can be called.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if (
        not usable
        or len(url) > _MOST_URL
        or not url.isprintable()
        or " " in url
        or parts.username is not None
    ):
        raise ConfigError(f"webhook: {url!r:.80} is no URL; give one such as https://example.org/told")
    return url


def webhook(url: str, **options: Any) -> dict[str, list[Signature]]:
    """Return what has a URL called when a call has ended: ``add.apply_async((2, 3), **webhook("https://..."))``.

    A worker sends ``{"task-id", "state", "result", "error"}`` by POST, signed with :func:`webhook_secret`: the header
    ``X-Nbtasks-Signature`` is ``sha256=`` and the HMAC of the header ``X-Nbtasks-Time``, a full stop, and the body.
    It does so at least once. What is answered with another status than 2xx is sent again, eight times within some
    minutes. Workers need httpx: ``pip install 'nbtasks[webhooks]'``.

    Args:
        options: of these calls, such as ``queue``.

    Raises:
        ConfigError: that is no URL.
    """
    check_url(url)
    return {"link": [tell_value.s(url).set(**options)], "link_error": [tell_error.s(url).set(**options)]}


def webhook_secret(connection: Connection) -> str:
    """Return what webhooks of a namespace are signed with. It follows from the key, and does not tell that."""
    return hmac.new(connection.keys[0], _PERSON + connection.namespace.encode(), hashlib.sha256).hexdigest()


def signature_of(secret: str, moment: str, body: bytes) -> str:
    """Return the signature of what is told at a moment, in epoch seconds."""
    made = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"sha256={made.hexdigest()}"


@task(
    name="nbtasks.webhook", retries=_TRIES, retry_backoff=_FIRST_S, retry_backoff_max=_LONGEST_S, bind=True,
    dont_autoretry_for=(ConfigError,), ignore_result=True,
)  # fmt: skip
def tell_value(self: Any, value: Any, url: str) -> None:
    """Tell a URL that a call has succeeded."""
    _post(url, {"task-id": self.request.parent_id, "state": "SUCCESS", **_as_json(value)})


@task(
    name="nbtasks.webhook_error", retries=_TRIES, retry_backoff=_FIRST_S, retry_backoff_max=_LONGEST_S,
    dont_autoretry_for=(ConfigError,), ignore_result=True,
)  # fmt: skip
def tell_error(id: str, url: str) -> None:
    """Tell a URL that a call has failed, or was revoked."""
    from .currentapp import current_app

    handle = current_app.AsyncResult(id)
    error = handle.traceback or handle.state
    _post(
        url,
        {
            "task-id": handle.id,
            "state": handle.state,
            "result": None,
            "error": error.rstrip().rpartition("\n")[2][:_MOST_TEXT],
        },
    )


def _as_json(value: Any) -> dict[str, Any]:
    try:
        if len(json.dumps(value, allow_nan=False)) <= _MOST_BYTES:
            return {"result": value, "error": None}
    except (TypeError, ValueError, RecursionError):
        pass
    return {"result": None, "result_repr": repr(value)[:_MOST_TEXT], "error": None}


def _post(url: str, told: dict[str, Any]) -> None:
    try:
        import httpx
    except ImportError:
        raise ConfigError(
            "webhooks need httpx on workers: pip install 'nbtasks[webhooks]' there, and start them anew"
        ) from None
    body, moment = json.dumps(told).encode(), f"{time.time():.0f}"
    secret = webhook_secret(context.serving[0].connection)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "nbtasks",
        "X-Nbtasks-Time": moment,
        "X-Nbtasks-Signature": signature_of(secret, moment, body),
    }
    # Where it leads on to, nobody has said. And nobody reads what it says: that may have no end.
    with httpx.stream(
        "POST", url, content=body, headers=headers, timeout=_TIMEOUT_S, follow_redirects=False
    ) as answer:
        if not answer.is_success:
            raise WebhookRefused(f"{urlsplit(url).hostname} has answered {answer.status_code}")
