"""A cell that runs again replaces its own earlier run, and what earlier sessions have left is named."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from nbtasks.client import observers, whence
from nbtasks.client.app import App
from nbtasks.client.batches.registry import unfinished_here
from nbtasks.client.waiting import is_awaited
from nbtasks.core.errors import NbtasksError
from nbtasks.jupyter.card import words
from nbtasks.jupyter.frontend import running_cell
from nbtasks.local.connection import named_url
from nbtasks.local.server.leftwork import may_be_left

from .handlenames import given_anew, holders
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

    A run is replaced by the next one of its cell: what has not started is revoked, what has started goes on. Of runs
    that no magic has submitted, those are replaced of whose task the cell submits calls again, and whose handle nobody
    has but names that the cell gives other values to. What an ended process has left of the same cell is replaced by
    maps as well.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._by_magic: deque[str] = deque(maxlen=_MOST_REMEMBERED)
        self._in_magic = False
        #: Runs of earlier sessions that were not replaced; None before the first look.
        self._left: list[Outline] | None = None
        self._told_in = ""
        #: While a cell runs again: its earlier runs that were not submitted anew so far.
        self._earlier: list[Ledger] = []
        self._given_anew: set[str] = set()
        self._look_no_more: Callable[[], None] = lambda: None

    def attach(self) -> Callable[[], None]:
        """Look at what is submitted from now on; returns the undoing."""
        events = self._shell.events
        undo = [observers.on_submit(self._submitted)]
        for name, callback in (("pre_run_cell", self._cell_begins), ("post_run_cell", self._cell_ended)):
            events.register(name, callback)
            undo.append(partial(events.unregister, name, callback))

        def detach() -> None:
            self._look_no_more()
            for action in undo:
                action()

        return detach

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
        # What it waits for is not in its way.
        step = None if batch.parcel is None else batch.parcel.step
        awaited = {one.id for one in ([] if step is None else step.workflow.ledgers)}
        earlier = [one for one in unfinished_here() if one.id in self._by_magic and one.id not in awaited]
        _replace([one for one in earlier if _is_earlier_run(one.origin.submitter, mine)], "`--again`")
        self._replace_left(mine, "`--again`")

    def _cell_begins(self, info: Any) -> None:
        mine = whence.submitter()
        self._earlier = [
            one
            for one in unfinished_here()
            if one.id not in self._by_magic and _is_earlier_run(one.origin.submitter, mine)
        ]
        if self._earlier:
            self._given_anew = given_anew(self._shell.transform_cell(str(info.raw_cell or "")))
            self._look_no_more = observers.on_added(self._added)

    def _cell_ended(self, *_: Any) -> None:
        self._look_no_more()
        self._earlier = []

    def _added(self, batch: Ledger) -> None:
        """The cell submits something, and an earlier run of it has not ended."""
        if self._in_magic or batch.parcel is None or batch.mends is not None or not _in_main_thread():
            return
        alike = [one for one in self._earlier if (one.name, one.kind) == (batch.name, batch.kind)]
        self._earlier = [one for one in self._earlier if one not in alike]
        if batch.parcel.options.again:
            return
        to_replace = []
        for one in alike:
            names = holders(one, self._shell.user_ns)
            reason = _reason_to_keep(one, names - self._given_anew)
            # A single call has no card that would show it: where nobody loses its handle, it was meant as one more.
            if not reason and (not one.quiet or names):
                to_replace.append(one)
            elif not one.quiet or names & self._given_anew:
                _say_it_goes_on(one, reason)
        _replace(to_replace, "`again=True`")

    def _submitted(self, handle: Any, batch: Ledger) -> None:
        again = batch.parcel is not None and batch.parcel.options.again
        if not (again or self._in_magic) and _in_main_thread():
            self._replace_left(batch.origin.submitter, "`again=True`")

    def _replace_left(self, mine: Submitter, keeps_both: str) -> None:
        """Replace what an ended process has left of the same cell."""
        if self._left is None:
            self._left = self.earlier()
        of_cell = [one for one in self._left if one.label.shown and _is_same_cell(one.label.submitter, mine)]
        engine = App.current().engine
        found = []
        for outline in of_cell:
            self._left.remove(outline)
            try:
                found.append(engine.adopt(outline.id))
            except NbtasksError as problem:
                _log.debug("run %s could not be replaced: %s", outline.id, problem)
        _replace([batch for batch in found if not batch.done], keeps_both)

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


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _reason_to_keep(batch: Ledger, names: set[str]) -> str:
    """Return why a run is not replaced, as the end of a sentence; empty where it may be.

    Args:
        names: that have a handle of it, and keep it.
    """
    if names:
        return f", for `{min(names)}` has its handle"
    return ", for somebody waits for it" if is_awaited(batch) else ""


def _replace(batches: Sequence[Ledger], keeps_both: str) -> None:
    """Revoke what has not started of earlier runs of a cell, and say what became of them.

    Args:
        keeps_both: what one says to have them go on.
    """
    replaced, revoked, left = [], 0, 0
    for batch in batches:
        before = batch.revoked_count
        try:
            batch.revoke(terminate=False, how="replaced: its cell was run again")
        except NbtasksError as problem:
            _log.debug("run %s could not be replaced: %s", batch.id, problem)
            continue
        goes_on = batch.n - batch.finished_count
        if batch.revoked_count > before:
            replaced.append(batch)
            revoked += batch.revoked_count - before
            left += goes_on
        elif goes_on:
            _say_it_goes_on(batch)
    if not replaced:
        return
    one, more = words.short_id(replaced[0].id), len(replaced) - 1
    which = f"run ({one})" if not more else f"runs ({one} and {more:,} more)"
    is_revoked = "is revoked" if revoked == 1 else "are revoked"
    goes_on_too = f", {left:,} {'goes' if left == 1 else 'go'} on" if left else ""
    say(
        f"This replaces the cell's earlier {which}: {words.calls(revoked)} had not started and {is_revoked}"
        f"{goes_on_too}. {keeps_both} would keep both."
    )


def _say_it_goes_on(batch: Ledger, reason: str = "") -> None:
    name, left = words.short_id(batch.id), batch.n - batch.finished_count
    say(
        f"The cell's earlier run ({name}) goes on with {words.calls(left)}{reason}; `%tasks cancel {name}` stops it."
    )
