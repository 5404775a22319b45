"""What tasks log and print, in the log of their worker.

A worker of a shell shows both, as Celery's does; the project's own logging is left as it is. A notebook's own workers
show neither: there the card does. What is logged is a call's output in either case.
"""

from __future__ import annotations

import logging
from typing import Any

from nbtasks.core import signal
from nbtasks.core.context import CurrentCall, current_call
from nbtasks.core.tasklogger import TASK_LOGGER
from nbtasks.core.workeroptions import WorkerOptions

from . import log
from .isolation import streams
from .isolation.streams import output_of

#: Characters of a line that has no end yet, until it is shown all the same.
_MOST_LINE = 8 * 1024
#: What is printed has no level; in Celery's log it has this one.
_OF_PRINTS = logging.WARNING


class TaskHandler(logging.Handler):
    """Gives what is logged to the call that logs it, and to the worker's log.

    Args:
        shown: whether it goes to the worker's log as well.
    """

    def __init__(self, shown: bool) -> None:
        super().__init__()
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record; one that cannot be shown is nobody's error."""
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        call = current_call()
        if call is not None and not call.is_over:
            output_of(call).write("e", text + "\n")
        if self._shown or call is None:
            log.write(record.levelno, text, record.created, call)


def printed_lines(options: WorkerOptions) -> PrintedLines | None:
    """Return what shows the lines that calls print from now on in this process; None where only their cards do."""
    if options.output != "log":
        return None
    level = options.log_forms.get("prints")
    lines = PrintedLines(_OF_PRINTS if level is None else log.number_of(level))
    streams.shown[:] = [lines.note]
    return lines


class PrintedLines:
    """Lines that calls print, for the worker's log, where they have this level."""

    def __init__(self, level: int) -> None:
        self._level = level

    def note(self, call: CurrentCall, stream: str, text: str) -> None:
        """A call has printed something; only whole lines are shown."""
        begun = output_of(call).begun_lines
        lines = (begun.pop(stream, "") + text).split("\n")
        rest = lines.pop()
        for line in lines:
            self._show(call, line)
        if len(rest) > _MOST_LINE:
            self._show(call, rest)
        elif rest:
            begun[stream] = rest

    def end(self, call: CurrentCall) -> None:
        """A call has ended: what it has left without an end is a line, too."""
        begun = output_of(call).begun_lines
        for line in begun.values():
            self._show(call, line)
        begun.clear()

    def written(self, call: CurrentCall, text: str) -> None:
        """It was written past Python, by a program or by a handler of the project's own, which has its own format."""
        for line in text.splitlines():
            log.write_as_it_is(line)

    def _show(self, call: CurrentCall, line: str) -> None:
        # As on a terminal: what was written over is not seen.
        line = line.rstrip("\r").rpartition("\r")[2]
        if line.strip():
            log.write(self._level, line, call=call)


def set_up(options: WorkerOptions) -> None:
    """Have what tasks log be shown. Before children are forked, once the project has set up its own logging."""
    level, shown = log.number_of(options.loglevel), options.output == "log"
    form = options.log_forms.get("format", log.FORMAT)
    how: dict[str, Any] = {"logfile": options.logfile, "format": form, "colorize": False}
    own = signal.setup_logging.send(loglevel=level, **how)
    task_logger = logging.getLogger(TASK_LOGGER)
    task_logger.addHandler(TaskHandler(shown))
    task_logger.propagate = False
    task_logger.setLevel(min(level, logging.INFO))
    root = logging.getLogger()
    if shown and not own and not root.handlers:
        root.addHandler(TaskHandler(shown))
        root.setLevel(level)
    if not own:
        signal.after_setup_logger.send(logger=root, loglevel=level, **how)
        signal.after_setup_task_logger.send(logger=task_logger, loglevel=level, **how)
