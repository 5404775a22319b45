"""The Lua scripts: one verb, one script, one round trip."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Script:
    """A script and the name that the server keeps it under."""

    source: bytes
    sha: str


def _load() -> dict[str, Script]:
    scripts = {}
    for path in Path(__file__).parent.glob("*.lua"):
        source = path.read_bytes()
        scripts[path.stem] = Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
    return scripts


#: Script by verb.
SCRIPTS = _load()
