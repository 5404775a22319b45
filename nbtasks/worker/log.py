"""The worker's own log: what it received, how it ended. Never what a task logs, which belongs to its call."""

from __future__ import annotations

import logging
import math
import os
import re
import time
from collections.abc import Mapping

from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import BrokerUnavailable, ConfigError

LOGGER = logging.getLogger("nbtasks.worker")


def log_trouble(what: str, error: Exception) -> None:
    """Log that something could not be done with the broker.

    That the broker cannot be reached is said once, by the lease, which the supervisor renews all the time; not by every
    duty of every process, each time that it tries. And what lasts, as a full disk does, each process says once.
    """
    now, said = time.monotonic(), str(error)
    again = now - _troubles.get(said, -math.inf) < _TOLD_ANEW_S
    if len(_troubles) > _MOST_ONCE:
        _troubles.clear()
    _troubles[said] = now
    level = logging.DEBUG if again or isinstance(error, BrokerUnavailable) else logging.WARNING
    LOGGER.log(level, "%s: %s", what, error)


#: What was said by :func:`log_once`: no more than this is remembered, or said.
_MOST_ONCE = 1000
_said: set[str] = set()
#: The broker's words -> when they came last (monotonic); after so many seconds without them they are said anew.
_troubles: dict[str, float] = {}
_TOLD_ANEW_S = 60.0


def log_once(text: str, level: int = logging.ERROR, with_traceback: bool = False) -> None:
    """Log something that may come a million times: what somebody without the key has written to the server.

    Args:
        with_traceback: that of the exception that is being handled.
    """
    if text in _said or len(_said) > _MOST_ONCE:
        return
    _said.add(text)
    LOGGER.log(level, "%s", text, exc_info=with_traceback)
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


#: A line of the log, and one that a task has written, as Celery writes them.
FORMAT = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"
TASK_FORMAT = "[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s"


class _LineHandler(logging.Handler):
    """Writes whole lines to a descriptor, so that lines of several processes do not mix."""

    def __init__(self, fd: int, forms: Mapping[str, str]) -> None:
        super().__init__()
        self.fd = fd
        self._of_tasks = logging.Formatter(
            forms.get("task_format", TASK_FORMAT), forms.get("task_datefmt", forms.get("datefmt"))
        )
        #: As the log calls this process.
        self.process = "MainProcess"
        self.setFormatter(logging.Formatter(forms.get("format", FORMAT), forms.get("datefmt")))

    def emit(self, record: logging.LogRecord) -> None:
        record.processName = self.process
        of_task = hasattr(record, "task_id")
        self.write(self._of_tasks.format(record) if of_task else self.format(record))

    def write(self, line: str) -> None:
        try:
            os.write(self.fd, (as_text(line) + "\n").encode(errors="replace"))
        except OSError:
            return


_handlers: list[_LineHandler] = []


def set_up(level: str, logfile: str | None = None, forms: Mapping[str, str] | None = None) -> None:
    """Log from ``level`` on, to a copy of standard error or to the end of a file.

    Args:
        forms: ``format``, ``datefmt``, ``task_format`` and ``task_datefmt`` of lines, as logging.Formatter takes them.

    Raises:
        ConfigError: that file cannot be written.
    """
    _handlers[:] = [_LineHandler(os.dup(2) if logfile is None else _opened(logfile), forms or {})]
    # What receivers of signals raise is said there, too.
    for logger in (LOGGER, logging.getLogger("nbtasks.signals")):
        logger.handlers = list(_handlers)
        logger.propagate = False
        logger.setLevel(number_of(level))


def _opened(logfile: str) -> int:
    try:
        return os.open(logfile, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ConfigError(
            f"logfile: {logfile!r} cannot be written: {error.strerror}; name a file in a folder that is there, "
            "and that this user may write to"
        ) from None


def set_name(name: str) -> None:
    """Name this process in the log."""
    for handler in _handlers:
        handler.process = name


def number_of(level: str) -> int:
    """Return a level as logging counts it."""
    number: int = getattr(logging, level.upper())
    return number


def write(level: int, text: str, at: float | None = None, call: CurrentCall | None = None) -> None:
    """Write what tasks say, where the log goes down to its level.

    Args:
        call: the one that says it; None where none does.
        at: when it was said, by the wall clock.
    """
    if LOGGER.isEnabledFor(level):
        record = LOGGER.makeRecord(LOGGER.name, level, "", 0, text, (), None)
        if at is not None:
            record.created = at
        if call is not None:
            record.task_id, record.task_name = call.id, call.name
        for handler in _handlers:
            handler.emit(record)


def write_as_it_is(line: str) -> None:
    """Write a line that has its own format."""
    for handler in _handlers:
        handler.write(line)
