"""What the fault tests share: worker trees as machines of their own, a seed, and the check at the end of a row."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker.contract.servers import KINDS, place

from . import load as loads
from . import servers, sites
from .inventories import Inventory, MysqlInventory, PostgresInventory, RedisInventory, SqliteInventory
from .load import Faults, Load, Verdict, Watchdog
from .report import Row, write

#: Of the workers here, in seconds.
LEASE_S = 1.0
#: Brokers besides the embedded server.
OTHERS = [name for name in KINDS if name != "valkey"]
#: A mark for long rows: on every broker.
every_server = pytest.mark.parametrize("flavour", ["embedded", *OTHERS], indirect=True)
#: For short rows: the others where there is time.
every_leg = pytest.mark.parametrize(
    "flavour", ["embedded", *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)], indirect=True
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fault tests look for processes in /proc."""
    if sys.platform.startswith("linux"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="looks for processes in /proc"))


@pytest.fixture(autouse=True)
def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures bring no variables: they are kept with the results, and here the server's memory is counted."""
    monkeypatch.setenv("NBTASKS_VARIABLES", "0")


@pytest.fixture
def seed() -> int:
    """The seed of this test's chance; NBTASKS_CHAOS_SEED sets it."""
    given = os.environ.get("NBTASKS_CHAOS_SEED")
    chosen = int(given) if given else random.SystemRandom().randrange(10**6)
    print(f"NBTASKS_CHAOS_SEED={chosen}")
    return chosen


@pytest.fixture
def chance(seed: int) -> random.Random:
    """The test's random numbers."""
    return random.Random(seed)


@pytest.fixture
def faults() -> Faults:
    """The record of what this test does to processes, servers and networks."""
    return Faults()


# --- workers ----------------------------------------------------------------------------------------------------


class Machine:
    """A worker that nobody starts again: ``nbtasks worker`` in a session of its own.

    Args:
        broker: URL of the server, as this worker shall see it (through a proxy, maybe).
        environment: of its processes, besides that of the test.
    """

    def __init__(
        self,
        app: Any,
        name: str,
        options: dict[str, Any],
        broker: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        connection = app.connection
        settings = {"lease": f"{LEASE_S}s", "concurrency": 2, "loglevel": "warning", **options}
        ledger = {"NBTASKS_BACKEND": connection.url} if connection.carrier else {}
        given = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
        self.process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "nbtasks",
                    "worker",
                    "--broker",
                    broker or connection.carrier or connection.url,
                ),
                *("--namespace", connection.namespace, "--name", name, *given),
            ],
            env={
                **os.environ,
                **ledger,
                **(environment or {}),
                "NBTASKS_KEY": connection.to_json()["keys"][0],
            },
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return self.process.pid

    def pids(self) -> list[int]:
        """Return every process of the machine: the supervisor first, so that it sees none of the others die."""
        return [self.pid, *sorted(pid for pid in processes_of_session(self.pid) if pid != self.pid)]

    def children(self) -> list[int]:
        """Return the processes that run calls."""
        return [child for server in children_of(self.pid) for child in children_of(server)]

    def end(self) -> None:
        """Kill what still runs."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def children_of(pid: int) -> list[int]:
    """Return the pids of the direct children of a process."""
    found: list[int] = []
    for entry in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, entry.read_text().split())
    return found


def alive_pid(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) != "Z"
    except OSError:
        return False


def processes_of_session(session: int) -> list[int]:
    """Return the pids of all processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                    found.append(int(entry.name))
    return found


