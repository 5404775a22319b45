"""The worker's own log: what it received, how it ended. Never what a task logs, which belongs to its call."""

from __future__ import annotations

import logging
import os

from nbtasks.core.errors import BrokerUnavailable

LOGGER = logging.getLogger("nbtasks.worker")


def log_trouble(what: str, error: Exception) -> None:
    """Log that something could not be done with the broker.

    That the broker cannot be reached is said once, by the lease, which the supervisor renews all the time; not by every
    duty of every process, each time that it tries.
    """
    level = logging.DEBUG if isinstance(error, BrokerUnavailable) else logging.WARNING
    LOGGER.log(level, "%s: %s", what, error)


class _DescriptorHandler(logging.Handler):
    """Writes whole lines to a descriptor, so that lines of several processes do not mix."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(self._fd, (self.format(record) + "\n").encode(errors="replace"))
        except OSError:
            return


def set_up(level: str) -> None:
    """Log to a copy of standard error from ``level`` on."""
    handler = _DescriptorHandler(os.dup(2))
    handler.setFormatter(logging.Formatter("[%(asctime)s: %(levelname)s/%(nbname)s] %(message)s"))
    LOGGER.handlers = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(level.upper())
    set_name("MainProcess")


def set_name(name: str) -> None:
    """Name this process in the log."""
    LOGGER.filters = [_Naming(name)]


class _Naming(logging.Filter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def filter(self, record: logging.LogRecord) -> bool:
        record.nbname = self._process
        return True
