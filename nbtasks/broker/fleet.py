"""Workers as a whole: leases, the list of workers, elections, the control stream, calls that fall due."""

from __future__ import annotations

from .keys import GROUP, Keys, readable
from .link import Link


class Fleet:
    """Duties of supervisors, and the view of all workers."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def renew(self, worker: str, lease_ms: int, info: str, info_ttl_ms: int) -> tuple[bool, float]:
        """Renew a worker's lease; returns whether it was still there and the server's time in epoch seconds."""
        alive, now = self._link.script("renew", [self._keys.root], [worker, lease_ms, info, info_ttl_ms])
        return bool(alive), now / 1000

    def release(self, worker: str) -> None:
        """End a worker's lease and take it off the list."""
        self._link.pipeline(
            [
                ("DEL", self._keys.lease(worker), self._keys.worker_info(worker)),
                ("ZREM", self._keys.workers, worker),
            ]
        )

    def alive(self, workers: list[str]) -> set[str]:
        """Return those workers that hold a lease."""
        if not workers:
            return set()
        replies = self._link.pipeline([("EXISTS", self._keys.lease(worker)) for worker in workers])
        return {worker for worker, there in zip(workers, replies, strict=True) if there}

    def silent(self, for_s: float) -> tuple[float, list[str]]:
        """Return the server's time in epoch seconds, and the workers without a lease that were not seen for so long."""
        now, *names = self._link.script("silent", [self._keys.root], [round(for_s * 1000)])
        return now / 1000, readable(names)

    def bury(self, worker: str) -> None:
        """Say that a worker is known to be dead, so that its calls are given back at once."""
        self._link.call("DEL", self._keys.lease(worker))
        self._link.call("ZADD", self._keys.workers, 0, worker)

    def workers(self) -> dict[str, str]:
        """Return worker -> info (JSON) of all workers that were seen lately."""
        names = readable(self._link.call("ZRANGE", self._keys.workers, 0, -1))
        if not names:
            return {}
        infos = self._link.call("MGET", *(self._keys.worker_info(name) for name in names))
        return {name: info.decode(errors="replace") for name, info in zip(names, infos, strict=True) if info}

    def sweep_batches(self, older_than_ms: float) -> None:
        """Take batches off the list whose record has expired, and see that those expire that are over."""
        kept = 0
        while True:
            names = self._link.call(
                "ZRANGEBYSCORE", self._keys.batches, "-inf", older_than_ms, "LIMIT", kept, 1000
            )
            if not names:
                return
            lives = self._link.pipeline(
                [("PTTL", self._keys.batch(name.decode(errors="replace"))) for name in names]
            )
            gone = [name for name, life in zip(names, lives, strict=True) if life == -2]
            endless = [name for name, life in zip(names, lives, strict=True) if life == -1]
            if gone:
                self._link.call("ZREM", self._keys.batches, *gone)
            if endless:
                # One may have ended at the moment when the server lost the end of its file.
                self._link.script("finish", [self._keys.root], [GROUP, 0, *_each(endless)])
            kept += len(names) - len(gone)

    def elected(self, duty: str, worker: str, ms: int) -> bool:
        """Try to be the one supervisor that does a duty for the next ``ms``."""
        return bool(self._link.script("elect", [self._keys.root, self._keys.lock(duty)], [worker, ms]))

    def promote(self, address: str) -> tuple[int, float | None]:
        """Queue calls that are due; returns how many, and the seconds until the next one (None: none waits)."""
        moved, next_ms = self._link.script("promote", [self._keys.root], [address, 200])
        return int(moved), None if next_ms < 0 else next_ms / 1000

    def ask_control(self, after: bytes, block_ms: int) -> None:
        """Ask for control entries later than ``after``, as in :meth:`Link.ask`."""
        self._link.ask(self._keys.control, after, 100, block_ms)

    def asked_control(self, within_s: float) -> list[tuple[bytes, str, bytes]]:
        """Return the entries that were asked for: (id, kind, data); one that is none of ours has no kind.

        There are none where none came in time; then the question stands.
        """
        return [_control(entry_id, fields) for entry_id, fields in self._link.answer(within_s) or ()]

    def send_control(self, frame: bytes) -> None:
        """Tell all supervisors."""
        self._link.call("XADD", self._keys.control, "MAXLEN", "~", 10_000, "*", "k", "c", "d", frame)

    def server_run(self) -> tuple[str, float]:
        """Return the id of the server's present run, and the seconds since it began."""
        reply = self._link.call("INFO", "server").decode(errors="replace")
        info = dict(line.split(":", 1) for line in reply.splitlines() if ":" in line)
        return info.get("run_id", ""), float(info.get("uptime_in_seconds", "0"))

    def audited_run(self) -> str:
        """Return the id of the server's run in which orphans were last looked for."""
        return (self._link.call("GET", self._keys.audited) or b"").decode()

    def note_audit(self, run: str) -> None:
        """Note that orphans were looked for in this run of the server."""
        self._link.call("SET", self._keys.audited, run)

    def now(self) -> float:
        """Return the server's time in epoch seconds."""
        seconds, micros = self._link.call("TIME")
        return int(seconds) + int(micros) / 1e6


def _each(batches: list[bytes]) -> list[bytes | str]:
    """Return finish operations that look whether these batches are over."""
    return [part for batch in batches for part in ("S", batch)]


def _control(entry_id: bytes, fields: list[bytes]) -> tuple[bytes, str, bytes]:
    if len(fields) < 4 or fields[0] != b"k":
        return entry_id, "", b""
    return entry_id, fields[1].decode(errors="replace"), fields[3]
