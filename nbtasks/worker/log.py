"""The worker's own log: what it received, how it ended. Never what a task logs, which belongs to its call."""

from __future__ import annotations

import logging
import os
import re

from nbtasks.core.errors import BrokerUnavailable

LOGGER = logging.getLogger("nbtasks.worker")


def log_trouble(what: str, error: Exception) -> None:
    """Log that something could not be done with the broker.

    That the broker cannot be reached is said once, by the lease, which the supervisor renews all the time; not by every
    duty of every process, each time that it tries.
    """
    level = logging.DEBUG if isinstance(error, BrokerUnavailable) else logging.WARNING
    LOGGER.log(level, "%s: %s", what, error)


#: What was said by :func:`log_once`: no more than this is remembered, or said.
_MOST_ONCE = 1000
_said: set[str] = set()


def log_once(text: str, level: int = logging.ERROR) -> None:
    """Log something that may come a million times: what somebody without the key has written to the server."""
    if text in _said or len(_said) > _MOST_ONCE:
        return
    _said.add(text)
    LOGGER.log(level, "%s", text)
    if len(_said) > _MOST_ONCE:
        LOGGER.log(level, "more of this kind is not told any more; see who writes to the broker")


#: Control characters, and those that turn the direction of what follows; all but line breaks and tabs.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def as_text(line: str) -> str:
    """Return what is to be logged as text and nothing else, whoever wrote parts of it.

    A terminal obeys none of it, and no part of it looks like a line of its own: only these begin at the margin.
    """
    shown = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), line.replace("\r\n", "\n"))
    return shown.replace("\n", "\n    ")


class _DescriptorHandler(logging.Handler):
    """Writes whole lines to a descriptor, so that lines of several processes do not mix."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(self._fd, (as_text(self.format(record)) + "\n").encode(errors="replace"))
        except OSError:
            return


def set_up(level: str) -> None:
    """Log to a copy of standard error from ``level`` on."""
    handler = _DescriptorHandler(os.dup(2))
    handler.setFormatter(logging.Formatter("[%(asctime)s: %(levelname)s/%(nbname)s] %(message)s"))
    # What receivers of signals raise is said there, too.
    for logger in (LOGGER, logging.getLogger("nbtasks.signals")):
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
    set_name("MainProcess")


def set_name(name: str) -> None:
    """Name this process in the log."""
    for handler in LOGGER.handlers:
        handler.filters = [_Naming(name)]


class _Naming(logging.Filter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def filter(self, record: logging.LogRecord) -> bool:
        record.nbname = self._process
        return True
