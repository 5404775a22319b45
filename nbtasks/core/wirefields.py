"""How the fields of a message travel: under short keys, and each is read with its type or refused."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


def text(value: Any) -> str:
    """Return a text, or raise ValueError; the others below do the same for what they are about."""
    if type(value) is not str:
        raise ValueError(f"{value!r:.40} is no text")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Return texts from a list of them."""
    return tuple(map(text, items(value)))


def items(value: Any) -> list[Any]:
    """Return a list of anything."""
    if type(value) is not list:
        raise ValueError(f"{value!r:.40} is no list")
    return value


def named(value: Any) -> dict[str, Any]:
    """Return a dict of anything, by names."""
    if type(value) is not dict:
        raise ValueError(f"{value!r:.40} is no dict")
    return value


def flag(value: Any) -> bool:
    """Return a truth value from 0 or 1."""
    if type(value) is not int or value not in (0, 1):
        raise ValueError(f"{value!r:.40} is neither yes nor no")
    return value == 1


def whole(value: Any) -> int:
    """Return a whole number of 0 or more."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.40} is no whole number of 0 or more")
    return value


def number(value: Any) -> float:
    """Return a finite number of 0 or more."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r:.40} is no number of 0 or more")
    found: float = value
    return found


def number_or_none(value: Any) -> float | None:
    """Return the same, or None."""
    return None if value is None else number(value)


def from_base64(value: Any) -> bytes:
    """Return bytes from a text."""
    try:
        return base64.b64decode(text(value), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{value!r:.40} is no base64") from error


def to_base64(data: bytes) -> str:
    """Return bytes as a text."""
    return base64.b64encode(data).decode()


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class WireField:
    """One field: its name, how it is read, and how it is written where it is no JSON type."""

    name: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = _as_it_is


class WireFields:
    """The fields of one class.

    Args:
        kind: a dataclass.
        fields: by their short keys; one that is not sent has its default.
    """

    def __init__(self, kind: Any, fields: Mapping[str, WireField]) -> None:
        self.fields = fields
        defaults = {item.name: _default(item) for item in dataclasses.fields(kind)}
        self._writing = [(key, item.name, defaults[item.name], item.write) for key, item in fields.items()]

    def written(self, message: Any) -> dict[str, Any]:
        """Return those fields of a message that are not what they are by default, as JSON types."""
        wire, values = {}, vars(message)
        for key, name, default, write in self._writing:
            value = values[name]
            if value != default:
                wire[key] = value if write is _as_it_is else write(value)
        return wire

    def read(self, wire: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that are known here, by their names; what else a newer sender has said is not looked at.

        Raises:
            ValueError: one has another type.
        """
        fields = self.fields
        return {fields[key].name: fields[key].read(value) for key, value in wire.items() if key in fields}


def _default(item: dataclasses.Field[Any]) -> Any:
    return item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
