"""What ``nbtasks doctor`` looks at; each look returns what it found and, if that is wrong, what to do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbtasks.broker.carriers.carriage import parse_carrier
from nbtasks.broker.sqliteurl import is_sqlite, parse_sqlite
from nbtasks.core.address import PYTHON
from nbtasks.core.cpus import usable_cpus
from nbtasks.core.errors import NbtasksError
from nbtasks.local import connection as connections
from nbtasks.local.folder import state_folder
from nbtasks.local.keyfile import key_path
from nbtasks.local.server import brokerfile
from nbtasks.local.server.serverprogram import why_unavailable
from nbtasks.wire.signing import key_id

if TYPE_CHECKING:
    from nbtasks.client.app import App
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.brokerfacts import BrokerFacts

OK, NOTE, PROBLEM = "ok", "note", "problem"

OLDEST_PYTHON = (3, 10)
OLDEST_SERVER = (6, 2)
#: Servers that keep everything in memory, and how much that may be.
_IN_MEMORY = frozenset({"redis", "valkey"})
#: A round trip that takes longer makes small calls slow.
SLOW_S = 0.05
#: Bytes on the disk of a broker's file; one result may be larger.
_LITTLE_ROOM = 64 * 2**20
#: Deadlines are kept in the server's time, so this only makes times in logs hard to compare.
CLOCK_OFFSET_S = 5.0
#: A worker shows itself every few seconds.
SILENT_S = 30.0
#: The extra [jupyter], with the versions it asks for.
JUPYTER = {"ipykernel": (6, 29), "ipywidgets": (8, 1), "anywidget": (0, 9, 10)}
FRONTS = ("jupyterlab", "notebook")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report."""

    what: str
    status: str
    found: str
    #: What to do; empty where all is well.
    fix: str = ""


def examine(broker: str | None, file: str | None = None) -> Iterator[Finding]:
    """Look at everything, one after the other; never raises.

    Args:
        broker: a URL, or None for the one that an App without arguments would use.
        file: a connection file.
    """
    yield python()
    yield system()
    yield from guarded("state folder", folder)
    yield embedded(broker or file)
    yield from guarded("signing key", lambda: key(file))
    yield from guarded("broker", lambda: broker_and_workers(broker, file))
    yield from jupyter()


def guarded(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Turn an error of a look into its finding: the messages of nbtasks say what to do."""
    try:
        yield from look()
    except NbtasksError as error:
        yield Finding(what, PROBLEM, type(error).__name__, str(error))


def python() -> Finding:
    """Look at the interpreter and at nbtasks itself."""
    found = f"{platform.python_version()}, nbtasks {_version('nbtasks')}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", PROBLEM, found, "use Python 3.10 or later")
    return Finding("Python", OK, found)


def system() -> Finding:
    """Look at the platform."""
    found = f"{platform.system()} {platform.machine()}, {usable_cpus()} CPUs"
    if sys.platform == "win32":
        return Finding("platform", PROBLEM, found, "workers run on Linux and macOS: use Python in WSL")
    return Finding("platform", OK, found)


def folder() -> Iterator[Finding]:
    """Look at the state folder: owner and mode."""
    yield Finding("state folder", OK, str(state_folder()))


def embedded(named: str | None) -> Finding:
    """Look whether a server could be started here; without one, a URL must be given."""
    if brokerfile.is_wanted():
        return Finding("embedded server", OK, "a SQLite file in its place")
    reason = why_unavailable()
    if reason is None:
        return Finding("embedded server", OK, "available")
    named = named or os.environ.get(connections.BROKER_VARIABLE) or os.environ.get(connections.FILE_VARIABLE)
    return Finding("embedded server", NOTE if named else PROBLEM, "not available", reason)


def key(file: str | None) -> Iterator[Finding]:
    """Look at the signing key: where it comes from, whose it is, who may read it."""
    # Any URL does: only the key is looked at.
    found = connections.begin("redis://localhost", file=file)
    source = _key_source(file)
    keys = ", ".join(key_id(each) for each in found.connection.keys)
    yield Finding("signing key", OK, f"key {keys} from {source}")


def _key_source(file: str | None) -> str:
    if os.environ.get(connections.KEY_VARIABLE) and not file:
        return connections.KEY_VARIABLE
    path = file or os.environ.get(connections.FILE_VARIABLE) or str(key_path())
    return f"{path} (mode {stat.S_IMODE(Path(path).expanduser().stat().st_mode):o})"


def broker_and_workers(broker: str | None, file: str | None) -> Iterator[Finding]:
    """Look at the server, then at the workers that it knows."""
    # The client needs redis, which takes 100 ms: the first lines shall not wait for it.
    from nbtasks.client.app import App

    app = App("doctor", broker=broker, connection_file=file)
    try:
        facts = app.check()
        yield from server(facts, "-b" if broker else app.connection.source)
        if app.connection.carrier:
            yield Finding(
                "carrier", OK, f"{parse_carrier(app.connection.carrier).shown}, which brings calls to workers"
            )
        yield from guarded("writing", lambda: writing(app))
        yield from guarded("listening", lambda: listening(app))
        yield from guarded("workers", lambda: fleet(app))
    finally:
        app.close()


def _memory(facts: BrokerFacts) -> Finding:
    limit = f"{facts.maxmemory / 2**20:,.0f} MiB" if facts.maxmemory else "no limit"
    found = f"maxmemory-policy {facts.policy}, {limit}"
    if facts.policy != "noeviction" and facts.maxmemory:
        fix = "it may throw calls away when its memory is full: CONFIG SET maxmemory-policy noeviction"
        return Finding("broker memory", PROBLEM, found, fix)
    return Finding("broker memory", OK, found)


def server(facts: BrokerFacts, source: str) -> Iterator[Finding]:
    """Judge what is known of the server."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", facts.version)[:2])
    found = f"{facts.flavour} {facts.version} at {facts.address} ({source})"
    if numbers < OLDEST_SERVER and facts.flavour in _IN_MEMORY:
        yield Finding(
            "broker", PROBLEM, found, "nbtasks needs Redis 6.2 or later, or Valkey: update the server"
        )
    elif facts.read_only:
        yield Finding(
            "broker",
            PROBLEM,
            f"{found}, a replica that takes no writes",
            "name its primary in the URL instead",
        )
    else:
        yield Finding("broker", OK, found)
    if facts.flavour in _IN_MEMORY:
        yield _memory(facts)
    found = f"{facts.latency_s * 1000:.2f} ms a round trip"
    slow = "small calls will be slow: use map, which sends many at once" if facts.latency_s > SLOW_S else ""
    yield Finding("broker latency", NOTE if slow else OK, found, slow)
    if abs(facts.clock_offset_s) > CLOCK_OFFSET_S:
        found = f"{facts.clock_offset_s:+.0f} s from this machine's"
        yield Finding("broker clock", NOTE, found, "deadlines are kept; times in logs of two machines differ")


