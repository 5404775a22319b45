"""What the URLs of all brokers have in common: how they are cut, and what is said of what cannot stand there. Pure.

No message repeats a password, nor what may be a part of one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote

from nbtasks.core.errors import ConfigError

ENCODED = "in a password write / as %2F, ? as %3F, # as %23, @ as %40 and % as %25"
#: A host with its port; either may be missing.
PLACE = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<name>[^\s\[\]:%@]*))(?::(?P<port>[0-9]{0,5}))?"
)
#: Where the next URL begins in a text that holds several, as Celery has them: it goes to it where one is not there.
NEXT_URL = re.compile(r"[;,|]\s*(?=[A-Za-z][A-Za-z0-9+.-]{0,30}://)")
_ODD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,40}")


def in_text(given: Any) -> Any:
    """Return Celery's list of URLs as the text that says the same: one, or sentinels. All else stays as it is."""
    if isinstance(given, (list, tuple)) and given and all(isinstance(one, str) for one in given):
        return ";".join(given)
    return given


def has_control(url: str) -> bool:
    """Whether there is a line break or another control character in a URL."""
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in url)


def refuse_control(url: str, what: str, forms: str) -> None:
    """Refuse a URL with a control character in it.

    Args:
        what: which setting it is.
        forms: how it is to be written.

    Raises:
        ConfigError: there is one.
    """
    if has_control(url):
        raise ConfigError(
            f"{what}: the URL has a line break or another control character in it; write {forms}"
        )
    if url != url.strip():
        raise ConfigError(f"{what}: the URL begins or ends with a space; write {forms}")


def decoded(text: str) -> str:
    """Return a part of a URL without its percent-encoding.

    Raises:
        ConfigError: a % stands there by itself, as in a password that was not encoded.
    """
    if _ODD_PERCENT.search(text):
        raise ConfigError(
            f"a % of the URL is not followed by two digits from 0 to F, other than 00: {ENCODED}"
        )
    return unquote(text)


def cut(rest: str, at_in_path: bool = False) -> tuple[str | None, str, str, str]:
    """Cut what follows the scheme into login (None where there is none), place, path with its slash, and query.

    Args:
        at_in_path: an @ may stand behind the place, where there is no login.

    Raises:
        ConfigError: a password goes on where it has ended, it seems.
    """
    if "#" in rest:
        raise ConfigError(f"the URL has a # in it, which ends a URL: {ENCODED}")
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    login, at, place = authority.rpartition("@")
    # Where the password has a reserved character in it, its second half stands here.
    if "@" in path + query and (at or not at_in_path):
        raise ConfigError(f"the URL has an @ behind its host, as if the password went on there: {ENCODED}")
    return (login if at else None), place, slash + path, query


def yes_or_no(text: str) -> bool:
    """Return what an option says.

    Raises:
        ValueError: it says neither; with what it needs.
    """
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return known[text.lower()]
    except KeyError:
        raise ValueError("true or false") from None


def decided_here(name: str) -> ConfigError:
    """Return what is said of an option that changes how the connection waits."""
    return ConfigError(
        f"the URL's option {name} is not taken, for nbtasks itself decides how it speaks to the server, how long "
        "it waits and how often it tries again: leave it out"
    )


def unknown(name: str, known: Collection[str], may_be_password: bool = True) -> ConfigError:
    """Return what is said of an option that there is not.

    Args:
        may_be_password: such a URL may have a password in it, of which this may be a part.
    """
    shown = name if _NAME.fullmatch(name) else "that stands there"
    near = difflib.get_close_matches(name.lower(), known, 1)
    out = f": leave it out, or {ENCODED}" if may_be_password else ": leave it out"
    hint = f"; did you mean {near[0]}?" if near else out
    return ConfigError(f"the URL's option {shown} is not known{hint} (known are {', '.join(known)})")


def place_of(place: str, standard: int, forms: str) -> tuple[str, int]:
    """Return host and port; the host is empty where none is named.

    Args:
        standard: the port where none is named.
        forms: what to write, for messages.

    Raises:
        ConfigError: they are none.
    """
    found = PLACE.fullmatch(place)
    if found is None:
        raise ConfigError(
            f"the URL's host is no name, or its port no number from 1 to 65535; or {ENCODED}; write {forms}"
        )
    host, port = found["six"] or found["name"], int(found["port"] or standard)
    if not 0 < port < 65536:
        raise ConfigError(f"the port of the URL is not a number from 1 to 65535; write {forms}")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ConfigError(f"the URL's host is not a name that a machine can have; write {forms}") from None
    return host, port
