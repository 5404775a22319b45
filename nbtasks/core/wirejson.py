"""Fields of messages as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any

#: One encoder for all: making one takes longer than using it.
to_json = json.JSONEncoder(separators=(",", ":")).encode
_CONSTANTS = {None: "null", True: "true", False: "false"}


def as_json(fields: Mapping[str, Any]) -> str:
    """Return fields as the members of an object, without its braces.

    Most of them are text and numbers, and an encoder costs more than they do.
    """
    parts = []
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            text = encode_basestring_ascii(value)
        elif kind is int:
            text = str(value)
        elif value is None or kind is bool:
            text = _CONSTANTS[value]
        elif kind is float and isfinite(value):
            text = repr(value)
        else:
            text = to_json(value)
        parts.append(f'"{name}":{text}')
    return ",".join(parts)
