"""``%load_ext nbtasks``: put magics, cards and completion into a shell, and take them out again."""

from __future__ import annotations

from functools import partial
from typing import Any

from nbtasks.client import border, whence
from nbtasks.client.app import App
from nbtasks.core import warning

from . import cellnames
from .card.display import Display
from .card.words import short_id
from .errorframes import name_of_cell, shown_by
from .figureform import FigureForm
from .magics.completion import make_matcher
from .magics.magics import TaskMagics
from .magics.publish import say
from .magics.reruns import Reruns
from .magics.scheduleline import shown_as_card
from .runs.cellruns import CellRuns
from .whereabouts import Whereabouts

_MAGICS = {"cell": ("task",), "line": ("task", "tasks", "workers")}
#: Ids that TAB offers, the newest.
_MOST_OFFERED = 50
_loaded: dict[int, _Loaded] = {}


class _Loaded:
    """What was put into a shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.display = Display(shell, CellRuns)
        self.display.attach()
        self.whereabouts = Whereabouts(shell)
        whence.cell_asked.append(self.whereabouts)
        self.shows_errors = partial(shown_by, shell)
        border.on_own_error.append(self.shows_errors)
        self.names_cells = partial(name_of_cell, shell)
        border.shown_as.append(self.names_cells)
        self.cells = cellnames.learn(shell)
        if cellnames.file_in_warnings not in warning.known_as:
            warning.known_as.append(cellnames.file_in_warnings)
        self.figures = FigureForm(shell)
        self.reruns = Reruns(shell)
        self.undo_reruns = self.reruns.attach()
        self.undo_schedules = shown_as_card(shell, self.display)
        shell.register_magics(TaskMagics(shell, self.display, self.reruns))
        # IPython before 8.6 has no such matchers: its own completion stays as it is.
        self.matchers = getattr(shell.Completer, "custom_matchers", None)
        self.matcher = make_matcher(_queues, _runs) if self.matchers is not None else None
        if self.matchers is not None:
            self.matchers.append(self.matcher)

    def undo(self) -> None:
        self.display.detach()
        self.undo_reruns()
        self.undo_schedules()
        self.figures.undo()
        whence.cell_asked.remove(self.whereabouts)
        border.on_own_error.remove(self.shows_errors)
        border.shown_as.remove(self.names_cells)
        cellnames.forget(self.cells)
        for kind, names in _MAGICS.items():
            for name in names:
                self.shell.magics_manager.magics[kind].pop(name, None)
        if self.matchers is not None and self.matcher in self.matchers:
            self.matchers.remove(self.matcher)


def load_ipython_extension(shell: Any) -> None:
    """Load the magics into ``shell``; a second time does nothing but say so."""
    if id(shell) in _loaded:
        say("nbtasks is loaded already: %%task, %task, %tasks and %workers are there.")
        return
    loaded = _loaded[id(shell)] = _Loaded(shell)
    loaded.reruns.tell_at_start()


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics out of ``shell``. Workers, tasks and cards that live go on."""
    loaded = _loaded.pop(id(shell), None)
    if loaded is not None:
        loaded.undo()


def _queues() -> set[str]:
    """Return the queues that were used here; nothing is connected or started for a TAB."""
    app = App.current()
    queues = {"default", *(batch.queue for batch in app.batches())}
    if len(queues) > 1 or app.batches():
        queues.update(queue for worker in app.workers() for queue in worker.queues)
    return queues


def _runs() -> list[str]:
    """Return the ids of this session's runs as cards show them, newest first."""
    return [short_id(batch.id) for batch in reversed(App.current().batches(quiet=True)[-_MOST_OFFERED:])]
