"""The Lua scripts: one verb, one script, one round trip."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from nbtasks.core.lanenames import FRESH, LANES, MOVING

#: What stands in scripts for the letters of lanes, and what it is: it is put in once, as they are read.
_LANE_WORDS = {"@LANES": LANES, "@FRESH": FRESH, "@MOVING": MOVING, "RETURNED(": "string.upper("}
#: What scripts share that name it, in ``shared/``: those first that the others use.
_SHARED = ("strict", "server", "workflow", "lock")
#: Of these a script makes nothing before it needs something: most calls belong to no workflow, and hold no lock.
_LATE = ("workflow", "lock")
_FUNCTION = re.compile(r"^function (\w+\.\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_CALL = re.compile(rf"\b({'|'.join(_SHARED)})(?:_parts\(\))?(\.\w+)(?=\()")
_MADE_LATE = """\
local {name}_made
local function {name}_parts()
  if not {name}_made then
    local {name} = {{}}
    {functions}
    {name}_made = {name}
  end
  return {name}_made
end
"""


@dataclass(frozen=True)
class Script:
    """A script and the name that the server keeps it under."""

    source: bytes
    sha: str


def _load() -> dict[str, Script]:
    here = Path(__file__).parent
    sources = {path.stem: _read(path) for path in here.glob("*.lua")}
    parts = {name: _read(here / "shared" / f"{name}.lua") for name in _SHARED}
    shared = {found[1]: found[0] for name in _SHARED for found in _FUNCTION.finditer(parts[name])}
    calls = {name: _called(text) for name, text in shared.items()}
    scripts = {}
    for name, own in sources.items():
        source = (_prelude(own, shared, calls) + own).encode()
        scripts[name] = Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
    return scripts


def _read(path: Path) -> str:
    text = path.read_text()
    for word, meant in _LANE_WORDS.items():
        text = text.replace(word, meant)
    return text


def _prelude(own: str, shared: dict[str, str], calls: dict[str, set[str]]) -> str:
    """Return the shared functions that a script needs, and no others: each costs time whenever the script runs."""
    needed: set[str] = set()
    waiting = _called(own)
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting |= calls[name] - needed
    there, parts = [name for name in shared if name in needed], []
    for table in _SHARED:
        functions = "".join(shared[name] for name in there if name.startswith(f"{table}."))
        if functions and table in _LATE:
            parts.append(_MADE_LATE.format(name=table, functions=functions))
        elif functions:
            parts.append(f"local {table} = {{}}\n{functions}")
    return "".join(parts)


def _called(source: str) -> set[str]:
    """Return the shared functions that are called somewhere."""
    return {table + name for table, name in _CALL.findall(source)}


#: Script by verb.
SCRIPTS = _load()