def writing(app: App) -> Iterator[Finding]:
    """Look whether the broker takes anything."""
    from nbtasks.client.engines.brokered.brokeredengine import BrokeredEngine

    engine, url = app.engine, app.connection.url
    problem = engine.write_problem() if isinstance(engine, BrokeredEngine) else None
    if problem is not None:
        yield Finding("writing", PROBLEM, "the broker takes nothing", problem)
    if is_sqlite(url):
        free = shutil.disk_usage(Path(parse_sqlite(url).path).parent).free
        if free < _LITTLE_ROOM:
            found = f"{free / 2**20:.1f} MiB are free on the disk of the broker's file"
            yield Finding(
                "disk", PROBLEM, found, "make room there: what does not fit is tried again all the time"
            )


def listening(app: App) -> Iterator[Finding]:
    """Look whether the embedded server lets other machines in; it does when it was asked to."""
    place = app.listening()
    if place is not None:
        found = f"the embedded server, on {place[0]} port {place[1]}, with TLS and a password"
        yield Finding("listening", OK, found)


def fleet(app: App) -> Iterator[Finding]:
    """Look at the workers of the namespace, queue by queue, and at calls that none of them takes."""
    workers = app.workers()
    for each in app.stranded():
        here = f"Python {PYTHON}, key {key_id(app.connection.keys[0])}"
        found = f"{each.entries} entries of queue {each.queue} need {each.needs}, and no worker has it (here: {here})"
        fix = "start a worker with what they need, or submit them from a notebook that has what the workers have"
        yield Finding("waiting calls", PROBLEM, found, fix)
    if not workers:
        found = f"none in namespace {app.connection.namespace!r}"
        fix = (
            "start some: %workers start in a notebook, app.start_workers(), or `nbtasks worker` in a terminal"
        )
        yield Finding("workers", NOTE, found, fix)
    for queue in sorted({queue for each in workers for queue in each.queues}):
        yield of_queue(queue, [each for each in workers if queue in each.queues], time.time())


def of_queue(queue: str, workers: Sequence[WorkerInfo], now: float) -> Finding:
    """Judge the workers of one queue."""
    what = f"queue {queue}"
    fit = [each for each in workers if each.matches]
    slots = sum(each.slots_total for each in fit)
    found = f"{len(fit)} of {len(workers)} workers can take calls from here, {slots} slots"
    problems = [each.problem for each in workers if each.problem]
    if not fit:
        return Finding(what, PROBLEM, found, "; ".join(problems))
    silent = [
        f"{each.name} was last seen {now - each.seen_at:.0f} s ago"
        for each in fit
        if now - each.seen_at > SILENT_S
    ]
    differ = [f"{each.name} has {', '.join(each.differences)}" for each in fit if each.differences]
    if problems or silent or differ:
        return Finding(what, NOTE, found, "; ".join([*problems, *silent, *differ]))
    return Finding(what, OK, found)


def jupyter() -> Iterator[Finding]:
    """Look at what the live card needs; a worker machine needs none of it."""
    missing = [name for name in JUPYTER if _version(name) is None]
    old = [name for name, oldest in JUPYTER.items() if (found := _version(name)) and _numbers(found) < oldest]
    installed = [f"{name} {_version(name)}" for name in (*JUPYTER, *FRONTS) if _version(name)]
    found = ", ".join(installed) or "not installed"
    if old:
        fix = f"too old: {', '.join(old)}; run: pip install --upgrade 'nbtasks[jupyter]'"
        yield Finding("Jupyter", PROBLEM, found, fix)
    elif missing:
        fix = f"for live cards in notebooks ({', '.join(missing)} missing): pip install 'nbtasks[jupyter]'"
        yield Finding("Jupyter", NOTE, found, fix)
    else:
        yield Finding("Jupyter", OK, found)


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
