"""Server-sent events, read as a browser does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx


def messages(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Yield (event, data) of each message."""
    event = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "data":
            yield event, json.loads(value)
