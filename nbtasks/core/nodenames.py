"""Names of workers and of their log files, with the letters that Celery fills in."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

from .errors import ConfigError

#: Letter -> what it stands for, for messages.
_LETTERS = {"%h": "the host", "%n": "its first part", "%d": "its domain", "%i": "0", "%I": "nothing"}


def node_name(text: str, what: str = "name") -> str:
    """Return a worker's name: ``w1@%h`` with the host.

    ``%i`` and ``%I`` number processes in Celery; here the one that has the name is the first.

    Args:
        what: names the option, for messages.

    Raises:
        ConfigError: a letter stands for nothing.
    """
    return _filled(text, _of_host(socket.gethostname()), what)


def node_file(text: str, name: str | None, what: str = "logfile") -> str:
    """Return the name of a worker's file: ``%n`` is what the worker's name has before ``@``, ``%p`` all of it.

    Args:
        name: the worker's; None: it has none of its own.

    Raises:
        ConfigError: as :func:`node_name`.
    """
    own, _, place = (name or "").rpartition("@")
    host = socket.gethostname()
    letters = _of_host(place or host)
    if name:
        letters = {**letters, "%n": own or name}
    return _filled(text, {**letters, "%p": name or host}, what)


def _of_host(host: str) -> dict[str, str]:
    first, _, domain = host.partition(".")
    return {"%h": host, "%n": first, "%d": domain, "%i": "0", "%I": "", "%%": "%"}


def _filled(text: str, letters: Mapping[str, str], what: str) -> str:
    wrong = [found for found in re.findall("%[A-Za-z%]", text) if found not in letters]
    if wrong:
        known = ", ".join(f"{letter} ({meaning})" for letter, meaning in _LETTERS.items())
        raise ConfigError(
            f"{what}: {wrong[0]} in {text!r} stands for nothing; there are {known}, and %% for a percent sign"
        )
    return re.sub("%[A-Za-z%]", lambda found: letters[found[0]], text)
