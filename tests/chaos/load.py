"""A load of calls with known answers, what was seen of it, and the invariants that must hold under any fault.

``Load`` submits the calls. Each execution appends to a ledger when it starts and when it ends; each result is noted
when the client first sees it. ``Faults`` keeps a record of what was done to which process. ``check`` compares them:

I1 every call ends in exactly one final state, in bounded time;
I2 a result that was seen never changes, whoever reads it;
I3 a result is the checksum of its own call's arguments;
I4 a call is executed once, and once more at most for each fault that touched it;
I5 at the end nothing is left: no entries, no consumers of dead workers, no memory;
I6 a call that runs on a living worker is not started elsewhere;
I7 no worker sleeps while calls wait.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .inventories import UNANSWERED, Inventory

if TYPE_CHECKING:
    from typing_extensions import Self

    from nbtasks import App
    from nbtasks.client.group import GroupResult

#: A rescue is promised within the lease and so many seconds.
REAP_S = 5.0
#: How much longer than that everything is waited for, where a machine does much else.
BUSY = float(os.environ.get("NBTASKS_CHAOS_BUSY", "1"))
#: Deadlines of tests are so many times what is promised, for machines that are busy.
PATIENCE = 10 * BUSY
#: A call that was broken off so often is given up.
MOST_LOSSES = 3
#: What the server may hold more than before the load, once its results are forgotten.
MEMORY_SLACK_BYTES = 2**20
#: No worker sleeps longer than this while calls wait.
SLEEP_S = 1.0
_LOOKS = 5


def checksum(index: int, salt: int) -> int:
    """The known answer of a call."""
    return zlib.crc32(f"{salt}:{index}".encode())


def work(index: int, salt: int, seconds: float, ledger: str, deed: str = "") -> int:
    """Task code: note the start, do a deed or take some time, note the end, return the known answer."""
    import os
    import time
    import zlib

    from nbtasks import current_call

    call = current_call()
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    try:
        # Monotonic time is the same in all processes of a machine.
        os.write(file, f"S {call.batch}:{index} {call.attempt} {os.getpid()} {time.monotonic()}\n".encode())
        if deed:
            exec(deed, {})
        time.sleep(seconds)
        os.write(file, f"E {call.batch}:{index} {call.attempt} {os.getpid()} {time.monotonic()}\n".encode())
    finally:
        os.close(file)
    return zlib.crc32(f"{salt}:{index}".encode())


# --- what was executed ------------------------------------------------------------------------------------------


@dataclass
class Execution:
    """One execution of a call. Times are monotonic; ``ended`` is None where it never came to its end."""

    pid: int
    attempt: int
    started: float
    ended: float | None = None


def read_ledger(path: Path) -> dict[str, list[Execution]]:
    """Return the executions of every call, in the order of their starts."""
    found: dict[str, list[Execution]] = defaultdict(list)
    for line in path.read_text().splitlines():
        kind, call, attempt, pid, at = line.split()
        if kind == "S":
            found[call].append(Execution(int(pid), int(attempt), float(at)))
        else:
            open_ones = [one for one in found[call] if one.pid == int(pid) and one.ended is None]
            open_ones[-1].ended = float(at)
    for executions in found.values():
        executions.sort(key=lambda one: one.started)
    return found


# --- what was done ----------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """Something that was done.

    Attributes:
        pids: the processes that it touched; None for all (a fault of the server or of the network).
        at: when it began, monotonic.
        until: when it was over, monotonic; ``at`` for a blow.
    """

    kind: str
    pids: frozenset[int] | None
    at: float
    until: float

    def touches(self, execution: Execution) -> bool:
        """Whether it may have led to another execution after this one."""
        return (self.pids is None or execution.pid in self.pids) and execution.started <= self.until


class Faults:
    """What was done to whom. Thread-safe."""

    def __init__(self) -> None:
        self._all: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def note(self, kind: str, pids: Iterable[int] | None = None) -> Fault:
        """Write a fault down that begins now; set ``until`` when it is over."""
        now = time.monotonic()
        fault = Fault(kind, None if pids is None else frozenset(pids), now, now)
        self._all.append(fault)
        return fault

    def note_broken(self, kind: str, executions: Iterable[Execution]) -> None:
        """Write down what executions have done to their own processes."""
        for one in executions:
            if one.ended is None:
                self._all.append(Fault(kind, frozenset([one.pid]), one.started, one.started))

    def kill(self, pids: Iterable[int], kind: str = "kill", number: int = signal.SIGKILL) -> Fault:
        """Send a signal to processes at once."""
        pids = list(pids)
        fault = self.note(kind, pids)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        fault.until = time.monotonic()
        return fault

    @contextlib.contextmanager
    def stopped(self, pids: Iterable[int]) -> Iterator[Fault]:
        """Stop processes for a while, as a sleeping machine does."""
        pids = list(pids)
        fault = self.kill(pids, "stop", signal.SIGSTOP)
        try:
            yield fault
        finally:
            # The last to be stopped is the first to go on: children run before their supervisor does.
            for pid in reversed(pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            fault.until = time.monotonic()

    @contextlib.contextmanager
    def again_and_again(
        self, strike: Callable[[], Any], chance: random.Random, low_s: float, high_s: float
    ) -> Iterator[None]:
        """Strike at random moments, from a thread, as long as the block runs."""
        over = threading.Event()
        problems: list[BaseException] = []

        def loop() -> None:
            try:
                while not over.wait(chance.uniform(low_s, high_s)):
                    strike()
            except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
                problems.append(error)

        thread = threading.Thread(target=loop, name="chaos")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        if problems:
            raise problems[0]


# --- the calls --------------------------------------------------------------------------------------------------


def durations(chance: random.Random, n: int, long_s: Iterable[float] = ()) -> list[float]:
    """Return run times from 0 to 20 ms for ``n`` calls, with some long ones in between. Most are short."""
    times = [0.0 if chance.random() < 0.7 else chance.uniform(0.0, 0.02) for _ in range(n)]
    for seconds in long_s:
        times[chance.randrange(n)] = seconds
    return times


@dataclass
class Load:
    """A map whose answers are known, and what the client has seen of it."""

    group: GroupResult
    ledger: Path
    salt: int
    #: Index -> (state, value) when the client first saw it.
    seen: dict[int, tuple[str, Any]] = field(default_factory=dict)
    _watcher: threading.Thread | None = None
    _gave_up: list[str] = field(default_factory=list)
    _blow_at: int = 0

    @classmethod
    def submit(
        cls,
        app: App,
        ledger: str | Path,
        chance: random.Random,
        n: int,
        *,
        long_s: Iterable[float] = (),
        deeds: dict[int, str] | None = None,
        task_options: dict[str, Any] | None = None,
        within: float = 100.0,
        **map_options: Any,
    ) -> Load:
        """Submit ``n`` calls and note their results as they come, for ``within`` seconds at most.

        Args:
            ledger: a file that exists; may be shared by several loads.
            long_s: run times of some calls that take long.
            deeds: index -> Python that this call executes, to kill its process for example.
            task_options: of the task, such as ``acks_late``.
        """
        salt = chance.randrange(2**31)
        times = durations(chance, n, long_s)
        task = app.task(work, **(task_options or {}))
        wicked = deeds or {}
        items = [(index, salt, times[index], str(ledger), wicked.get(index, "")) for index in range(n)]
        return cls.follow(task.starmap(items, on_error="keep", **map_options), ledger, salt, within)

    @classmethod
    def follow(cls, group: GroupResult, ledger: str | Path, salt: int, within: float = 100.0) -> Load:
        """Note the results of a map of ``work`` that somebody has submitted."""
        load = cls(group, Path(ledger), salt)
        load._watcher = threading.Thread(target=load._watch, args=(within * BUSY,), name="load")
        load._watcher.start()
        return load

    def __len__(self) -> int:
        return len(self.group)

    @property
    def id(self) -> str:
        """Id of the batch."""
        return self.group.id

    def wait(self, within: float = 100.0) -> None:
        """Wait until every call has ended, or the watching was given up. ``check`` says what is missing."""
        assert self._watcher is not None
        self._watcher.join(within * BUSY + 10)

    def wait_for(self, share: float, within: float = 100.0) -> None:
        """Wait until this share of the calls has ended."""
        end = time.monotonic() + within * BUSY
        while len(self.seen) < share * len(self) and time.monotonic() < end:
            time.sleep(0.002)
        assert len(self.seen) >= share * len(self), (
            f"{len(self.seen)} of {len(self)} calls after {within * BUSY:g} s"
        )

    def got_on(self) -> bool:
        """Whether one more in a hundred calls has ended since this was true last; true for the first time.

        A blow for each such time, and not more: where starting a process takes long, no call would ever run.
        """
        if len(self.seen) < self._blow_at:
            return False
        self._blow_at = len(self.seen) + max(1, len(self) // 100)
        return True

    def executions(self) -> dict[int, list[Execution]]:
        """Return the executions of each call that was started."""
        found = read_ledger(self.ledger)
        prefix = f"{self.id}:"
        return {int(call[len(prefix) :]): runs for call, runs in found.items() if call.startswith(prefix)}

    def _watch(self, within: float) -> None:
        try:
            for handle in self.group.as_completed(timeout=within):
                index = int(handle.id.rpartition(":")[2]) if ":" in handle.id else 0
                self.seen[index] = (handle.state, read(handle))
        except Exception as error:  # noqa: BLE001 - check() tells it, with what is missing
            self._gave_up.append(repr(error))


def read(handle: Any) -> Any:
    """Return a result, or the text of a failure: two exceptions are never equal."""
    value = handle.result
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else value


# --- who sleeps while calls wait ---------------------------------------------------------------------------------


class Watchdog:
    """Looks from a thread whether workers sleep while calls wait (I7).

    Attributes:
        longest_s: the longest time that a worker was seen waiting for work while an entry waited for a worker.
        stale_s: as of the inventory.
    """

    def __init__(self, inventory: Inventory | None, every_s: float = 0.1) -> None:
        self.longest_s = 0.0
        self.stale_s = inventory.stale_s if inventory is not None else 0.0
        self._inventory = inventory
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="watchdog")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _loop(self) -> None:
        since, times = 0.0, 0
        while not self._over.wait(self._every_s):
            try:
                bad = self._both()
            except UNANSWERED:
                bad = False
            now = time.monotonic()
            since, times = (since if times else now, times + 1) if bad else (now, 0)
            # The server is asked in several steps: one look alone says little.
            if times >= _LOOKS:
                self.longest_s = max(self.longest_s, now - since)

    def _both(self) -> bool:
        held = self._inventory
        return held is not None and held.entries() > held.pending() and held.blocked_readers() > 0


# --- the invariants ---------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    """What a check has found. The counts go into the report."""

    calls: int
    executions: int
    lost: int = 0
    changed: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, other: Verdict) -> None:
        """Take in the verdict on another load of the same row."""
        for name in ("calls", "executions", "lost", "changed", "doubled"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems


def judge(
    load: Load,
    faults: Faults,
    *,
    second: App | None = None,
    failing: Iterable[int] = (),
    revoked: Iterable[int] = (),
    at_most_once: bool = False,
) -> Verdict:
    """Compare what was executed and seen with the invariants I1 to I4 and I6; raises nothing.

    Args:
        second: another client, which reads all results again.
        failing: indexes of calls that may end in FAILURE.
        revoked: indexes of calls that may be REVOKED.
        at_most_once: no call may have been started twice, and any may have failed: where a whole worker is lost,
            nobody knows which of its calls had begun.
    """
    executions = load.executions()
    verdict = Verdict(len(load), sum(map(len, executions.values())))
    # A process may die before its call says that it runs, or after it has said that it ends: that is a loss, too.
    given_up = {index for index, runs in executions.items() if len(runs) >= MOST_LOSSES - 1}
    if at_most_once:
        given_up = set(range(len(load)))
    allowed = {"FAILURE": given_up | set(failing), "REVOKED": set(revoked)}
    _judge_ends(load, verdict, allowed)
    _judge_changes(load, verdict, load.group)
    if second is not None:
        _judge_changes(load, verdict, second.attach(load.id)[0])
    struck = list(faults)
    for index, runs in sorted(executions.items()):
        _judge_executions(index, runs, [] if at_most_once else struck, verdict)
        _judge_overlaps(index, runs, struck, verdict)
    return verdict


def _judge_ends(load: Load, verdict: Verdict, allowed: dict[str, set[int]]) -> None:
    for index in range(len(load)):
        state, value = load.seen.get(index, ("nothing", None))
        right = state == "SUCCESS" and value == checksum(index, load.salt)
        if right or index in allowed.get(state, ()):
            continue
        verdict.lost += 1
        if verdict.lost <= 5:
            where = load.group[index]
            verdict.problems.append(f"I1/I3: call {index} was seen as {state} {value!r}, is {where.state}")
    verdict.problems += [f"I1: {problem}" for problem in load._gave_up]


def _judge_changes(load: Load, verdict: Verdict, group: Any) -> None:
    for index, before in load.seen.items():
        now = group[index].state, read(group[index])
        if now != before:
            verdict.changed += 1
            verdict.problems.append(f"I2: call {index} was {before}, and later {now}")


def _judge_executions(index: int, runs: list[Execution], faults: list[Fault], verdict: Verdict) -> None:
    touching = sum(1 for fault in faults if any(fault.touches(one) for one in runs[:-1]))
    if len(runs) > 1 + touching:
        verdict.doubled += 1
        verdict.problems.append(
            f"I4: call {index} was executed {len(runs)} times, touched by {touching} faults: {runs}"
        )


def _judge_overlaps(index: int, runs: list[Execution], faults: list[Fault], verdict: Verdict) -> None:
    for number, one in enumerate(runs[:-1]):
        later = runs[number + 1].started
        struck = [fault.at for fault in faults if fault.touches(one) and fault.at <= later]
        if (one.ended is None or one.ended > later) and not struck:
            verdict.doubled += 1
            verdict.problems.append(f"I6: call {index} was started again while it ran: {runs}")


def recovery_s(load: Load, faults: Faults) -> float | None:
    """Return the longest time from a fault that broke or held up an execution to the next start of that call."""
    found = []
    for runs in load.executions().values():
        for broken, following in pairwise(runs):
            blows = [fault.at for fault in faults if fault.touches(broken) and fault.at >= broken.started]
            if blows and (broken.ended is None or broken.ended > following.started):
                found.append(following.started - min(blows))
    return max(found, default=None)


def clean_within(inventory: Inventory, baseline: int | None, within: float) -> list[str]:
    """Wait until nothing is left (I5); return what is left when the time is up."""
    end = time.monotonic() + within
    while True:
        left = {f"I5: {what}": held for what, held in inventory.leftovers().items()}
        if not left and baseline is not None:
            grown = inventory.memory() - baseline
            if grown > MEMORY_SLACK_BYTES:
                left["I5: bytes of memory more than before"] = grown
        if not left or time.monotonic() > end:
            return [f"{what}: {held}" for what, held in left.items()]
        time.sleep(0.1)
