"""``%tasks schedule``: the periodic tasks, and what is done with them; and the card of a scheduled cell."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from nbtasks.client.app import App
from nbtasks.client.periodic.declared import all_facts
from nbtasks.client.periodic.periodictask import PeriodicTask
from nbtasks.core.nearest import nearest
from nbtasks.jupyter.card import words
from nbtasks.jupyter.panel.periodiclist import periodic_card, periodic_panel

from .flags import OptionError
from .publish import Panels, say

if TYPE_CHECKING:
    from nbtasks.jupyter.card.display import Display
    from nbtasks.jupyter.panel.livepanel import LivePanel
    from nbtasks.jupyter.panel.table import Panel

USAGE = "%tasks schedule [NAME] | %tasks schedule run|pause|resume|remove NAME"
ACTIONS = ("run", "pause", "resume", "remove")


class ScheduleLine:
    """Does that in one shell."""

    def __init__(self, panels: Panels) -> None:
        self._panels = panels

    def run(self, rest: list[str]) -> None:
        """Run ``%tasks schedule REST``."""
        command, name = (rest or [""])[0], " ".join(rest[1:])
        if not command:
            self._panels.show(_all, _act)
        elif command in ACTIONS and name:
            say(_done(command, name))
        elif command in ACTIONS:
            raise OptionError(f"%tasks schedule {command} needs a NAME; `%tasks schedule` lists them")
        elif PeriodicTask(" ".join(rest), App.current()).exists:
            self.card(" ".join(rest))
        else:
            near = nearest(command, ACTIONS) if name else None
            hint = (
                f"did you mean `%tasks schedule {near} {name}`?" if near else "`%tasks schedule` lists them."
            )
            raise OptionError(f"there is no periodic task {' '.join(rest)!r}; {hint} Usage: {USAGE}")

    def card(self, name: str) -> None:
        """Show the card of one."""
        self._panels.show(lambda: _one(name), _act)


def shown_as_card(shell: Any, display: Display) -> Callable[[], object]:
    """Have a periodic task at the end of a cell show its card; returns what undoes that."""
    formatter = shell.display_formatter.ipython_display_formatter
    line = ScheduleLine(Panels(shell, display))
    formatter.for_type(PeriodicTask, lambda task: line.card(task.name))
    return functools.partial(formatter.pop, PeriodicTask, None)


def _all() -> Panel:
    return periodic_panel(all_facts(App.current()), datetime.now(timezone.utc))


def _one(name: str) -> Panel:
    app = App.current()
    facts = PeriodicTask(name, app).facts
    has_workers = any(worker.matches for worker in app.workers())
    return periodic_card(facts, name, datetime.now(timezone.utc), has_workers)


def _act(_: LivePanel, action: str, key: str) -> str:
    return _done(action, key) if action in ACTIONS else f"There is no action {action!r}."


def _done(action: str, name: str) -> str:
    task = PeriodicTask(name, App.current())
    if not task.exists:
        near = nearest(name, [one.name for one in all_facts(App.current())])
        hint = f"did you mean {near!r}?" if near else "`%tasks schedule` lists them."
        return f"There is no periodic task {name!r}; {hint}"
    if action == "run":
        run = words.short_id(task.run_now().id)
        return f"{name} runs now: {run}. `%tasks attach {run}` shows its card."
    if action == "pause":
        task.pause()
        return f"{name} pauses."
    if action == "resume":
        task.resume()
        return f"{name} goes on."
    task.remove()
    return f"{name} is removed."
