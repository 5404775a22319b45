"""A cell that runs again replaces its own earlier run, and what earlier sessions have left is named."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbtasks.client import observers, whence
from nbtasks.client.app import App
from nbtasks.core.errors import NbtasksError
from nbtasks.jupyter.card import words
from nbtasks.jupyter.frontend import running_cell
from nbtasks.local.connection import named_url
from nbtasks.local.server.leftwork import may_be_left

from .publish import say

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.outline import Outline
    from nbtasks.core.submitter import Submitter

_log = logging.getLogger("nbtasks")
#: Runs of magics that are remembered, newest.
_MOST_REMEMBERED = 1000
#: Tasks that are named in one sentence.
_MOST_NAMED = 3
#: Seconds that loading the extension may take for a server on another machine.
_START_S = 1.0


class Reruns:
    """Knows for one shell which run belongs to which cell.

    A run of ``%%task`` or ``%task`` is replaced by the next one of its cell: what has not started is revoked, what has
    started goes on. What an ended process has left of the same cell is replaced by maps as well.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._by_magic: deque[str] = deque(maxlen=_MOST_REMEMBERED)
        self._in_magic = False
        #: Runs of earlier sessions that were not replaced; None before the first look.
        self._left: list[Outline] | None = None
        self._told_in = ""

    def attach(self) -> Any:
        """Look at maps that are submitted from now on; returns the undoing."""
        return observers.on_submit(self._submitted)

    # -- the same cell again

    @contextmanager
    def of_magic(self) -> Iterator[None]:
        """What is submitted meanwhile is a magic's, which asks for the rest itself."""
        self._in_magic = True
        try:
            yield
        finally:
            self._in_magic = False

    def note(self, batch: Ledger, *, again: bool) -> None:
        """A magic has submitted a batch: it replaces the earlier runs of its cell, unless it is wanted ``again``."""
        self._by_magic.append(batch.id)
        if again:
            return
        mine = batch.origin.submitter
        known = App.current().engine.registry.all_unfinished()
        for other in known:
            if other.id in self._by_magic and _is_earlier_run(other.origin.submitter, mine):
                _replace(other)
        self._replace_left(mine)

    def _submitted(self, handle: Any, batch: Ledger) -> None:
        if self._in_magic or threading.current_thread() is not threading.main_thread():
            return
        mine = batch.origin.submitter
        for other in App.current().engine.registry.all_unfinished():
            if not other.quiet and other.kind == "map" and _is_earlier_run(other.origin.submitter, mine):
                _say_it_goes_on(other)
        self._replace_left(mine)

    def _replace_left(self, mine: Submitter) -> None:
        """Replace what an ended process has left of the same cell."""
        if self._left is None:
            self._left = self.earlier()
        of_cell = [one for one in self._left if one.label.shown and _is_same_cell(one.label.submitter, mine)]
        engine = App.current().engine
        for outline in of_cell:
            self._left.remove(outline)
            try:
                batch = engine.adopt(outline.id)
                if not batch.done:
                    _replace(batch)
            except NbtasksError as problem:
                _log.debug("run %s could not be replaced: %s", outline.id, problem)

    # -- what earlier sessions have left

    def earlier(self) -> list[Outline]:
        """Return the runs that ended processes have left unfinished, of this notebook; newest first."""
        engine = App.current().engine
        mine = whence.submitter()
        return [
            one
            for one in engine.unfinished()
            if mine.in_one_notebook(one.label.submitter)
            and engine.registry.known(one.id) is None
            and whence.is_gone(one.label.submitter)
        ]

    def tell_at_start(self) -> None:
        """Do so when the extension is loaded: nothing is started for it that is not there, and no time is lost."""
        try:
            if named_url():
                # Another machine's server may take its time.
                telling = threading.Thread(target=self._prepare, name="nbtasks-earlier", daemon=True)
                telling.start()
                telling.join(_START_S)
                if not telling.is_alive():
                    self.tell_earlier()
            elif may_be_left():
                self.tell_earlier()
        except NbtasksError as problem:
            _log.debug("earlier runs could not be looked for: %s", problem)

    def _prepare(self) -> None:
        try:
            self.earlier()
        except NbtasksError as problem:
            _log.debug("earlier runs could not be looked for: %s", problem)

    def tell_earlier(self) -> None:
        """Name what earlier sessions of this notebook have left, once in a cell."""
        cell = running_cell(self._shell)
        if cell == self._told_in:
            return
        self._left = self.earlier()
        if self._left:
            self._told_in = cell
            say(said_of_earlier(self._left))


def said_of_earlier(runs: Iterable[Outline]) -> str:
    """Return the sentence about runs of earlier sessions."""
    left: dict[str, int] = {}
    for run in runs:
        left[run.title] = left.get(run.title, 0) + run.left
    names = sorted(left, key=lambda name: -left[name])
    parts = [f"{words.calls(left[name])} of '{words.one_line(name, 60)}'" for name in names[:_MOST_NAMED]]
    if rest := sum(left[name] for name in names[_MOST_NAMED:]):
        parts.append(f"{rest:,} of other tasks")
    have = "has" if sum(left.values()) == 1 else "have"
    return (
        f"{_listed(parts)} from an earlier session of this notebook {have} not ended: "
        "`%tasks attach` brings them back, `%tasks cancel earlier` stops them."
    )


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _is_same_cell(one: Submitter, other: Submitter) -> bool:
    return bool(one.cell) and one.cell == other.cell and one.in_one_notebook(other)


def _is_earlier_run(one: Submitter, now: Submitter) -> bool:
    return _is_same_cell(one, now) and one.execution != now.execution


def _replace(batch: Ledger) -> None:
    """Revoke what has not started of an earlier run, and say what became of it."""
    before = batch.revoked_count
    batch.revoke(terminate=False, how="replaced: its cell was run again")
    revoked, left = batch.revoked_count - before, batch.n - batch.finished_count
    name = words.short_id(batch.id)
    if not revoked:
        if left:
            _say_it_goes_on(batch)
        return
    is_revoked = "is revoked" if revoked == 1 else "are revoked"
    goes_on = f", {left:,} {'goes' if left == 1 else 'go'} on" if left else ""
    say(
        f"This replaces the cell's earlier run ({name}): {words.calls(revoked)} had not started and {is_revoked}"
        f"{goes_on}. `--again` would keep both."
    )


def _say_it_goes_on(batch: Ledger) -> None:
    name, left = words.short_id(batch.id), batch.n - batch.finished_count
    say(f"The cell's earlier run ({name}) goes on with {words.calls(left)}; `%tasks cancel {name}` stops it.")
