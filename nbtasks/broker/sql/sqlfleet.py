"""Workers as a whole: leases, what workers show of themselves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.pulse import Observer, Pulse
from nbtasks.broker.servertime import Reading
from nbtasks.broker.verbs.fleet import MOST_INFO, MOST_WORKERS
from nbtasks.core.clock import steady
from nbtasks.core.workersheet import WorkerSheet

from .sqltime import AHEAD

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction


class SqlFleet:
    """Leases, and the view of all workers."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line
        self._observer = Observer(self.pulses)

    def renew(self, worker: str, lease: str, info: str, info_ttl_ms: int) -> tuple[bool, Reading]:
        """Renew a worker's lease; returns whether it was still there, and the server's time."""
        asked_at, wall_at = steady(), time.time()
        alive, micros, ahead = self._line.write_lazily(renew, worker, lease.encode(), info)
        return alive, Reading(micros / 1e6, ahead.encode(), asked_at, steady(), wall_at)

    def release(self, worker: str) -> None:
        """End a worker's lease and take it off the list."""
        self.strike_off([worker])

    def pulses(self) -> tuple[float, dict[str, Pulse]]:
        """Return the server's clock in epoch seconds, and the pulses of all workers on the list."""
        now, rows = self._line.read(pulses)
        return now / 1000, {
            worker: Pulse(lease or b"", max(0, now - seen) / 1000, buried=bool(buried))
            for worker, lease, seen, buried in rows
        }

    def alive(self, workers: list[str]) -> set[str]:
        """Return those workers that live, as far as this process has seen."""
        return self._observer.alive(workers)

    def silent_s(self, worker: str) -> float:
        """Return for how long a worker had not renewed its lease, at the last look at all of them."""
        return self._observer.silent_s(worker)

    def workers(self) -> dict[str, WorkerSheet]:
        """Return worker -> what it shows of itself, of all workers that were seen lately."""
        return self.sheets(self._observer.shown())

    def sheets(self, found: list[str]) -> dict[str, WorkerSheet]:
        """Return the same of those workers that have shown something."""
        shown = {}
        for name, info in self._line.read(sheets, found) if found else ():
            sheet = WorkerSheet.from_wire(info) if 0 < len(info) <= MOST_INFO else None
            if sheet is not None:
                shown[name] = sheet
        return shown

    def lapse(self, worker: str, lease: bytes) -> bool:
        """End the lease of a worker that is dead; False when it was renewed since it had this value."""
        return self._line.write(lapse, worker, lease)

    def enlist(self, worker: str) -> None:
        """Put a worker on the list that is on none, so that somebody looks whether it lives."""
        row = {"worker": worker, "seen": 1, "info": ""}
        self._line.write(lambda tx: tx.put("@workers", ("ns", "worker"), {"ns": tx.ns, **row}))

    def strike_off(self, workers: list[str]) -> None:
        """End the leases of workers that hold nothing, and take them off the list."""
        if workers:
            self._line.write(strike_off, workers)

    def bury(self, worker: str) -> None:
        """Say that a worker is known to be dead, so that its calls are given back at once."""
        self._line.write(bury, worker)


def renew(tx: Transaction, worker: str, lease: bytes, info: str) -> tuple[bool, int, str]:
    """Renew a lease; returns whether there had still been one, the server's time (us), and what is noted of that."""
    found = tx.row("SELECT lease, info FROM @workers WHERE ns = ? AND worker = ? FOR UPDATE", tx.ns, worker)
    now = tx.now_us()
    if found is None:
        tx.run(
            "INSERT INTO @workers (ns, worker, seen, lease, info) VALUES (?, ?, ?, ?, ?)",
            *(tx.ns, worker, now // 1000, lease, info),
        )
    else:
        tx.run(
            "UPDATE @workers SET lease = ?, seen = ?, buried = 0 WHERE ns = ? AND worker = ?",
            *(lease, now // 1000, tx.ns, worker),
        )
        if info != found[1]:
            tx.run("UPDATE @workers SET info = ? WHERE ns = ? AND worker = ?", info, tx.ns, worker)
    return found is not None and found[0] is not None, now, tx.fact(AHEAD)


def pulses(tx: Transaction) -> tuple[int, list[Row]]:
    """Return the server's time (ms), and of each worker its name, lease, last renewal and whether it was buried."""
    rows = tx.rows(
        "SELECT worker, lease, seen, buried FROM @workers WHERE ns = ? ORDER BY seen DESC LIMIT ?",
        *(tx.ns, MOST_WORKERS),
    )
    return tx.now_ms(), rows


def sheets(tx: Transaction, workers: Sequence[str]) -> list[Row]:
    """Return what workers show of themselves."""
    return tx.rows_in("SELECT worker, info FROM @workers WHERE ns = ? AND worker IN (*)", (tx.ns,), workers)


def lapse(tx: Transaction, worker: str, lease: bytes) -> bool:
    """End a lease that was not renewed since it was looked at; returns whether there is none now."""
    found = tx.value("SELECT lease FROM @workers WHERE ns = ? AND worker = ? FOR UPDATE", tx.ns, worker)
    if found is not None and found != lease:
        return False
    tx.run("UPDATE @workers SET lease = NULL WHERE ns = ? AND worker = ?", tx.ns, worker)
    return True


def strike_off(tx: Transaction, workers: Sequence[str]) -> None:
    """End leases, and take their workers off the list."""
    tx.run_in("DELETE FROM @workers WHERE ns = ? AND worker IN (*)", (tx.ns,), workers)


def bury(tx: Transaction, worker: str) -> None:
    """A worker is known to be dead."""
    row = {"ns": tx.ns, "worker": worker, "seen": 0, "buried": 1, "lease": None, "info": ""}
    tx.put("@workers", ("ns", "worker"), row, ("seen", "buried", "lease"))
