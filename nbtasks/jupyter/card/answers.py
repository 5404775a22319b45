"""What a page asks of a card, and the answers: nothing of it changes the batch."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.printed import copied
from nbtasks.client.batches.shown import shown_output

from . import words
from .callsaid import call_said
from .timelinesaid import timeline_said

if TYPE_CHECKING:
    from .calls import Calls

#: Characters of what all calls have printed, in a file that a page has asked for.
_MOST_FILE = 20_000_000
#: Message to the page, and the bytes that go with it.
Answer = tuple[dict[str, Any], list[bytes]]


def answer(calls: Calls, asked: dict[str, Any]) -> Answer | None:
    """Return the answer to a message of a page, None where it asks nothing that can be answered.

    Args:
        asked: what came from the page; it may be anything.
    """
    kind, index = asked.get("t"), asked.get("index")
    if kind in ("label", "call"):
        if type(index) is not int or not 0 <= index < calls.batch.n:
            return None
        label = calls.label(index)
        if kind == "label":
            return {"k": "label", "index": index, "text": words.which_call(index, label)}, []
        return {"k": "call", **dataclasses.asdict(call_said(calls.batch, index, label, time.time()))}, []
    if kind == "timeline":
        return {"k": "timeline", **timeline_said(calls.batch, asked, time.time())}, []
    if kind == "output":
        return {"k": "output", "name": f"{words.short_id(calls.batch.id)}.txt"}, [_all_output(calls)]
    return None


def _all_output(calls: Calls) -> bytes:
    """Return what all calls have printed, call by call, as far as it is known."""
    batch, texts, left = calls.batch, [], _MOST_FILE
    live: dict[int, list[str]] = {}
    for line in copied(batch.output):
        live.setdefault(line.index, []).append(line.text)
    for index in range(batch.n):
        if batch.record(index) is None:
            text = "".join(live.get(index, ()))
        else:
            text = "".join(text for _, text in shown_output(batch, index))
        if not text:
            continue
        head = f"# {index} {calls.label(index)}\n" if batch.n > 1 else ""
        texts.append(head + words.plain(text, left) + "\n")
        left -= len(texts[-1])
        if left <= 0:
            break
    return "\n".join(texts).encode("utf-8", "replace")
