"""``%workers``: who works for this notebook; start, stop and read the log of local ones."""

from __future__ import annotations

import difflib
import shlex
import time
from typing import Any

from nbtasks.client.app import App
from nbtasks.core.options import POOLS

from . import words
from .options import MagicParser, OptionError
from .panels import workers_panel
from .publish import say, show_panel

USAGE = (
    "%workers | %workers start [N] [-q QUEUE,..] [-P prefork|threads|solo] [--threads N] [--name NAME] "
    "[--keep] | %workers stop [--now] | %workers logs [-n LINES] | "
    "%workers invite [--listen [HOST:PORT]] [--host NAME] [--file FILE] [--show] | %workers uninvite"
)
SUBCOMMANDS = ("start", "stop", "logs", "invite", "uninvite")


class Workers:
    """Does what ``%workers`` asks for in one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def run(self, line: str) -> None:
        """Run ``%workers LINE``."""
        command, *rest = shlex.split(line) or [""]
        if not command:
            show_panel(self._shell, workers_panel(App.current().workers(), time.time()))
        elif command == "start":
            self._start(rest)
        elif command == "stop":
            self._stop(rest)
        elif command == "logs":
            self._logs(rest)
        elif command == "invite":
            self._invite(rest)
        elif command == "uninvite":
            self._uninvite(rest)
        else:
            near = difflib.get_close_matches(command, SUBCOMMANDS, 1, 0.6)
            hint = f"did you mean `%workers {near[0]}`? " if near else ""
            raise OptionError(f"%workers knows no {command!r}; {hint}Usage: {USAGE}")

    def _start(self, rest: list[str]) -> None:
        parser = MagicParser(prog="%workers start", add_help=False, allow_abbrev=False)
        parser.add_argument("n", nargs="?", type=int)
        parser.add_argument("-q", "--queues", default="default")
        parser.add_argument("-P", "--pool", choices=POOLS, default="prefork")
        parser.add_argument("--threads", type=int, default=32)
        parser.add_argument("--name")
        parser.add_argument("--keep", action="store_true")
        given = parser.parse_args(rest)
        queues = [queue for queue in given.queues.split(",") if queue]
        app, began = App.current(), time.monotonic()
        app.start_workers(
            given.n, queues=queues, pool=given.pool, threads=given.threads, name=given.name, keep=given.keep
        )
        took = words.duration(time.monotonic() - began)
        options = app.local_workers.options
        count = options.concurrency if options else given.n or 1
        listens = ", ".join(options.queues if options else queues)
        say(f"{count} worker process{'' if count == 1 else 'es'} ready ({took}), queue {listens}.")

    def _stop(self, rest: list[str]) -> None:
        parser = MagicParser(prog="%workers stop", add_help=False, allow_abbrev=False)
        parser.add_argument("--now", action="store_true")
        given = parser.parse_args(rest)
        app = App.current()
        if not app.local_workers.running:
            say("No workers of this notebook are running.")
            return
        app.stop_workers(cold=given.now)
        say("Stopped." if given.now else "Stopped; running calls ended first.")

    def _logs(self, rest: list[str]) -> None:
        parser = MagicParser(prog="%workers logs", add_help=False, allow_abbrev=False)
        parser.add_argument("-n", "--lines", type=int, default=50)
        given = parser.parse_args(rest)
        workers = App.current().local_workers
        say(workers.log_tail(given.lines) or "The log is empty: workers write what goes wrong.")

    def _invite(self, rest: list[str]) -> None:
        parser = MagicParser(prog="%workers invite", add_help=False, allow_abbrev=False)
        parser.add_argument("--listen", nargs="?", const=True, default=False)
        parser.add_argument("--host")
        parser.add_argument("--file")
        parser.add_argument("--show", action="store_true")
        given = parser.parse_args(rest)
        say(str(App.current().invite(listen=given.listen, host=given.host, file=given.file, show=given.show)))

    def _uninvite(self, rest: list[str]) -> None:
        MagicParser(prog="%workers uninvite", add_help=False, allow_abbrev=False).parse_args(rest)
        app = App.current()
        if app.listening() is None:
            say("The server does not listen for other machines on behalf of this notebook.")
            return
        app.uninvite()
        say("The server listens no more; earlier invitations are void.")
