"""What a worker shows of itself. Nobody has signed it: it is text and numbers within bounds, or it is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .plaintext import on_one_line

#: Characters of a name or a version, items of a list, slots of a worker, and any other number.
_MOST_TEXT = 200
_MOST_ITEMS = 1000
_MOST_SLOTS = 100_000
_MOST = 2**53
#: Levels of lists and dicts: the running calls are three.
_MOST_LEVELS = 8
_LATEST_S = 1e11

#: What keeps a process of a worker from going on: the broker has no room for what it has to tell; the worker reaches
#: the broker, and the process does not.
NO_ROOM, ALONE = "no room", "no connection"

#: Batch, index and seconds since the start of each call that runs.
RunningCalls = tuple[tuple[str, int, float], ...]


@dataclass(frozen=True)
class ChildSheet:
    """The same of one of its children."""

    pid: int
    rss_bytes: int
    running: RunningCalls


@dataclass(frozen=True)
class WorkerSheet:
    """A worker's line in the list of workers; moments are of its own clock.

    Attributes:
        python: full version, such as 3.11.7.
        key_id: of the key that it signs with.
        key_ids: of every key that it accepts.
        packages: module -> version, of packages whose objects travel; None where an older worker does not tell.
        place: of the files with large values that it sees; empty where it sees none.
        cpu: how many CPUs its processes have kept busy since it was told last; None where nobody knows.
        troubles: what keeps processes of it from going on, each once: one of :data:`NO_ROOM` and :data:`ALONE`.
    """

    id: str
    name: str
    host: str
    pid: int
    python: str
    key_id: str
    queues: tuple[str, ...]
    pool: str
    concurrency: int
    slots_busy: int
    slots_total: int
    slots_waiting: int
    rss_bytes: int
    started_at: float
    seen_at: float
    processed: int
    key_ids: tuple[str, ...] = ()
    packages: Mapping[str, str] | None = None
    place: str = ""
    running: RunningCalls = ()
    children: tuple[ChildSheet, ...] = ()
    cpu: float | None = None
    troubles: tuple[str, ...] = ()

    def to_wire(self) -> str:
        """Return it as text."""
        children = [(one.pid, one.rss_bytes, one.running) for one in self.children]
        return json.dumps({**vars(self), "children": children})

    @classmethod
    def from_wire(cls, text: str) -> WorkerSheet | None:
        """Read what :meth:`to_wire` has made, here or in another version; None where nobody can read it."""
        try:
            return None if _levels(text) > _MOST_LEVELS else _read(_Shown(json.loads(text)))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


def _read(shown: _Shown) -> WorkerSheet:
    key = shown.text("key_id")
    return WorkerSheet(
        id=shown.text("id"),
        name=shown.text("name"),
        host=shown.text("host"),
        pid=shown.number("pid"),
        python=shown.text("python"),
        key_id=key,
        key_ids=shown.texts("key_ids") or (key,),
        queues=shown.texts("queues"),
        pool=shown.text("pool"),
        concurrency=shown.number("concurrency", _MOST_SLOTS),
        slots_busy=shown.number("slots_busy", _MOST_SLOTS),
        slots_total=shown.number("slots_total", _MOST_SLOTS),
        slots_waiting=shown.number("slots_waiting", _MOST_SLOTS),
        rss_bytes=shown.number("rss_bytes"),
        started_at=shown.moment("started_at"),
        seen_at=shown.moment("seen_at"),
        processed=shown.number("processed"),
        packages=shown.versions("packages") if "packages" in shown else None,
        place=shown.text("place", ""),
        running=shown.running(),
        children=shown.children(),
        cpu=shown.moment("cpu") if shown.has("cpu") else None,
        troubles=shown.texts("troubles"),
    )


def _levels(text: str) -> int:
    """Return how deep lists and dicts can lie in each other, at most: brackets in texts count as well."""
    if text.count("[") + text.count("{") <= _MOST_LEVELS:
        return 0
    deepest = level = 0
    for letter in text:
        if letter in "[{":
            level += 1
            deepest = max(deepest, level)
        elif letter in "]}":
            level -= 1
    return deepest


class _Shown:
    """A description as it came; each question raises where the answer is none."""

    def __init__(self, data: Any) -> None:
        if not isinstance(data, dict):
            raise TypeError("no description")
        self._data: dict[str, Any] = data

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def has(self, name: str) -> bool:
        """Whether it says something of that."""
        return self._data.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text of one line."""
        return _text(self._data[name] if default is None else self._data.get(name, default))

    def number(self, name: str, most: int = _MOST) -> int:
        """Return a whole number."""
        return _number(self._data[name], most)

    def moment(self, name: str) -> float:
        """Return epoch seconds."""
        return _seconds(self._data[name])

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(map(_text, _items(self._data.get(name, []))))

    def versions(self, name: str) -> dict[str, str]:
        """Return a dict of texts."""
        found = self._data[name]
        if not isinstance(found, dict) or len(found) > _MOST_ITEMS:
            raise TypeError(f"{name} is no dict")
        return {_text(key): _text(value) for key, value in found.items()}

    def running(self) -> RunningCalls:
        """Return what runs; what makes no sense there is left out with all the rest of it."""
        return _calls(self._data.get("running", []))

    def children(self) -> tuple[ChildSheet, ...]:
        """Return the children."""
        found = _items(self._data.get("children", []))
        return tuple(
            ChildSheet(_number(pid, _MOST), _number(size, _MOST), _calls(running))
            for pid, size, running in found
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return on_one_line(value, _MOST_TEXT)


def _number(value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError("no number")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("no seconds")
    # No nan is within bounds, either.
    if not 0 <= value <= _LATEST_S:
        raise ValueError("no seconds")
    return float(value)


def _items(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_ITEMS:
        raise TypeError("no list")
    return value


def _calls(value: object) -> RunningCalls:
    return tuple((_text(batch), _number(index, _MOST), _seconds(ago)) for batch, index, ago in _items(value))