@pytest.fixture
def machine(eventually: Any) -> Iterator[Callable[..., Machine]]:
    """``machine(app, concurrency=2, ...)`` starts a worker and returns when it is on the list."""
    started: list[Machine] = []

    def start(
        app: Any,
        *,
        broker: str | None = None,
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> Machine:
        made = Machine(app, f"machine-{len(started)}", options, broker, environment)
        started.append(made)
        eventually(
            lambda: any(one.name == made.name for one in app.workers()),
            f"{made.name} is on the list of workers",
        )
        return made

    yield start
    for one in started:
        one.end()


@pytest.fixture
def flavour(request: pytest.FixtureRequest) -> str:
    """The broker behind ``idle_app``: the embedded server, or one of KINDS as an indirect parameter."""
    return str(getattr(request, "param", "embedded"))


@pytest.fixture
def idle_app(flavour: str, home: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An App without workers, on a server of its own, or in a namespace of its own."""
    from nbtasks import App

    if flavour == "embedded":
        with App("test") as app:
            yield app
        return
    try:
        with KINDS[flavour](request) as url:
            where = place(url)
            broker = (
                {"broker": where.carrier, "backend": where.url} if where.carrier else {"broker": where.url}
            )
            with App("test", namespace=where.namespace, **broker) as app:
                yield app
    except servers.Missing as missing:
        pytest.skip(str(missing))


# --- the server -------------------------------------------------------------------------------------------------


_KINDS_OF_INVENTORY: dict[str, Callable[[str, str], Inventory]] = {
    "postgresql": PostgresInventory,
    "sqlite": SqliteInventory,
    "mysql": MysqlInventory,
}


@pytest.fixture
def inventory() -> Iterator[Callable[..., Inventory]]:
    """``inventory(app)`` looks into an App's server, past nbtasks; ``url=`` where the App goes through a proxy."""
    opened: list[Inventory] = []

    def connect(app: Any, url: str | None = None) -> Inventory:
        where = url or app.connection.url
        kind = _KINDS_OF_INVENTORY.get(where.partition(":")[0], RedisInventory)
        opened.append(kind(where, app.connection.namespace))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


# --- a row of the matrix ----------------------------------------------------------------------------------------


class Matrix:
    """One row: loads under faults, checked and reported at the end."""

    def __init__(
        self, seed: int, chance: random.Random, faults: Faults, ledger: Any, inventory: Any, flavour: str
    ) -> None:
        self._seed, self._chance, self._faults, self._flavour = seed, chance, faults, flavour
        self._ledger, self._inventory = ledger, inventory
        self._loads: list[tuple[Load, dict[str, Any]]] = []
        self._baseline: int | None = None

    def submit(self, app: Any, n: int, *, judged: dict[str, Any] | None = None, **options: Any) -> Load:
        """Submit a load of ``n`` calls; ``judged`` are options of :func:`load.judge`, the others of the load."""
        made = Load.submit(app, self._ledger.path, self._chance, n, **options)
        self._loads.append((made, {} if judged is None else judged))
        return made

    def follow(self, group: Any, salt: int, within: float = 100.0) -> Load:
        """Note the results of a map of ``load.work`` that another client has submitted."""
        made = Load.follow(group, self._ledger.path, salt, within)
        self._loads.append((made, {}))
        return made

    def warm_up(self, app: Any, url: str | None = None) -> None:
        """Run some calls and remember the server's memory, for the comparison at the end."""
        made = Load.submit(app, self._ledger.path, self._chance, 20)
        made.wait()
        assert len(made.seen) == 20
        made.group.forget()
        self._baseline = self._inventory(app, url).memory()

    def watchdog(self, app: Any, url: str | None = None) -> Watchdog:
        """Look whether workers sleep while calls wait, as long as the block runs.

        Where a carrier tells them that there is something, nobody sees here who waits.
        """
        return Watchdog(None if app.connection.carrier else self._inventory(app, url))

    def close(
        self,
        app: Any,
        row: str,
        *,
        server: str | None = None,
        url: str | None = None,
        recovery_s: float | None = None,
        promised_s: float | None = None,
        watchdog: Watchdog | None = None,
        clean_s: float = loads.PATIENCE * (LEASE_S + loads.REAP_S),
    ) -> None:
        """Wait for all loads, judge them, write the row into the report, and fail if an invariant was broken.

        Args:
            server: its flavour; the ``flavour`` fixture's if None.
            url: of the server itself, where the App goes through a proxy.
            recovery_s: what was measured; from the loads' ledgers if None.
            promised_s: what is promised for the recovery; ten times as much is still accepted.
            clean_s: seconds until nothing may be left on the server.
        """
        verdict = Verdict(0, 0)
        for one, _ in self._loads:
            one.wait()
        with _second_client(app) as second:
            for one, judged in self._loads:
                verdict.add(loads.judge(one, self._faults, second=second, **judged))
        measured = (
            [recovery_s]
            if recovery_s is not None
            else [loads.recovery_s(one, self._faults) for one, _ in self._loads]
        )
        slowest = max((value for value in measured if value is not None), default=None)
        for one, _ in self._loads:
            one.group.forget()
        verdict.problems += loads.clean_within(self._inventory(app, url), self._baseline, clean_s)
        if watchdog is not None and watchdog.longest_s > loads.SLEEP_S + watchdog.stale_s:
            verdict.problems.append(f"I7: a worker slept {watchdog.longest_s:.1f} s while calls waited")
        if slowest is not None and promised_s is not None and slowest > loads.PATIENCE * promised_s:
            verdict.problems.append(f"recovery took {slowest:.1f} s, promised are {promised_s:g} s")
        result = Row(
            row, server or self._flavour, self._seed, len(self._faults), verdict.calls, verdict.executions,
            verdict.lost, verdict.changed, verdict.doubled, slowest, promised_s,
        )  # fmt: skip
        write(result)
        print(result)
        assert not verdict.problems, "\n".join([f"seed {self._seed}", *verdict.problems[:20]])


@contextlib.contextmanager
def _second_client(app: Any) -> Iterator[Any]:
    from nbtasks import App

    with App("second", connection=app.connection) as second:
        yield second


@pytest.fixture
def matrix(
    seed: int, chance: random.Random, faults: Faults, ledger: Any, inventory: Any, flavour: str
) -> Matrix:
    """One row of the matrix: submit loads, do harm, ``close``."""
    return Matrix(seed, chance, faults, ledger, inventory, flavour)


# --- servers and networks ---------------------------------------------------------------------------------------


@pytest.fixture
def site(run_folder: Path, home: Path, machine: Any, seed: int) -> Iterator[Callable[..., sites.Site]]:
    """``site("redis-7", "--setting", ...)`` sets up a server, a proxy, a client and a worker with two children."""
    with contextlib.ExitStack() as stack:

        def build(flavour: str = "bundled", *settings: str) -> sites.Site:
            try:
                return stack.enter_context(sites.site(run_folder, machine, flavour, settings, seed))
            except servers.Missing as error:
                pytest.skip(str(error))

        yield build
