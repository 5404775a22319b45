"""``%tasks``: what was submitted, one card again, cancel, retry, earlier runs."""

from __future__ import annotations

import difflib
import time
from typing import TYPE_CHECKING, Any

from nbtasks.client.app import App
from nbtasks.core.errors import UnknownCall
from nbtasks.jupyter.card import words

from .debugline import debug
from .flags import MagicParser, OptionError, count, split_words
from .panels import tasks_panel
from .publish import say, show_panel

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult
    from nbtasks.jupyter.card.display import Display

    from .reruns import Reruns

    Handle = AsyncResult | GroupResult

USAGE = (
    "%tasks | %tasks ID|NAME | %tasks cancel ID|NAME|all|earlier | %tasks retry ID|NAME|failed "
    "| %tasks debug ID|NAME[:INDEX] | %tasks attach [ID|--last N]"
)
SUBCOMMANDS = ("attach", "cancel", "debug", "retry")
ATTACH = MagicParser("%tasks attach")
ATTACH.add_argument("ids", nargs="*")
ATTACH.add_argument("--last", type=count, metavar="N")
#: How many of the newest runs are looked through for the end of an id.
_LOOK_BACK = 50


class Tasks:
    """Does what ``%tasks`` asks for in one shell."""

    def __init__(self, shell: Any, display: Display, reruns: Reruns) -> None:
        self._shell = shell
        self._display = display
        self._reruns = reruns

    def run(self, line: str) -> Any:
        """Run ``%tasks LINE``."""
        words_given = split_words(line)
        if not words_given:
            return self._list()
        command, rest = words_given[0], words_given[1:]
        if command == "attach":
            return self._attach(rest)
        if command == "cancel":
            return self._cancel(_one(command, rest, "ID|NAME|all|earlier"))
        if command == "debug":
            return debug(self._shell, _one(command, rest, "ID|NAME[:INDEX]"), _required)
        if command == "retry":
            return self._retry(_one(command, rest, "ID|NAME|failed"))
        return self._card(line.strip())

    def _list(self) -> None:
        app = App.current()
        listed = app.batches()
        quiet = sum(
            batch.n - batch.finished_count for batch in app.batches(quiet=True) if batch not in listed
        )
        show_panel(self._shell, tasks_panel(listed, time.time(), quiet))

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
        left = sum(batch.n - batch.finished_count for batch in batches)
        for batch in batches:
            batch.revoke(terminate=True, how="cancelled by %tasks cancel")
        say(f"Revoked {words.calls(left)} of {len(batches)} run{'' if len(batches) == 1 else 's'}.")

    def _retry(self, name: str) -> Any:
        if name != "failed":
            return _required(name).retry_failed()
        failed = [batch for batch in App.current().batches() if batch.done and batch.failed_count]
        if not failed:
            raise OptionError("no run of this session has failed calls")
        return failed[-1].retry_failed()

    def _attach(self, rest: list[str]) -> list[Handle]:
        given = ATTACH.parse_args(rest)
        app = App.current()
        named = [_attached(app, name) for name in given.ids]
        handles = named or app.attach(last=given.last)
        for handle in handles:
            self._display.show(handle)
        if not handles:
            say("There are no earlier runs in this namespace, or their results have expired.")
        return handles


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
    near = difflib.get_close_matches(name.split(maxsplit=1)[0], SUBCOMMANDS, 1, 0.6)
    hint = f"did you mean `%tasks {near[0]}`? " if near else ""
    return f"{name!r} is neither a subcommand nor a run of this session; {hint}Usage: {USAGE}"
