"""The Lua scripts: one verb, one script, one round trip."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

#: What scripts share that name it, those first that the others use. They are no verbs.
_SHARED = ("strict", "server", "workflow")
_FUNCTION = re.compile(r"^function (\w+\.\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_CALL = re.compile(rf"\b(?:{'|'.join(_SHARED)})\.\w+(?=\()")


@dataclass(frozen=True)
class Script:
    """A script and the name that the server keeps it under."""

    source: bytes
    sha: str


def _load() -> dict[str, Script]:
    sources = {path.stem: path.read_text() for path in Path(__file__).parent.glob("*.lua")}
    shared = {found[1]: found[0] for name in _SHARED for found in _FUNCTION.finditer(sources.pop(name))}
    scripts = {}
    for name, own in sources.items():
        source = (_prelude(own, shared) + own).encode()
        scripts[name] = Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
    return scripts


def _prelude(own: str, shared: dict[str, str]) -> str:
    """Return the shared functions that a script needs, and no others: each costs time whenever the script runs."""
    needed: set[str] = set()
    waiting = set(_CALL.findall(own))
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting |= set(_CALL.findall(shared[name])) - needed
    tables = [name for name in _SHARED if any(use.startswith(f"{name}.") for use in needed)]
    functions = [source for name, source in shared.items() if name in needed]
    return "".join((*(f"local {name} = {{}}\n" for name in tables), *functions))


#: Script by verb.
SCRIPTS = _load()
