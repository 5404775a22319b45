"""What is shown when: at a submit, for a handle at the end of a cell, after a wait, at the end of a cell.

One card a run: a handle whose card this cell has shown already shows nothing more.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from nbtasks.client import observers
from nbtasks.client.batches.wholeworkflow import shown_run
from nbtasks.client.canvas.spread import SpreadResult
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.client.runs.runlist import RunList
from nbtasks.jupyter.frontend import (
    has_kernel,
    is_captured,
    is_watched,
    running_cell,
    takes_updates_of_threads,
)

from . import saved
from .card import Card
from .exhibit import Exhibit, LiveExhibit, Snapshots
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbtasks.client.batches.ledger import Ledger

    Handle = AsyncResult | GroupResult

_log = logging.getLogger("nbtasks")
#: Ended cards that live on, the newest: with their buttons, and for a page that is reloaded.
_KEPT_CARDS = 50
_COMPLETE_WITHIN_S = 1.0


class Lists(Protocol):
    """Shows many runs as one list: runs/cellruns.py."""

    def gather(self, handle: Handle) -> bool:
        """Take in what the cell has submitted; returns whether a list shows it, so that it needs no card."""
        ...

    def show(self, runs: RunList) -> None:
        """Show handles as one list, in the cell that runs now."""
        ...

    def saw(self, batch: Ledger) -> None:
        """Bring the lists that have ``batch``, which has ended, up to date."""
        ...

    def reopened(self, batch: Ledger) -> None:
        """Have the lists go on that have ``batch``, of which calls were submitted again."""
        ...

    def update_stills(self) -> None:
        """Bring all lists up to date that do not live by themselves."""
        ...

    def cell_ended(self) -> None:
        """The same, and no list begins any more with what the cell has submitted."""
        ...


class Display:
    """The cards of one shell."""

    def __init__(self, shell: Any, lists: Callable[[Any, Display], Lists]) -> None:
        self._shell = shell
        self._writer = Writer()
        self._exhibits: dict[str, Exhibit] = {}
        #: The cell that ran last, and the batches that have been shown in it, with their exhibits.
        self._shown: tuple[str, dict[str, Exhibit | None]] = ("", {})
        self._runs = lists(shell, self)
        self._ended: deque[Exhibit] = deque()
        self._undo: list[Callable[[], None]] = []
        self._preview = True

    @property
    def writer(self) -> Writer:
        """Keeps everything that lives up to date."""
        return self._writer

    # -- attached to the shell

    def attach(self) -> None:
        """Show handles and maps from now on."""
        formatter = self._shell.display_formatter.ipython_display_formatter
        kinds: list[tuple[Any, Callable[[Any], None]]] = [
            (AsyncResult, self.show_handle),
            (GroupResult, self.show_handle),
            (RunList, self._show_runs),
            (list, self._show_list),
        ]
        for kind, show in kinds:
            formatter.for_type(kind, show)
            self._undo.append(functools.partial(formatter.pop, kind, None))
        self._undo.append(observers.on_show(self._asked_for))
        self._undo.append(observers.on_submit(self._submitted))
        self._undo.append(observers.on_reopened(self._reopened))
        self._undo.append(observers.on_waited(self._waited))
        if not takes_updates_of_threads(self._shell):
            self._undo.append(observers.on_waiting(self._waiting))
        self._shell.events.register("post_run_cell", self._cell_ended)
        self._undo.append(lambda: self._shell.events.unregister("post_run_cell", self._cell_ended))

    def detach(self) -> None:
        """Show nothing new; cards that live go on."""
        while self._undo:
            self._undo.pop()()

    # -- showing

    @contextlib.contextmanager
    def without_preview(self) -> Iterator[None]:
        """Leave the result out of the saved cards of what is submitted here: the cell shows it itself."""
        self._preview = False
        try:
            yield
        finally:
            self._preview = True

    def hush(self, batch: Ledger) -> None:
        """Show no card of ``batch`` in the cell that runs now, not even as its Out[n]."""
        self._shown_now()[shown_run(batch).id] = None

    def _shown_now(self) -> dict[str, Exhibit | None]:
        """Return the ids of what has been shown in the cell that runs now, with what shows it."""
        cell = running_cell(self._shell)
        if self._shown[0] != cell:
            self._shown = (cell, {})
        return self._shown[1]

    def show(self, handle: Handle) -> None:
        """Show the card of ``handle`` in the cell that runs now."""
        batch = run_of_handle(handle)
        self._shown_now()[batch.id] = None
        if not has_kernel(self._shell):
            sys.stdout.write(self.line(batch) + "\n")
            return
        exhibit = self._exhibits.get(batch.id)
        if exhibit is not None and not exhibit.finished and not is_captured(self._shell):
            exhibit.show()
        else:
            exhibit = self._show_new(handle, preview=self._preview)
        self._shown_now()[batch.id] = exhibit

    def displace(self, batch: Ledger) -> str | None:
        """Take the card of a batch away from the cell that runs now; returns its output's display id, if any."""
        run_id = shown_run(batch).id
        exhibit = self._shown_now().get(run_id)
        if exhibit is None:
            return None
        self._shown_now()[run_id] = None
        place = exhibit.give_up_place()
        self._forget_if_finished(run_id)
        return place

    def _show_runs(self, runs: RunList) -> None:
        """Show a list that stands at the end of a cell, where the cell has not shown it already."""
        if not has_kernel(self._shell):
            raise NotImplementedError
        shown = self._shown_now()
        names = [str(id(runs)), *(run.id for run in runs.runs)]
        if not all(name in shown for name in names[1:]) and names[0] not in shown:
            try:
                self._runs.show(runs)
            except (Exception, SystemExit) as problem:
                _log.debug("a list could not be shown", exc_info=True)
                raise NotImplementedError from problem
        shown.update(dict.fromkeys(names, None))

    def _show_list(self, value: list[Any]) -> None:
        """Show a list of handles as one, where it stands at the end of a cell."""
        own = getattr(type(value), "_ipython_display_", None)
        if own is not None:
            own(value)
        elif value and all(isinstance(one, (AsyncResult, GroupResult)) for one in value):
            self._show_runs(RunList(value))
        else:
            raise NotImplementedError

    def _asked_for(self, what: Handle | RunList) -> bool:
        """Show what somebody wants to see; returns whether there is a page for it."""
        if not has_kernel(self._shell):
            return False
        # Outputs of other threads have no cell of their own.
        if threading.current_thread() is threading.main_thread():
            if isinstance(what, RunList):
                self._show_runs(what)
            elif isinstance(what, AsyncResult) and what.batch.kind != "call":
                self._show_runs(RunList([what]))
            else:
                self.show_handle(what)
        return True

    def show_handle(self, handle: Handle) -> None:
        """Show a handle that stands at the end of a cell or in ``display()``.

        Raises:
            NotImplementedError: IPython's way to say that the repr is to be shown.
        """
        if isinstance(handle, SpreadResult) and handle.whole is None:
            self._show_runs(RunList(handle.members()))
            return
        batch = run_of_handle(handle)
        is_of_many = isinstance(handle, AsyncResult) and handle.batch.kind != "call"
        if not has_kernel(self._shell) or is_of_many:
            raise NotImplementedError
        if batch.id in self._shown_now():
            return
        try:
            self.show(handle)
        except (Exception, SystemExit) as problem:
            _log.debug("a card could not be shown", exc_info=True)
            raise NotImplementedError from problem

    def line(self, batch: Ledger) -> str:
        """Return the card as a line of text."""
        card = Card(batch)
        try:
            return saved.text(card.view())
        finally:
            card.close()

    def saw(self, batch: Ledger) -> None:
        """Bring the outputs of ``batch``, which has ended, up to date now, on this thread, where nobody watches."""
        wait_until_complete(batch)
        self._runs.saw(batch)
        run_id = shown_run(batch).id
        exhibit = self._exhibits.get(run_id)
        if exhibit is None:
            return
        if type(exhibit) is Exhibit:
            exhibit.update()
            self._forget_if_finished(run_id)
        else:
            self._writer.note(lambda: None)  # the tick that follows comes at once

    def _show_new(self, handle: Handle, *, preview: bool) -> Exhibit:
        batch = run_of_handle(handle)
        if not self.is_live() or is_captured(self._shell):
            exhibit = Exhibit(self._shell, handle, preview=preview)
            exhibit.show()
            self._exhibits[batch.id] = exhibit
            self._forget_if_finished(batch.id)
            return exhibit
        live = self._live(handle, preview=preview)
        live.show()
        self._follow(live)
        return live

    def is_live(self) -> bool:
        """Whether somebody watches, on a page that shows what the writer's thread sends."""
        return is_watched(self._shell) and takes_updates_of_threads(self._shell)

    def _follow(self, live: LiveExhibit | Snapshots) -> None:
        self._exhibits[live.card.batch.id] = live
        self._writer.follow(_UntilFinished(live, self._finished))

    def _live(self, handle: Handle, *, preview: bool) -> LiveExhibit | Snapshots:
        try:
            exhibit = LiveExhibit(self._shell, handle, self._writer, preview=preview)
        except ImportError:
            return Snapshots(self._shell, handle, preview=preview)
        return exhibit

    # -- told by the client and by the shell

    def _submitted(self, handle: Handle, batch: Ledger) -> None:
        # Outputs of other threads have no cell of their own.
        if threading.current_thread() is threading.main_thread() and not self._runs.gather(handle):
            self.show(handle)

    def _waited(self, batch: Ledger) -> None:
        self.saw(batch)

    def _reopened(self, batch: Ledger) -> None:
        """Have the cards and lists go on that this batch has on show."""
        self._runs.reopened(batch)
        run = shown_run(batch)
        exhibit = self._exhibits.get(run.id)
        if exhibit is not None:
            exhibit.card.stopping = False
        for ended in [one for one in list(self._ended) if one.card.batch in (batch, run)]:
            self._ended.remove(ended)
            ended.reopen()
            self._exhibits[run.id] = ended
            if isinstance(ended, LiveExhibit | Snapshots):
                self._writer.note(functools.partial(self._goes_on, ended))

    def _goes_on(self, exhibit: LiveExhibit | Snapshots) -> None:
        if isinstance(exhibit, LiveExhibit):
            exhibit.bring_back()
        self._follow(exhibit)

    def _waiting(self, batch: Ledger) -> None:
        exhibit = self._exhibits.get(shown_run(batch).id)
        if exhibit is not None and threading.current_thread() is threading.main_thread():
            exhibit.update()
        if threading.current_thread() is threading.main_thread():
            self._runs.update_stills()

    def _cell_ended(self, *_: Any) -> None:
        try:
            self._update_stills()
        except (Exception, SystemExit):  # noqa: BLE001 - as an observer that breaks
            # IPython would print it into a cell that has nothing to do with it.
            _log.debug("a card could not be updated", exc_info=True)

    def _update_stills(self) -> None:
        self._runs.cell_ended()
        if self.is_live():
            return
        for batch_id, exhibit in list(self._exhibits.items()):
            exhibit.update()
            self._forget_if_finished(batch_id)

    # -- told by the writer, on its thread

    def _finished(self, exhibit: LiveExhibit | Snapshots) -> None:
        if self._exhibits.get(exhibit.card.batch.id) is exhibit:
            self._exhibits.pop(exhibit.card.batch.id)
        if isinstance(exhibit, LiveExhibit):
            exhibit.let_go()
        self._keep_ended(exhibit)

    def show_below(self, cell: Any, handle: Handle) -> None:
        """Show a card as one more output of the cell that a request has run, even if that has ended."""
        live = self._live(handle, preview=True)
        if isinstance(live, LiveExhibit):
            live.show_below(cell)
            self._follow(live)

    def make_apart(self, handle: Handle) -> LiveExhibit | None:
        """Return a live card that is shown nowhere yet; None where there are none."""
        live = self._live(handle, preview=True)
        return live if isinstance(live, LiveExhibit) else None

    def follow_apart(self, live: LiveExhibit) -> None:
        """Keep such a card up to date: a page has put it into a cell."""
        self._follow(live)

    def _forget_if_finished(self, batch_id: str) -> None:
        exhibit = self._exhibits.get(batch_id)
        if exhibit is not None and exhibit.finished:
            self._exhibits.pop(batch_id, None)
            self._keep_ended(exhibit)

    def _keep_ended(self, exhibit: Exhibit) -> None:
        batch = exhibit.card.batch
        can_go_on = isinstance(exhibit, LiveExhibit) or batch.failed_count or batch.revoked_count
        if exhibit in self._ended or not can_go_on:
            return
        self._ended.append(exhibit)
        while len(self._ended) > _KEPT_CARDS:
            self._ended.popleft().retire()


def run_of_handle(handle: Handle) -> Any:
    """Return what the card of a handle shows."""
    batch = handle.whole if isinstance(handle, SpreadResult) else handle.batch
    return shown_run(batch)  # type: ignore[arg-type]


def wait_until_complete(batch: Ledger) -> None:
    """Wait for the record of a batch whose last call is ready: that can be so some instructions before."""
    batch.wait_for(lambda: batch.ended_at is not None, _COMPLETE_WITHIN_S)


class _UntilFinished:
    """Ticks an exhibit, and tells when that was its last."""

    def __init__(self, exhibit: LiveExhibit | Snapshots, finished: Callable[[Any], None]) -> None:
        self._exhibit = exhibit
        self._finished = finished

    def tick(self, now: float) -> bool:
        goes_on = self._exhibit.tick(now)
        if not goes_on:
            self._finished(self._exhibit)
        return goes_on
