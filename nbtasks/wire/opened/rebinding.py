"""What code can do to names and attributes that are not its own."""

from __future__ import annotations

import dis
import opcode
import types

from nbtasks.core.globals import with_inner

_STORE_GLOBAL = frozenset(opcode.opmap[name] for name in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_NAME"))
_REBIND = frozenset(
    opcode.opmap[name]
    for name in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR")
    if name in opcode.opmap
)
_REBIND_FREE = frozenset(
    opcode.opmap[name] for name in ("STORE_DEREF", "DELETE_DEREF") if name in opcode.opmap
)
#: Names by which code can change what it does not name.
_REBINDING_NAMES = frozenset(
    {"globals", "vars", "exec", "eval", "setattr", "delattr", "__dict__", "__globals__", "__setattr__"}
)


def stored_by(code: types.CodeType) -> set[str]:
    """Return names of globals that code, or code inside it, may set."""
    return {
        str(step.argval)
        for part in with_inner(code)
        if set(part.co_code[::2]) & _STORE_GLOBAL
        for step in dis.get_instructions(part)
        if step.opcode in _STORE_GLOBAL
    }


def may_rebind(code: types.CodeType) -> bool:
    """Whether code, or code inside it, may change names and attributes of what is not its own."""
    return any(map(_rebinds, with_inner(code)))


def _rebinds(code: types.CodeType) -> bool:
    used = set(code.co_code[::2])
    return (
        bool(used & _REBIND)
        or bool(code.co_freevars and used & _REBIND_FREE)
        or not _REBINDING_NAMES.isdisjoint(code.co_names)
    )


def mentions(code: types.CodeType, name: str) -> bool:
    """Whether code, or code inside it, names an attribute, also in a text."""
    return any(name in part.co_names or name in part.co_consts for part in with_inner(code))
