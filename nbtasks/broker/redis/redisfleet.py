"""Workers as a whole: leases, the list of workers, elections, the control stream, calls that fall due."""

from __future__ import annotations

import time

from nbtasks.broker.pulse import Pulse, Pulses, Seen
from nbtasks.broker.servertime import Reading
from nbtasks.core.clock import steady
from nbtasks.core.workersheet import WorkerSheet

from .keys import GROUP, Keys
from .link import Link
from .servercheck import server_life
from .untrusted import names

#: Seconds that a lease counts whose worker does not say it.
_LEASE_S = 15.0
#: Seconds for which a worker that was silent is still shown.
_SHOWN_S = 60.0
#: Workers that are looked at in one go, and bytes of what one shows of itself.
_MOST_WORKERS = 10_000
_MOST_INFO = 256 * 1024


class Fleet:
    """Duties of supervisors, and the view of all workers."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._pulses = Pulses(_LEASE_S, credulous=True)
        #: As of the last look.
        self._seen: dict[str, Seen] = {}

    def renew(self, worker: str, lease: str, info: str, info_ttl_ms: int) -> tuple[bool, Reading]:
        """Renew a worker's lease; returns whether it was still there, and the server's time.

        Args:
            lease: for how long it counts (ms), and a number that grows each time.
        """
        asked_at, wall_at = steady(), time.time()
        alive, micros, noted = self._link.script(
            "renew", [self._keys.root], [worker, lease, info, info_ttl_ms]
        )
        return bool(alive), Reading(micros / 1e6, noted, asked_at, steady(), wall_at)

    def release(self, worker: str) -> None:
        """End a worker's lease and take it off the list."""
        self._link.pipeline(
            [
                ("DEL", self._keys.lease(worker), self._keys.worker_info(worker)),
                ("ZREM", self._keys.workers, worker),
            ]
        )

    def alive(self, workers: list[str]) -> set[str]:
        """Return those workers that live, as far as this process has seen."""
        if not workers:
            return set()
        seen = self._look()
        return {worker for worker in workers if worker in seen and not seen[worker].dead}

    def silent_s(self, worker: str) -> float:
        """Return for how long a worker had not renewed its lease, at the last look at all of them."""
        seen = self._seen.get(worker)
        return seen.silent_s if seen is not None else 0.0

    def pulses(self) -> tuple[float, dict[str, Pulse]]:
        """Return the server's clock in epoch seconds, and the pulses of all workers on the list."""
        now, *found = self._link.script("pulses", [self._keys.root], [_MOST_WORKERS])
        pulses = {}
        for name, lease, age_ms in zip(found[::3], found[1::3], found[2::3], strict=True):
            for worker in names([name]):
                pulses[worker] = Pulse(lease, age_ms / 1000, buried=age_ms < 0)
        return now / 1000, pulses

    def lapse(self, worker: str, lease: bytes) -> bool:
        """End the lease of a worker that is dead; False when it was renewed since it had this value."""
        return bool(self._link.script("lapse", [self._keys.root], [worker, lease]))

    def enlist(self, worker: str) -> None:
        """Put a worker on the list that is on none, so that somebody looks whether it lives."""
        self._link.call_or_nothing(("ZADD", self._keys.workers, "NX", 1, worker), 0)

    def _look(self) -> dict[str, Seen]:
        asked_at = steady()
        _, found = self.pulses()
        self._seen = self._pulses.look(found, asked_at, steady())
        return self._seen

    def strike_off(self, workers: list[str]) -> None:
        """End the leases of workers that hold nothing, and take them off the list."""
        for start in range(0, len(workers), 1000):
            part = workers[start : start + 1000]
            keys = [key for name in part for key in (self._keys.lease(name), self._keys.worker_info(name))]
            self._link.pipeline([("DEL", *keys), ("ZREM", self._keys.workers, *part)])

    def bury(self, worker: str) -> None:
        """Say that a worker is known to be dead, so that its calls are given back at once."""
        self._link.call("DEL", self._keys.lease(worker))
        self._link.call_or_nothing(("ZADD", self._keys.workers, 0, worker), 0)

    def workers(self) -> dict[str, WorkerSheet]:
        """Return worker -> what it shows of itself, of all workers that were seen lately. Nobody has signed it."""
        return self.sheets([name for name, seen in self._look().items() if seen.silent_s < _SHOWN_S])

    def sheets(self, found: list[str]) -> dict[str, WorkerSheet]:
        """Return the same of those workers that have shown something."""
        sheets: dict[str, WorkerSheet] = {}
        for start in range(0, len(found), 500):
            part = found[start : start + 500]
            # One byte more than is read: what is too long is cut short, and then it is no JSON.
            asked = [("GETRANGE", self._keys.worker_info(name), 0, _MOST_INFO) for name in part]
            for name, info in zip(part, self._link.pipeline(asked), strict=True):
                if isinstance(info, bytes) and 0 < len(info) <= _MOST_INFO:
                    sheet = WorkerSheet.from_wire(info.decode(errors="replace"))
                    if sheet is not None:
                        sheets[name] = sheet
        return sheets

    def sweep_batches(self, older_than_ms: float) -> None:
        """Take batches off the list whose record has expired, and see that those expire that are over."""
        kept = 0
        while True:
            found = self._link.call_or_nothing(
                ("ZRANGEBYSCORE", self._keys.batches, "-inf", older_than_ms, "LIMIT", kept, 1000), []
            )
            if not found:
                return
            lives = self._link.pipeline([("PTTL", self._keys.batch("").encode() + name) for name in found])
            gone = [name for name, life in zip(found, lives, strict=True) if life == -2]
            endless = [name for name, life in zip(found, lives, strict=True) if life == -1]
            if gone:
                self._link.call("ZREM", self._keys.batches, *gone)
            if endless:
                # One may have ended at the moment when the server lost the end of its file.
                self._link.script("finish", [self._keys.root], [GROUP, 0, *_each(endless)])
            kept += len(found) - len(gone)

    def bound_events(self, most_bytes: int) -> int:
        """Drop the oldest entries of the stream of events where they take more than that; returns how many."""
        return int(self._link.script("bound_events", [self._keys.root, self._keys.happened], [most_bytes]))

    def elected(self, duty: str, worker: str, ms: int) -> bool:
        """Try to be the one supervisor that does a duty for the next ``ms``."""
        return bool(self._link.script("elect", [self._keys.root, self._keys.lock(duty)], [worker, ms]))

    def promote(self, address: str, now: float) -> tuple[int, float | None]:
        """Queue calls that are due at a moment of the server's time (epoch seconds).

        Returns how many, and the seconds until the next one (None: none waits).
        """
        args: list[str | int] = [address, round(now * 1000), 200]
        moved, next_ms = self._link.script("promote", [self._keys.root], args)
        return int(moved), None if next_ms < 0 else next_ms / 1000

    def ask_control(self, after: bytes, block_ms: int) -> None:
        """Ask for control entries later than ``after``, as in :meth:`Link.ask`."""
        self._link.ask(self._keys.control, after, 100, block_ms)

    def asked_control(self, within_s: float) -> list[tuple[bytes, str, bytes]]:
        """Return the entries that were asked for: (id, kind, data); one that is none of ours has no kind.

        There are none where none came in time; then the question stands.
        """
        return [_control(entry_id, fields) for entry_id, fields in self._link.answer(within_s) or ()]

    def drop_control(self) -> None:
        """Drop a stream of orders that cannot be read: it is of another type, or takes no more of them."""
        self._link.call("DEL", self._keys.control)

    def server_life(self) -> str:
        """Return what names the server's life, between whose runs it has forgotten nothing."""
        return server_life(self._link)

    def audited_life(self) -> str:
        """Return the name of the server's life in which orphans were last looked for."""
        return (self._link.call_or_nothing(("GET", self._keys.audited), None) or b"").decode(errors="replace")

    def note_audit(self, life: str) -> None:
        """Note that orphans were looked for in this life of the server."""
        self._link.call("SET", self._keys.audited, life)


def _each(batches: list[bytes]) -> list[bytes | str]:
    """Return finish operations that look whether these batches are over."""
    return [part for batch in batches for part in ("S", batch)]


def _control(entry_id: bytes, fields: list[bytes]) -> tuple[bytes, str, bytes]:
    if len(fields) < 4 or fields[0] != b"k":
        return entry_id, "", b""
    return entry_id, fields[1].decode(errors="replace"), fields[3]
