"""What ``GET /api/tasks`` may be asked for, checked: who mistypes a word shall not take all calls for some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbtasks.core.nearest import meant_or_known
from nbtasks.monitor.taskspage import STATES

#: Flower's names -> ours.
_FLOWERS = {
    "taskname": "task",
    "workername": "worker",
    "search": "text",
    "received_start": "since",
    "received_end": "until",
    "sort_by": "sort",
}
_TEXTS = ("task", "worker", "text", "before", "sort", "down")
_NUMBERS = ("since", "since_s", "until")
_WORDS = ("state", *_TEXTS, *_NUMBERS, "limit")


def filters_of(query: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page of calls is asked for.

    Raises:
        ValueError: a word is unknown, or says nothing.
    """
    return {
        name: _value(name, text)
        for name, text in ((_FLOWERS.get(name, name), text) for name, text in query.items())
        if name != "token"
    }


def _value(name: str, text: str) -> Any:
    if name == "state":
        if text.upper() not in STATES:
            raise ValueError(f"state={text!r:.40} is none; there are {', '.join(STATES)}")
        return text.upper()
    if name == "limit":
        if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0):
            raise ValueError(f"limit={text!r:.40} is no number of calls, 1 or more")
        return int(text[:9])
    if name in _NUMBERS:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{name}={text!r:.40} is no number of seconds") from None
    if name in _TEXTS:
        return text
    raise ValueError(f"{name!r:.40} is unknown; {meant_or_known(name, _WORDS, _FLOWERS)}")
