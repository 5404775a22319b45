"""What travels with calls beside their arguments. Its short keys stand here and nowhere else.

A reader passes on what a newer sender says besides, and does not look at it. What nobody may overlook, a lock for
instance, that sender names under ``mu``: whoever does not know it refuses the calls.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

#: Bytes that a result may take where nobody has said anything else.
RESULT_LIMIT_BYTES = 512 * 2**20


@dataclass(frozen=True)
class CallHeader:
    """What is said of all calls of a chunk.

    Attributes:
        name: the task's.
        lane: of the queue.
        single: the batch is this call; else it is one of a map.
        preview: a card shows the result.
        at_most_once: a call that may have begun is not run again after a loss.
        seed: of random numbers, None where they come from chance.
        result_limit: bytes that a result may take.
        place: where results may be put into files, and who asks sees them; empty where nowhere.
        files: of large values that the arguments refer to.
        modules: local modules that the arguments need and the function does not bring, packed.
        overrides: option of the task -> what it is for these calls.
        more: what a newer sender has said besides, as it was sent.
    """

    name: str = "task"
    lane: str = "m"
    single: bool = False
    preview: bool = False
    at_most_once: bool = False
    seed: int | None = None
    result_limit: int = RESULT_LIMIT_BYTES
    place: str = ""
    files: tuple[str, ...] = ()
    modules: bytes = b""
    overrides: Mapping[str, float | None] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_wire(self) -> Mapping[str, Any]:
        """Return it as JSON types. It is the same for all chunks of a batch, so it is made once."""
        return self._wire

    @cached_property
    def _wire(self) -> Mapping[str, Any]:
        wire = dict(self.more)
        for key, one in _FIELDS.items():
            value = getattr(self, one.name)
            if value != one.default:
                wire[key] = one.write(value)
        for name, value in self.overrides.items():
            wire[_KEYS_OF_OVERRIDES[name]] = value
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> CallHeader:
        """Read what :meth:`to_wire` has made, here or in another version.

        Raises:
            ValueError: it makes no sense, or calls must not be run by who does not know all that it says.
        """
        said: dict[str, Any] = {}
        overrides: dict[str, float | None] = {}
        more: dict[str, Any] = {}
        for key, value in wire.items():
            if key in _FIELDS:
                one = _FIELDS[key]
                said[one.name] = one.read(value)
            elif key in _OVERRIDES:
                name, read = _OVERRIDES[key]
                overrides[name] = None if value is None else read(value)
            else:
                more[key] = value
        if "mu" in more:
            _refuse_unknown(_texts(more["mu"]))
        return cls(**said, overrides=overrides, more=more)


def _refuse_unknown(needed: tuple[str, ...]) -> None:
    unknown = [key for key in needed if key not in _FIELDS and key not in _OVERRIDES]
    if unknown:
        raise ValueError(f"they need a newer nbtasks, one that knows {', '.join(unknown)}")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r:.40} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise ValueError(f"{value!r:.40} is no list")
    return tuple(map(_text, value))


def _flag(value: Any) -> bool:
    if type(value) is not int or value not in (0, 1):
        raise ValueError(f"{value!r:.40} is neither yes nor no")
    return value == 1


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.40} is no whole number of 0 or more")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r:.40} is no number of 0 or more")
    number: float = value
    return number


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{value!r:.40} is no base64") from error


def _as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class _Field:
    """How a field is written, where it is not what it is by default, and read."""

    name: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = _as_it_is

    @property
    def default(self) -> Any:
        return getattr(CallHeader, self.name)


_FIELDS = {
    "nm": _Field("name", _text),
    "p": _Field("lane", _text),
    "one": _Field("single", _flag, int),
    "pv": _Field("preview", _flag, int),
    "mo": _Field("at_most_once", _flag, int),
    "sd": _Field("seed", _whole),
    "rl": _Field("result_limit", _whole),
    "pl": _Field("place", _text),
    "fl": _Field("files", _texts, list),
    "md": _Field("modules", _bytes, _as_base64),
}
_OVERRIDES: dict[str, tuple[str, Callable[[Any], float]]] = {
    "tl": ("time_limit", _number),
    "sl": ("soft_time_limit", _number),
    "mr": ("max_retries", _whole),
}
_KEYS_OF_OVERRIDES = {name: key for key, (name, _) in _OVERRIDES.items()}
#: Options of a task that may be in :attr:`CallHeader.overrides`.
OVERRIDABLE = tuple(_KEYS_OF_OVERRIDES)
