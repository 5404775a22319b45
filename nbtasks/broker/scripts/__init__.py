"""The Lua scripts: one verb, one script, one round trip."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

#: What scripts share that name it. It is no verb.
_SHARED = "strict"


@dataclass(frozen=True)
class Script:
    """A script and the name that the server keeps it under."""

    source: bytes
    sha: str


def _load() -> dict[str, Script]:
    sources = {path.stem: path.read_bytes() for path in Path(__file__).parent.glob("*.lua")}
    shared = sources.pop(_SHARED)
    scripts = {}
    for name, own in sources.items():
        source = shared + own if f"{_SHARED}.".encode() in own else own
        scripts[name] = Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
    return scripts


#: Script by verb.
SCRIPTS = _load()
