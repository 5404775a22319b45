"""The Lua scripts: one verb, one script, one round trip."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

#: What scripts share that name it. It is no verb.
_SHARED = "strict"
_FUNCTION = re.compile(r"^function strict\.(\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_USE = re.compile(r"\bstrict\.(\w+)")


@dataclass(frozen=True)
class Script:
    """A script and the name that the server keeps it under."""

    source: bytes
    sha: str


def _load() -> dict[str, Script]:
    sources = {path.stem: path.read_text() for path in Path(__file__).parent.glob("*.lua")}
    shared = {found[1]: found[0] for found in _FUNCTION.finditer(sources.pop(_SHARED))}
    scripts = {}
    for name, own in sources.items():
        source = (_needed(own, shared) + own).encode()
        scripts[name] = Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
    return scripts


def _needed(own: str, shared: dict[str, str]) -> str:
    """Return the shared functions that a script needs, and no others: each costs time whenever the script runs."""
    needed: set[str] = set()
    waiting = set(_USE.findall(own))
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting |= set(_USE.findall(shared[name])) - needed
    functions = [source for name, source in shared.items() if name in needed]
    return "".join((f"local {_SHARED} = {{}}\n", *functions)) if functions else ""


#: Script by verb.
SCRIPTS = _load()
