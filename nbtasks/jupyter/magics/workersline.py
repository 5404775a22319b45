"""``%workers``: who works for this notebook; start, stop and read the log of local ones."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

from nbtasks.client.app import App
from nbtasks.client.batches.shown import which_call
from nbtasks.client.control import typedwords
from nbtasks.core.errors import NbtasksError
from nbtasks.core.workeroptions import POOLS
from nbtasks.jupyter.card import words
from nbtasks.jupyter.panel.workerslist import workers_panel

from .flags import MagicParser, OptionError, count, near_subcommand, split_words
from .publish import Panels, say

if TYPE_CHECKING:
    from nbtasks.jupyter.card.display import Display
    from nbtasks.jupyter.panel.livepanel import LivePanel
    from nbtasks.jupyter.panel.table import Panel
    from nbtasks.local.processes.workers import LocalWorkers

    from .reruns import Reruns

#: Runs of others among which the names of running calls are looked for, newest.
_MOST_LOOKED_AT = 200
USAGE = (
    "%workers | %workers start [N] [-q QUEUE,..] [-P prefork|threads|solo] [--threads N] [--name NAME] "
    "[--env NAME=VALUE] [--max-tasks-per-child N] [--max-memory-per-child KIB] [--keep] | "
    "%workers stop [--now] | %workers scale N | %workers restart [--now] | %workers connect URL|FILE | "
    "%workers logs [-n LINES] | %workers status | %workers inspect WORD [ID..] | %workers control WORD [ARGUMENT..] "
    "(each with [-d NAME,..] [--pattern GLOB] [--json]) | "
    "%workers invite [--listen [HOST:PORT]] [--host NAME] [--file FILE] [--show] | %workers uninvite"
)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _start_parser() -> MagicParser:
    parser = MagicParser("%workers start")
    parser.add_argument("n", nargs="?", type=count)
    # As for `nbtasks worker`.
    parser.add_argument("-c", "--concurrency", type=count)
    parser.add_argument("-q", "-Q", "--queues", default="default")
    parser.add_argument("-P", "--pool", choices=POOLS, default="prefork")
    parser.add_argument("--threads", type=count, default=32)
    parser.add_argument("--name")
    parser.add_argument("--env", action="append", type=_setting, default=[])
    parser.add_argument("--max-tasks-per-child", type=count)
    parser.add_argument("--max-memory-per-child", type=count)
    parser.add_argument("--keep", action="store_true")
    return parser


def _now_parser(command: str) -> MagicParser:
    parser = MagicParser(f"%workers {command}")
    parser.add_argument("--now", action="store_true")
    return parser


def _scale_parser() -> MagicParser:
    parser = MagicParser("%workers scale")
    parser.add_argument("n", type=count)
    return parser


def _connect_parser() -> MagicParser:
    parser = MagicParser("%workers connect")
    parser.add_argument("where", metavar="URL|FILE")
    return parser


def _logs_parser() -> MagicParser:
    parser = MagicParser("%workers logs")
    parser.add_argument("-n", "--lines", type=count, default=50)
    return parser


def _whom_parser(command: str) -> MagicParser:
    parser = MagicParser(f"%workers {command}")
    if command != "status":
        # Where there is none, that is said with the words that there are.
        parser.add_argument("word", metavar="WORD", nargs="?", default="")
        parser.add_argument("rest", nargs="*")
    parser.add_argument("-d", "--destination", action="append", default=[])
    parser.add_argument("--pattern")
    parser.add_argument("-t", "--timeout", type=float, default=1.0)
    parser.add_argument("-j", "--json", action="store_true")
    if command == "control":
        parser.add_argument("--cold", action="store_true")
    return parser


def _invite_parser() -> MagicParser:
    parser = MagicParser("%workers invite")
    parser.add_argument("--listen", nargs="?", const=True, default=False)
    parser.add_argument("--host")
    parser.add_argument("--file")
    parser.add_argument("--show", action="store_true")
    return parser


PARSERS = {
    "start": _start_parser(),
    "stop": _now_parser("stop"),
    "scale": _scale_parser(),
    "restart": _now_parser("restart"),
    "connect": _connect_parser(),
    "logs": _logs_parser(),
    "status": _whom_parser("status"),
    "inspect": _whom_parser("inspect"),
    "control": _whom_parser("control"),
    "invite": _invite_parser(),
    "uninvite": MagicParser("%workers uninvite"),
}
SUBCOMMANDS = tuple(PARSERS)


def long_options(command: str) -> list[str]:
    """Return the long options of a subcommand."""
    parser = PARSERS.get(command)
    actions = parser._actions if parser is not None else ()
    return sorted(action.option_strings[-1] for action in actions if action.option_strings)


class WorkersLine:
    """Does what ``%workers`` asks for in one shell."""

    def __init__(self, shell: Any, display: Display, reruns: Reruns) -> None:
        self._reruns = reruns
        self._panels = Panels(shell, display)

    def run(self, line: str) -> None:
        """Run ``%workers LINE``."""
        command, *rest = split_words(line) or [""]
        if not command:
            self._panels.show(_look, self._act)
        elif command == "start":
            self._start(rest)
        elif command == "stop":
            self._stop(rest)
        elif command == "scale":
            n = PARSERS["scale"].parse_args(rest).n
            say(_scale(n))
        elif command == "restart":
            say(_restart(cold=PARSERS["restart"].parse_args(rest).now))
        elif command == "connect":
            self._connect(PARSERS["connect"].parse_args(rest).where)
        elif command == "logs":
            self._logs(rest)
        elif command in {"status", "inspect", "control"}:
            say(_ask_or_tell(command, PARSERS[command].parse_args(rest)))
        elif command == "invite":
            self._invite(rest)
        elif command == "uninvite":
            self._uninvite(rest)
        else:
            hint = near_subcommand("%workers", command, SUBCOMMANDS)
            raise OptionError(f"%workers knows no {command!r}; {hint}Usage: {USAGE}")

    def _start(self, rest: list[str]) -> None:
        given = PARSERS["start"].parse_args(rest)
        queues = [queue.strip() for queue in given.queues.split(",") if queue.strip()]
        if given.n and given.concurrency:
            raise OptionError("%workers start: N and -c both say how many: give one of them")
        n = given.n or given.concurrency
        app, began = App.current(), time.monotonic()
        app.start_workers(
            n,
            queues=queues,
            pool=given.pool,
            threads=given.threads,
            name=given.name,
            keep=given.keep,
            env=dict(given.env),
            max_tasks_per_child=given.max_tasks_per_child,
            max_memory_per_child=given.max_memory_per_child,
        )
        took = words.duration(time.monotonic() - began)
        options = app.local_workers.options
        number = options.concurrency if options else n or 1
        listens = ", ".join(options.queues if options else queues)
        say(f"{_ready(number)} ({took}), queue {listens}.")
        self._reruns.tell_earlier()

    def _stop(self, rest: list[str]) -> None:
        given = PARSERS["stop"].parse_args(rest)
        app = App.current()
        if not app.local_workers.running:
            say("No workers of this notebook are running.")
            return
        app.stop_workers(cold=given.now)
        say("Stopped." if given.now else "Stopped; running calls ended first.")

    def _connect(self, where: str) -> None:
        app = App(broker=where) if "://" in where else App(connection_file=where)
        try:
            workers = [worker for worker in app.workers() if worker.matches]
        except Exception:
            app.close()
            raise
        slots = sum(worker.slots_total for worker in workers)
        have = (
            f"{len(workers)} worker{'' if len(workers) == 1 else 's'} with {slots} slots"
            if workers
            else "no worker"
        )
        say(
            f"Calls go to {app.connection.address} from now on; {have} there. Earlier runs go on where they are."
        )

    def _act(self, panel: LivePanel, action: str, key: str) -> str:
        """Do what a button of the panel says."""
        workers = App.current().local_workers
        now = workers.options.concurrency if workers.options else 0
        if action == "more":
            return _scale(now + 1)
        if action == "fewer":
            return _scale(now - 1) if now > 1 else "One worker process is the least; `%workers stop` ends it."
        if action == "restart":
            return _restart(cold=False)
        if action == "log":
            return _log_of(workers, 50)
        return f"There is no action {action!r}."

    def _logs(self, rest: list[str]) -> None:
        given = PARSERS["logs"].parse_args(rest)
        say(_log_of(App.current().local_workers, given.lines))

    def _invite(self, rest: list[str]) -> None:
        given = PARSERS["invite"].parse_args(rest)
        say(str(App.current().invite(listen=given.listen, host=given.host, file=given.file, show=given.show)))

    def _uninvite(self, rest: list[str]) -> None:
        PARSERS["uninvite"].parse_args(rest)
        app = App.current()
        if app.listening() is None:
            say("The server does not listen for other machines on behalf of this notebook.")
            return
        app.uninvite()
        say("The server listens no more; earlier invitations are void.")


def _look() -> Panel:
    app = App.current()
    engine = app.engine
    workers = app.workers()
    running = {batch for worker in workers for batch, _, _ in worker.running}
    # Workers tell every few seconds what runs: a batch may have ended since then.
    own_batches = {id: batch for id in running if (batch := engine.registry.known(id)) is not None}
    others = engine.outlines(_MOST_LOOKED_AT) if running - own_batches.keys() else ()
    titles = {one.id: one.title for one in (*others, *own_batches.values())}

    def name_of(batch: str, index: int) -> str:
        title, ledger = titles.get(batch) or f"run {words.short_id(batch)}", own_batches.get(batch)
        which = f"#{index}" if ledger is None else which_call(ledger, index) if ledger.is_many else ""
        return words.one_line(f"{title} {which}", 80)

    own_worker = None
    with contextlib.suppress(NbtasksError):
        # Not every engine has workers that an App starts.
        own_worker = app.local_workers.worker_id
    return workers_panel(workers, time.time(), name_of, own_worker)


def _ask_or_tell(command: str, given: argparse.Namespace) -> str:
    """Do what is typed after these words, as in a shell; returns what the workers say."""
    names = [name.strip() for some in given.destination for name in some.split(",") if name.strip()]
    to: dict[str, Any] = {"destination": names or None, "pattern": given.pattern, "timeout": given.timeout}
    if command != "status" and not given.word:
        known = typedwords.ORDERS if command == "control" else typedwords.QUESTIONS
        raise OptionError(typedwords.needed(f"%workers {command}", known))
    try:
        return _answered(command, given, to)
    except typedwords.UnknownWord as error:
        raise OptionError(f"%workers {error}") from None


def _answered(command: str, given: argparse.Namespace, to: dict[str, Any]) -> str:
    control = App.current().control
    absent: list[str] = []
    if command == "control":
        if given.cold and given.word != "shutdown":
            raise OptionError("%workers control: --cold goes with shutdown")
        replies = typedwords.ordered(
            control, given.word, given.rest, {**to, "cold": True} if given.cold else to
        )
    else:
        word, rest = ("ping", ()) if command == "status" else (given.word, given.rest)
        inspect = control.inspect(**to)
        replies = typedwords.asked(inspect, word, rest)
        absent = inspect.absent
    if given.json:
        return json.dumps(replies, default=repr)
    if not replies and command == "control" and given.word in {"revoke", "terminate"}:
        return "Revoked."
    lines = [
        typedwords.shown(name, reply, given.timeout, absent=name in absent) for name, reply in replies.items()
    ]
    return "\n".join(lines) or "No worker is there that could answer; `%workers start` starts some."


def _scale(n: int) -> str:
    """Have so many of the local workers that there are; with default options where there are none."""
    app = App.current()
    options = app.local_workers.options
    if options is None:
        app.start_workers(n)
    else:
        app.local_workers.begin(dataclasses.replace(options, concurrency=n))
        app.local_workers.wait()
    return f"{_ready(n)}."


def _restart(*, cold: bool) -> str:
    """Replace the local workers by new ones with the same options."""
    workers = App.current().local_workers
    options = workers.options
    if options is None:
        raise OptionError("no workers of this notebook are running; `%workers start` starts some")
    workers.stop(cold)
    workers.begin(options)
    workers.wait()
    return f"{_ready(options.concurrency)}, all of them new."


def _ready(n: int) -> str:
    return f"{n} worker process{'' if n == 1 else 'es'} ready"


def _log_of(workers: LocalWorkers, lines: int) -> str:
    return workers.log_tail(lines) or "The log is empty: workers write what goes wrong."
