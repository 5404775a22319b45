"""kill -9 in the middle of a run: what is lost, what is run twice, how long until every result is there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from benchmarks import tasks

from .base import Measured, Work

PEERS = ("nbtasks_fleet", "celery_plain", "celery_late")
SHORT_S, LONG_S = 0.1, 2.0
#: So many calls; every twentieth is a long one.
CALLS, QUICK_CALLS = 200, 60
EVERY = 20
#: Seconds after the kill from which a result that is not there counts as lost.
BOUND_S, QUICK_BOUND_S = 180.0, 45.0


class Kill(Work):
    """Two workers with two processes each; what ``victims()`` names is killed in mid-run."""

    unit = "lost results"
    higher_is_better = False
    only = PEERS
    workers = 2
    limit_s = 400.0

    def measure(self, peer, meter, quick):
        bound_s = QUICK_BOUND_S if quick else BOUND_S
        ledger = Ledger(Path(peer.setting.folder) / "ledger")
        durations = make(QUICK_CALLS if quick else CALLS)
        handles = [peer.submit(tasks.recorded, [ledger.path, i, s]) for i, s in enumerate(durations)]
        killed = self.kill(peer, ledger, len(durations) // 10)
        begun = time.monotonic()
        outcomes = collect(handles, begun + bound_s)
        recovery_s = time.monotonic() - begun
        lost = [i for i, outcome in enumerate(outcomes) if outcome != i]
        begins = ledger.begins()
        details = {
            "calls": len(durations),
            "killed": len(killed),
            "lost": len(lost),
            "of them failed": sum(isinstance(outcomes[i], str) for i in lost),
            "run twice or more": sum(count > 1 for count in begins.values()),
            "never run": len(durations) - len(begins),
            "most runs of a call": max(begins.values()),
            "seconds until all": recovery_s if not lost else None,
            "seconds without the kill": sum(durations) / (self.workers * self.children),
        }
        return Measured(len(lost), len(durations), {}, details)

    def kill(self, peer, ledger, after):
        """Wait for so many calls to have ended, kill, and return who was killed."""
        end = time.monotonic() + 60
        while ledger.ended() < after or not (busy := ledger.busy()):
            if time.monotonic() > end:
                raise TimeoutError(f"{ledger.ended()} calls had ended when the kill was due")
            time.sleep(0.005)
        victims = self.victims(peer, busy[-1])
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        return victims


class KillChild(Kill):
    """The process that runs a call."""

    name = "kill_child"
    title = "kill -9 of a process that runs a call"

    def victims(self, peer, busy):
        return [busy]


class KillWorker(Kill):
    """The whole worker: the process that was started, and all below it."""

    name = "kill_worker"
    title = "kill -9 of a whole worker"

    def victims(self, peer, busy):
        for process in peer.spawned:
            family = [process.pid, *descendants(process.pid)]
            if busy in family:
                return family
        raise RuntimeError(f"{busy} belongs to no worker")


def make(calls):
    """Return the durations, in seconds."""
    return [LONG_S if i % EVERY == EVERY - 1 else SHORT_S for i in range(calls)]


def collect(handles, deadline):
    """Return each call's value; a text where it has failed, None where nothing came in time."""
    outcomes = []
    for handle in handles:
        try:
            outcomes.append(handle.get(timeout=max(0.01, deadline - time.monotonic())))
        except Exception as error:  # noqa: BLE001 - what a lost call raises is what is asked here
            outcomes.append(None if "Timeout" in type(error).__name__ else repr(error))
    return outcomes


class Ledger:
    """What the calls have written: who began and ended what."""

    def __init__(self, path: Path) -> None:
        self._file = path
        self.path = str(path)
        path.touch()

    def _lines(self):
        return [line.split() for line in self._file.read_text().splitlines()]

    def ended(self):
        return sum(word == "end" for word, _, _ in self._lines())

    def busy(self):
        """Return the pids that run a call now, the last to begin at the end."""
        running = {}
        for word, index, pid in self._lines():
            if word == "begin":
                running[int(pid)] = index
            else:
                running.pop(int(pid), None)
        return list(running)

    def begins(self):
        """Return call -> how often it was begun."""
        counts = {}
        for word, index, _ in self._lines():
            if word == "begin":
                counts[index] = counts.get(index, 0) + 1
        return counts


def descendants(pid):
    """Return the processes below one (Linux)."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # gone in between
            children.setdefault(parent, []).append(int(entry.name))
    found = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
