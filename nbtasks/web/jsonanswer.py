"""Answers in JSON, whatever texts are in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse


class JsonAnswer(JSONResponse):
    """In ASCII: halves of surrogate pairs, which a task may return, can be written no other way."""

    def render(self, content: Any) -> bytes:
        """Return it as bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def refusal_answer(status: int, said: str, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    """Return an answer that says why something was not done."""
    return JsonAnswer({"ok": False, "said": said}, status, headers)
