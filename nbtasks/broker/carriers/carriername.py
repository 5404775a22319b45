"""How the queue of an address is called in a carrier, which has rules of its own for names. Pure."""

from __future__ import annotations

import hashlib
import re

_DIGITS = 12


def carrier_name(namespace: str, address: str, letters: str, longest: int, prefix: str = "") -> str:
    """Return a name that no other address has, and that people can read.

    Args:
        letters: those that a name may have, as a regular expression's class has them.
        longest: most letters of a name.
        prefix: stands before it.
    """
    whole = f"nbtasks.{namespace}.{address}"
    name = prefix + re.sub(f"[^{letters}]", "-", whole, flags=re.ASCII)
    if name == prefix + whole and len(name) <= longest:
        return name
    return f"{name[: longest - _DIGITS - 1]}-{hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]}"


def plain_name(namespace: str, address: str) -> str:
    """Return a name that every system takes: small letters and digits with single dashes between, 63 at most."""
    whole = f"nbtasks.{namespace}.{address}"
    words = re.findall("[a-z0-9]+", whole.lower())
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]
    return f"{'-'.join(words)[:48].rstrip('-')}-{digest}"
