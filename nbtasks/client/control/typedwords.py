"""Orders and questions as they are typed, in a shell or after ``%workers``: words, and what they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.nearest import meant_or_known
from nbtasks.core.plaintext import on_one_line

from .control import NO_MEANING, Control, Said
from .inspecting import NOT_ASKED, Inspect, Replies

#: Characters of one line.
_MOST_TEXT = 10_000

#: What can be asked -> what it tells.
QUESTIONS = {
    "ping": "who is there",
    "active": "calls that run",
    "reserved": "calls in hand that have not begun",
    "scheduled": "calls that are due later",
    "revoked": "calls that were revoked lately",
    "registered": "tasks that workers have of their own",
    "stats": "process, pool, memory, how much was done",
    "active_queues": "queues that are served",
    "conf": "how the worker was started",
    "report": "versions",
    "query_task": "who has the calls with these IDs in hand",
}


@dataclass(frozen=True)
class _Order:
    """One word.

    Attributes:
        usage: what follows it.
        meaning: what it does.
        least, most: how many words follow.
        give: gives it; gets the control, the words that follow, and to whom.
    """

    usage: str
    meaning: str
    least: int
    most: int | None
    give: Callable[[Control, Sequence[str], dict[str, Any]], Said | None]


def _number(text: str, what: str) -> int:
    if not text.isdigit():
        raise ConfigError(f"{what}: {text!r:.40} is not a whole number")
    return int(text)


def _seconds(text: str, what: str) -> float:
    if text.lower() == "none":
        return 0.0
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{what}: {text!r:.40} is not a number of seconds, and none for no limit") from None


def _autoscale(control: Control, words: Sequence[str], to: dict[str, Any]) -> Said | None:
    # As two words, or as one: the option of a worker is written so.
    words = [part for word in words for part in word.split(",")]
    most = _number(words[0], "autoscale")
    return control.autoscale(most, _number(words[1], "autoscale") if len(words) > 1 else 1, **to)


def _time_limit(control: Control, words: Sequence[str], to: dict[str, Any]) -> Said | None:
    soft, *hard = (_seconds(word, "time_limit") for word in words[1:])
    return control.time_limit(words[0], soft, hard[0] if hard else None, **to)


def _grow(control: Control, words: Sequence[str], to: dict[str, Any]) -> Said | None:
    return control.pool_grow(_number(words[0], "pool_grow") if words else 1, **to)


def _shrink(control: Control, words: Sequence[str], to: dict[str, Any]) -> Said | None:
    return control.pool_shrink(_number(words[0], "pool_shrink") if words else 1, **to)


def _revoke(control: Control, words: Sequence[str], _to: dict[str, Any]) -> Said | None:
    control.revoke(list(words))
    return None


def _terminate(control: Control, words: Sequence[str], _to: dict[str, Any]) -> Said | None:
    control.terminate(list(words[1:]), signal=words[0])
    return None


_ORDERS = {
    "shutdown": _Order(
        "[--cold]", "end workers after the calls that they run", 0, 0, lambda c, _, to: c.shutdown(**to)
    ),
    "pool_grow": _Order("[N]", "have N more children", 0, 1, _grow),
    "pool_shrink": _Order("[N]", "have N fewer children", 0, 1, _shrink),
    "pool_restart": _Order(
        "", "replace all children after the calls that they run", 0, 0, lambda c, _, to: c.pool_restart(**to)
    ),
    "autoscale": _Order("MAX [MIN]", "as many children as there is work for", 1, 2, _autoscale),
    "add_consumer": _Order(
        "QUEUE", "take calls of one more queue", 1, 1, lambda c, w, to: c.add_consumer(w[0], **to)
    ),
    "cancel_consumer": _Order(
        "QUEUE", "take no more calls of a queue", 1, 1, lambda c, w, to: c.cancel_consumer(w[0], **to)
    ),
    "rate_limit": _Order(
        "TASK RATE",
        "let calls of a task start so often",
        2,
        2,
        lambda c, w, to: c.rate_limit(w[0], None if w[1].lower() == "none" else w[1], **to),
    ),
    "time_limit": _Order("TASK SOFT [HARD]", "let calls of a task run so many seconds", 2, 3, _time_limit),
    "revoke": _Order("ID...", "revoke calls that have not begun", 1, None, _revoke),
    "terminate": _Order("SIGNAL ID...", "revoke calls, and stop those that run", 2, None, _terminate),
}
#: Order -> what follows it, and what it does.
ORDERS = {name: (order.usage, order.meaning) for name, order in _ORDERS.items()}


class UnknownWord(ConfigError):
    """Nobody knows what was typed, or something else must follow it."""


def asked(inspect: Inspect, word: str, rest: Sequence[str]) -> Replies:
    """Ask what was typed; returns the answers by workers' names, None where one is silent or not there.

    Raises:
        UnknownWord: there is no such question.
    """
    if word in NOT_ASKED:
        raise UnknownWord(f"inspect {word}: that has no meaning here: {NOT_ASKED[word]}")
    if word not in QUESTIONS:
        raise UnknownWord(_unknown("inspect", word, QUESTIONS))
    if word == "query_task" and not rest:
        raise UnknownWord("inspect query_task: name the ids of calls")
    if word != "query_task" and rest:
        raise UnknownWord(f"inspect {word}: nothing follows that, but there is {rest[0]!r:.40}")
    replies = getattr(inspect, word)(*rest) or {}
    return {**replies, **dict.fromkeys(inspect.silent)}


def ordered(control: Control, word: str, rest: Sequence[str], to: dict[str, Any]) -> Replies:
    """Do what was typed; returns what workers say by their names.

    Args:
        to: whom, as keywords of the methods of :class:`Control`.

    Raises:
        UnknownWord: there is no such order, or something else must follow it.
    """
    order = _ORDERS.get(word)
    if order is None and word in NO_MEANING:
        raise UnknownWord(f"control {word}: that has no meaning here: {NO_MEANING[word]}")
    if order is None:
        raise UnknownWord(_unknown("control", word, _ORDERS))
    if len(rest) < order.least or (order.most is not None and len(rest) > order.most):
        raise UnknownWord(f"control {word}: it is used as `{word} {order.usage}`".rstrip())
    said: Replies = {}
    for one in order.give(control, rest, to) or []:
        said.update(one)
    return said


def needed(command: str, known: Any) -> str:
    """Return what is said where a word is missing."""
    return f"{command} needs a word: {', '.join(known)}"


def shown(name: str, reply: Any, timeout_s: float, *, absent: bool = False) -> str:
    """Return what one worker says as text.

    Args:
        reply: None where it is silent, or absent.
        timeout_s: for so long was waited.
        absent: whether it is not there at all.
    """
    head = f"->  {on_one_line(name)}: "
    if absent:
        return f"{head}no worker of this name is there"
    if reply is None:
        return f"{head}no answer in {timeout_s:g} s, though it holds its lease"
    if reply and isinstance(reply, dict) and reply.keys() <= {"ok", "error"}:
        word = "ok" if "ok" in reply else "error"
        said = "\n".join(f"        {on_one_line(line, _MOST_TEXT)}" for line in str(reply[word]).splitlines())
        return f"{head}{'OK' if word == 'ok' else 'ERROR'}\n{said}"
    if not reply:
        return f"{head}OK\n    - empty -"
    items = reply.items() if isinstance(reply, dict) else [("*", one) for one in reply]
    lines = [
        f"    {key} {one if isinstance(one, str) else json.dumps(one, default=repr)}" for key, one in items
    ]
    return "\n".join([f"{head}OK", *(on_one_line(line, _MOST_TEXT) for line in lines)])


def _unknown(what: str, word: str, known: Any) -> str:
    if not word:
        return needed(what, known)
    return f"{what}: {word!r:.40} is unknown; {meant_or_known(word, known)}"
