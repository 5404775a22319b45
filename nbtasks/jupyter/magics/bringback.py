"""``%tasks attach``: runs of earlier sessions come back, each with its card where its cell is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nbtasks.client.app import App
from nbtasks.client.batches.wholeworkflow import shown_run
from nbtasks.jupyter.card import words
from nbtasks.jupyter.panel.runslist import runs_panel
from nbtasks.jupyter.whereabouts import cell_id

from .publish import say

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult
    from nbtasks.jupyter.card.display import Display
    from nbtasks.jupyter.card.exhibit import LiveExhibit
    from nbtasks.jupyter.panel.livepanel import LivePanel

    from .publish import Panels
    from .reruns import Reruns

    Handle = AsyncResult | GroupResult

#: Cards that are put into their cells.
_MOST_CARDS = 50


class Attached(list[Any]):
    """Handles that were brought back; as the last value of a cell it shows nothing, for cards and table do."""

    def _ipython_display_(self) -> None:
        pass


class Attaching:
    """Brings runs back in one shell.

    Args:
        act: does what a button in the table says.
    """

    def __init__(
        self,
        shell: Any,
        display: Display,
        reruns: Reruns,
        panels: Panels,
        act: Callable[[LivePanel, str, str], str],
    ) -> None:
        self._shell = shell
        self._display = display
        self._reruns = reruns
        self._panels = panels
        self._act = act
        #: Runs that were brought back already, by their ids.
        self._back: dict[str, list[Handle]] = {}

    def cards(self, handles: list[Handle]) -> list[Handle]:
        """Show these runs as cards, here."""
        for handle in handles:
            self._display.show(handle)
        if not handles:
            say("There are no earlier runs in this namespace, or their results have expired.")
        return Attached(handles)

    def unfinished(self) -> list[Handle]:
        """Bring back what earlier sessions of this notebook have left unfinished."""
        app = App.current()
        outlines = self._reruns.earlier()
        handles = [handle for back in self._back.values() for handle in back if not handle.batch.done]
        if not outlines and handles:
            return Attached(handles)
        if not outlines:
            say(
                "No earlier session of this notebook has left a run that goes on. `%tasks all` lists what there is; "
                "`%tasks attach ID` brings one back."
            )
            return Attached()
        placed: dict[str, Handle] = {}
        batches, there = [], set[str]()
        for outline in outlines:
            run = shown_run(app.attach(outline.id)[0].batch).id
            if run in there:
                # Another step of a workflow, which is one run.
                continue
            there.add(run)
            of_batch = app.attach(run)
            self._back[outline.id] = of_batch
            handles += of_batch
            batches.append(of_batch[0].batch)
            cell = cell_id(outline.label.submitter.cell)
            if outline.label.shown and cell and cell not in placed and len(placed) < _MOST_CARDS:
                # Of one cell the newest run: they come in that order.
                placed[cell] = of_batch[0]
        batches.reverse()
        panel = self._panels.show(lambda: runs_panel(batches, time.time()), self._act)
        if panel is not None:
            panel.on_first_look = lambda: self._place(panel, placed)
        say(_said(batches, places=panel is not None))
        return Attached(handles)

    def _place(self, panel: LivePanel, placed: dict[str, Handle]) -> None:
        """Have the page put cards into their cells; those whose cell is not there have a button in the table."""
        lives: dict[str, LiveExhibit] = {}
        items = []
        for cell, handle in placed.items():
            live = self._display.make_apart(handle)
            if live is not None:
                data, metadata = live.bundle()
                lives[live.widget.model_id] = live
                items.append({"cell": cell, "card": live.widget.model_id, "data": data, "metadata": metadata})

        def on_placed(card: str, is_there: bool) -> None:
            live = lives.pop(card, None)
            if live is None:
                return
            if is_there:
                self._display.follow_apart(live)
            else:
                live.widget.close()

        panel.on_placed = on_placed
        if items:
            panel.tell({"k": "place", "cards": items})


def _said(batches: Iterable[Ledger], *, places: bool) -> str:
    names = sorted({words.one_line(batch.title, 60) for batch in batches})
    shown = ", ".join(f"'{name}'" for name in names[:5]) + (", ..." if len(names) > 5 else "")
    cards = (
        "a card stands where its cell is in this notebook"
        if places
        else "`%tasks attach ID` shows the card of one"
    )
    return f"Brought back: {shown}. `back = %tasks attach` has the handles; {cards}."
