"""The magics: parse nothing and decide nothing here, delegate."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.getipython import get_ipython
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    no_var_expand,
    output_can_be_silenced,
)

from nbtasks.core.errors import CellError, NbtasksError

from .clause import CLAUSE_FILE
from .flags import OptionError, help_text
from .launch import LINE_FILE, Launcher
from .tasksline import TasksLine
from .workersline import WorkersLine

if TYPE_CHECKING:
    from nbtasks.jupyter.card.display import Display

    from .reruns import Reruns

_PACKAGE = str(Path(__file__).parent.parent.parent) + os.sep


@magics_class
class TaskMagics(Magics):
    """``%%task``, ``%task``, ``%tasks`` and ``%workers``."""

    def __init__(self, shell: Any, display: Display, reruns: Reruns) -> None:
        super().__init__(shell)
        self._launcher = Launcher(shell, display, reruns)
        self._tasks = TasksLine(shell, display, reruns)
        self._workers = WorkersLine(shell, display, reruns)

    @no_var_expand
    @output_can_be_silenced
    @line_cell_magic
    def task(self, line: str, cell: str | None = None) -> Any:  # noqa: D102 - below
        __tracebackhide__ = True
        if cell is None:
            return _calmly(lambda: self._launcher.run_line(line))
        return _calmly(lambda: self._launcher.run_cell(line, cell))

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def tasks(self, line: str) -> Any:  # noqa: D102 - below
        __tracebackhide__ = True
        return _calmly(lambda: self._tasks.run(line))

    @no_var_expand
    @line_magic
    def workers(self, line: str) -> None:  # noqa: D102 - below
        __tracebackhide__ = True
        _calmly(lambda: self._workers.run(line))


TaskMagics.task.__doc__ = f"""Run the cell, or an expression, on a worker.

    %%task [options] [for NAME in EXPR ...]     the body runs there; its last expression is the result
    %task [options] f(x)                        f and x are evaluated here, the call runs there
    %task [options] f for u in urls             one call for each item

What the code reads is captured from the notebook by value; what it assigns stays there, but for -g.

{help_text()}"""

TaskMagics.tasks.__doc__ = """List what was submitted, or act on it.

    %tasks                              what this session has submitted, newest first; live, with buttons
    %tasks all                          the runs of everybody in this namespace, and whose they are
    %tasks ID|NAME                      its card, here
    %tasks cancel ID|NAME|all           stop it; all: of this session; earlier: what its earlier sessions have left
    %tasks retry ID|NAME|failed         run its failed calls again
    %tasks debug ID|NAME[:INDEX]        run a failed call once more and here, and open the debugger where it fails
    %tasks logs ID|NAME                 what its calls have printed
    %tasks attach                       what this notebook's earlier sessions have left comes back: cards in their
                                        cells, and a table; also after a kernel restart
    %tasks attach ID ...|--last N       cards of these runs, here
    %tasks schedule                     the periodic tasks: when each is due, how it went; live, with buttons
    %tasks schedule NAME                the card of one
    %tasks schedule run|pause|resume|remove NAME     run it now, leave out due times, go on, end it for good
"""

TaskMagics.workers.__doc__ = """Show the workers, or start and stop local ones.

    %workers                            all workers of this namespace, on any machine: live, with buttons
    %workers start [N] [-q QUEUE,..] [-P prefork|threads|solo] [--threads N] [--name NAME] [--env NAME=VALUE]
                   [--max-tasks-per-child N] [--max-memory-per-child KIB] [--keep]
                                        have N processes here; --keep: also when the kernel has ended
    %workers stop [--now]               warm: running calls end first; --now does not wait for them
    %workers scale N                    so many of them, with the same options
    %workers restart [--now]            new ones with the same options: they see what has changed here
    %workers connect URL|FILE           calls go to another server from now on; FILE is a connection file
    %workers logs [-n LINES]            the end of the local workers' log
    %workers invite [--show]            how workers on other machines join; --show puts the key on the screen
    %workers invite --listen [HOST:PORT] [--host NAME]   the same with the embedded server, which listens then
    %workers uninvite                   it listens no more
"""


def _calmly(action: Callable[[], Any]) -> Any:
    """Show misuse as one line, and errors without the frames of nbtasks that passed them on."""
    __tracebackhide__ = True
    try:
        return action()
    except OptionError as problem:
        raise UsageError(str(problem)) from None
    except SyntaxError as problem:
        raise _NotPython(problem) from None
    except BaseException as problem:  # ours, what a task raised, or Stop
        task_frames = _beyond_ours(problem.__traceback__)
        if isinstance(problem, KeyboardInterrupt) or (
            task_frames is None and (isinstance(problem, NbtasksError) or _is_of_the_line(problem))
        ):
            # What IPython asks an exception for that wants to be shown in its own way.
            problem._render_traceback_ = partial(_plainly, problem)  # type: ignore[attr-defined]
            raise
        raise problem.with_traceback(task_frames)  # noqa: B904 - the same error


class _NotPython(CellError):
    """A syntax error in a task's source. IPython shows a real one with all frames that it came through."""

    def __init__(self, problem: SyntaxError) -> None:
        super().__init__(str(problem))
        self._problem = problem

    def _render_traceback_(self) -> list[str]:
        shell: Any = get_ipython()
        shown: list[str] = shell.SyntaxTB.structured_traceback(type(self._problem), self._problem, [])
        return shown


# What the notebook says above the line.
_NotPython.__name__ = "SyntaxError"


def _plainly(problem: BaseException) -> list[str]:
    notes = getattr(problem, "__notes__", [])
    said = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
    return [said, *notes]


def _beyond_ours(frames: TracebackType | None) -> TracebackType | None:
    """Leave out the first frames as long as they are ours: what follows is the task's own traceback."""
    while frames is not None and _is_ours(frames.tb_frame):
        frames = frames.tb_next
    return frames


def _is_of_the_line(problem: BaseException) -> bool:
    """Whether an expression on the magic's own line has raised it: the cell shows that line."""
    frames = list(traceback.walk_tb(problem.__traceback__))
    return bool(frames) and frames[-1][0].f_code.co_filename in {CLAUSE_FILE, LINE_FILE}


def _is_ours(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    # What stands on the magic's line is shown by the cell; a dataclass has made its __init__ of a string.
    made = file == "<string>" and str(frame.f_globals.get("__name__")).split(".")[0] == "nbtasks"
    return file.startswith(_PACKAGE) or file in {CLAUSE_FILE, LINE_FILE} or made
