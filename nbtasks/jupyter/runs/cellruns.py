"""Which runs of a cell share one list, and lists that are asked for.

A few runs have a card each. With one more than that, all of the cell's are in one list, where the first card was.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.loosecalls import LooseCalls
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.client.runs.runlist import RunList
from nbtasks.jupyter.frontend import has_kernel, is_captured, running_cell

from .onelist import LiveList, SnapshotList, StillList

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.loosecalls import Run
    from nbtasks.jupyter.card.display import Display

    Handle = AsyncResult | GroupResult

#: Runs of one cell that have a card each.
FEW = 3
#: Ended lists that live on, the newest.
_KEPT_LISTS = 20


@dataclasses.dataclass
class _OfCell:
    """What one cell has submitted so far: the first few runs, and the list once there is one."""

    cell: str = ""
    first: list[Ledger] = dataclasses.field(default_factory=list)
    list: StillList | None = None


class CellRuns:
    """The lists of one shell."""

    def __init__(self, shell: Any, display: Display) -> None:
        self._shell = shell
        self._display = display
        self._now = _OfCell()
        #: Lists that have not ended, where they do not live by themselves.
        self._stills: list[StillList] = []
        self._lives: deque[LiveList | SnapshotList] = deque()
        #: Of the others the newest that have ended with calls that may be submitted again.
        self._ended: deque[StillList] = deque(maxlen=_KEPT_LISTS)

    def gather(self, handle: Handle) -> bool:
        """Take in what the cell has submitted; returns whether a list shows it, so that it needs no card."""
        if not has_kernel(self._shell):
            return False
        cell = running_cell(self._shell)
        if self._now.cell != cell:
            self._now = _OfCell(cell)
        now = self._now
        if now.list is not None:
            now.list.add(handle.batch)
            self._follow(now.list)
            return True
        if len(now.first) < FEW:
            now.first.append(handle.batch)
            return False
        places = [self._display.displace(batch) for batch in now.first]
        now.list = self._made([*now.first, handle.batch])
        free = [place for place in places if place is not None]
        if free:
            now.list.take_place(free[0])
            for place in free[1:]:
                nothing = {"text/html": "", "text/plain": ""}
                self._shell.display_pub.publish(nothing, {}, transient={"display_id": place}, update=True)
        else:
            now.list.show()
        self._follow(now.list)
        return True

    def show(self, runs: RunList) -> None:
        """Show handles as one list, in the cell that runs now; one run has its card."""
        if not runs.runs:
            return
        if len(runs.runs) == 1:
            self._display.show(_handle_of(runs.runs[0]))
            return
        made = self._made(runs.runs)
        made.show()
        self._follow(made)

    def saw(self, batch: Ledger) -> None:
        """Bring the lists that have ``batch``, which has ended, up to date, where nobody watches."""
        for one in list(self._stills):
            if one.shows(batch):
                self._update(one)

    def reopened(self, batch: Ledger) -> None:
        """Have the lists go on that have ``batch``, of which calls were submitted again."""
        for live in self._lives:
            if live.shows(batch):
                # The writer may be about to say that it has ended.
                self._display.writer.note(functools.partial(self._go_on, live))
        for one in [*self._stills, *self._ended]:
            if one.shows(batch):
                if one in self._ended:
                    self._ended.remove(one)
                self._go_on(one)

    def _go_on(self, one: StillList) -> None:
        one.go_on()
        self._follow(one)

    def update_stills(self) -> None:
        """Bring all lists up to date that do not live by themselves."""
        for one in list(self._stills):
            self._update(one)

    def cell_ended(self) -> None:
        """The cell that ran is over: the runs in it are no longer held, for their values may be large."""
        self._now.first.clear()
        self.update_stills()

    def _update(self, one: StillList) -> None:
        one.update()
        if one.finished and one is not self._now.list:
            self._stills.remove(one)
            if one.can_go_on:
                self._ended.append(one)

    def _made(self, runs: list[Run]) -> StillList:
        if not self._display.is_live() or is_captured(self._shell):
            return StillList(self._shell, runs)
        live: LiveList | SnapshotList
        try:
            live = LiveList(self._shell, runs, self._display.writer)
        except ImportError:
            live = SnapshotList(self._shell, runs)
        self._lives.append(live)
        while len(self._lives) > _KEPT_LISTS:
            self._display.writer.note(self._lives.popleft().retire)
        return live

    def _follow(self, one: StillList) -> None:
        if isinstance(one, (LiveList, SnapshotList)):
            self._display.writer.follow(one)
        elif one not in self._stills:
            self._stills.append(one)


def _handle_of(run: Run) -> Handle:
    if isinstance(run, LooseCalls) or run.kind == "map":
        return GroupResult.of(run)  # type: ignore[arg-type]  # it is read as a ledger is
    return AsyncResult.of(run, 0)
