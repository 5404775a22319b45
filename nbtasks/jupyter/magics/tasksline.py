"""``%tasks``: what was submitted, one card again, cancel, retry, output, earlier runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtasks.client.app import App
from nbtasks.client.batches.shown import which_call
from nbtasks.core.errors import UnknownCall
from nbtasks.jupyter.card import words
from nbtasks.jupyter.panel.runslist import everybodys_panel, runs_panel

from .bringback import Attaching
from .debugline import debug
from .flags import MagicParser, OptionError, count, near_subcommand, split_words
from .publish import Panels, say
from .scheduleline import ScheduleLine

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult
    from nbtasks.jupyter.card.display import Display
    from nbtasks.jupyter.panel.livepanel import LivePanel
    from nbtasks.jupyter.panel.table import Panel

    from .reruns import Reruns

    Handle = AsyncResult | GroupResult

USAGE = (
    "%tasks [all] | %tasks ID|NAME | %tasks cancel ID|NAME|all|earlier | %tasks retry ID|NAME|failed "
    "| %tasks debug ID|NAME[:INDEX] | %tasks logs ID|NAME | %tasks attach [ID ...|--last N] "
    "| %tasks schedule [[run|pause|resume|remove] NAME]"
)
SUBCOMMANDS = ("all", "attach", "cancel", "debug", "logs", "retry", "schedule")
ATTACH = MagicParser("%tasks attach")
ATTACH.add_argument("ids", nargs="*")
ATTACH.add_argument("--last", type=count, metavar="N")
#: How many of the newest runs are looked through for the end of an id.
_LOOK_BACK = 50
#: Runs that `%tasks all` lists, and characters of output that are shown at once.
_MOST_LISTED = 100
_MOST_OUTPUT = 20_000


class TasksLine:
    """Does what ``%tasks`` asks for in one shell."""

    def __init__(self, shell: Any, display: Display, reruns: Reruns) -> None:
        self._shell = shell
        self._display = display
        self._reruns = reruns
        self._panels = Panels(shell, display)
        self._attaching = Attaching(shell, display, reruns, self._panels, self._act)

    def run(self, line: str) -> Any:
        """Run ``%tasks LINE``."""
        command, *rest = split_words(line) or [""]
        if not command:
            self._panels.show(_this_session, self._act)
            return None
        if command == "all" and not rest:
            self._panels.show(_everybody, self._act)
            return None
        known: dict[str, Callable[[list[str]], Any]] = {
            "attach": self._attach,
            "cancel": lambda rest: self._cancel(_one(command, rest, "ID|NAME|all|earlier")),
            "retry": lambda rest: self._retry(_one(command, rest, "ID|NAME|failed")),
            "debug": lambda rest: debug(self._shell, _one(command, rest, "ID|NAME[:INDEX]"), _required),
            "schedule": ScheduleLine(self._panels).run,
            "logs": lambda rest: say(_output_of(_required(_one(command, rest, "ID|NAME")))),
        }
        return known[command](rest) if command in known else self._card(line.strip())

    def _card(self, name: str) -> None:
        batch = _find(name)
        if batch is None:
            raise OptionError(_unknown(name))
        self._display.show(_handle_of(batch))

    def _cancel(self, name: str) -> None:
        app = App.current()
        if name == "earlier":
            batches = [app.engine.adopt(one.id) for one in self._reruns.earlier()]
        elif name == "all":
            batches = [batch for batch in app.batches(quiet=True) if not batch.done]
        else:
            batches = [_required(name)]
        say(_revoked(batches, "cancelled by %tasks cancel"))

    def _retry(self, name: str) -> Any:
        if name != "failed":
            return _retried(_required(name))
        failed = [batch for batch in App.current().batches() if batch.done and batch.failed_count]
        if not failed:
            raise OptionError("no run of this session has failed calls")
        return _retried(failed[-1])

    def _attach(self, rest: list[str]) -> list[Handle]:
        given = ATTACH.parse_args(rest)
        if not given.ids and given.last is None:
            return self._attaching.unfinished()
        app = App.current()
        named = [_attached(app, name) for name in given.ids]
        return self._attaching.cards(named or app.attach(last=given.last))

    def _act(self, panel: LivePanel, action: str, key: str) -> str:
        """Do what a button of a panel says; ``key`` is the id of a batch."""
        app = App.current()
        batch = app.engine.adopt(key)
        if action == "cancel":
            return _revoked([batch], "cancelled in the list of tasks")
        if action == "logs":
            return _output_of(batch)
        if action == "retry":
            batch.retry_failed()
            return f"The failed calls of {words.short_id(batch.id)} run again."
        if action == "card":
            handle = _handle_of(batch)
            self._display.writer.note(lambda: self._display.show_below(panel.cell, handle))
            return f"The card of {words.short_id(batch.id)} is below."
        return f"There is no action {action!r}."


def _this_session() -> Panel:
    app = App.current()
    listed = app.batches()
    ids = {batch.id for batch in listed}
    quiet = sum(batch.n - batch.finished_count for batch in app.batches(quiet=True) if batch.id not in ids)
    return runs_panel(listed, time.time(), quiet)


def _everybody() -> Panel:
    app = App.current()
    app.engine.flush()
    known = {batch.id: batch for batch in app.batches(quiet=True)}
    return everybodys_panel(app.engine.outlines(_MOST_LISTED), known, time.time())


def _revoked(batches: list[Ledger], how: str) -> str:
    left = sum(batch.n - batch.finished_count for batch in batches)
    for batch in batches:
        batch.revoke(terminate=True, how=how)
    return f"Revoked {words.calls(left)} of {len(batches)} run{'' if len(batches) == 1 else 's'}."


def _output_of(batch: Ledger) -> str:
    """Return what the calls of a batch have printed, the end of it."""
    lines = [
        (f"[{which_call(batch, line.index)}] " if batch.n > 1 else "") + words.plain(line.text, _MOST_OUTPUT)
        for line in list(batch.output)
    ]
    text = "\n".join(lines)
    if not text:
        return f"{words.short_id(batch.id)} has printed nothing."
    return text if len(text) <= _MOST_OUTPUT else "...\n" + text[-_MOST_OUTPUT:]


def _retried(batch: Ledger) -> Handle:
    """Submit the failed calls of a batch again; return its handle, whose card shows them."""
    batch.retry_failed()
    return _handle_of(batch)


def _one(command: str, rest: list[str], what: str) -> str:
    if not rest:
        raise OptionError(f"%tasks {command} needs {what}; `%tasks` lists the ids")
    return " ".join(rest)


def _find(name: str) -> Ledger | None:
    """Return the newest run of this session whose id begins or ends so, or that is called so."""
    for batch in reversed(App.current().batches(quiet=True)):
        if name in {batch.label, batch.name} or (len(name) >= 4 and batch.id.endswith(name)):
            return batch
    return None


def run_called(name: str) -> Handle | None:
    """Return the handle of the newest run of this session that has an id or is called so."""
    batch = _find(name)
    return None if batch is None else _handle_of(batch)


def _required(name: str) -> Ledger:
    batch = _find(name)
    if batch is None:
        raise OptionError(f"no run of this session has the id or the name {name!r}; `%tasks` lists them")
    return batch


def _attached(app: App, name: str) -> Handle:
    try:
        return app.attach(name)[0]
    except UnknownCall:
        # The cards show the end of an id.
        for handle in app.attach(last=_LOOK_BACK):
            if len(name) >= 4 and handle.id.endswith(name):
                return handle
        raise


def _handle_of(batch: Ledger) -> Handle:
    return App.current().attach(batch.id)[0]


def _unknown(name: str) -> str:
    hint = near_subcommand("%tasks", name.split(maxsplit=1)[0], SUBCOMMANDS)
    return f"{name!r} is neither a subcommand nor a run of this session; {hint}Usage: {USAGE}"
