"""Periodic tasks of a session: put, looked at, run beside their schedule; and those that end with it kept alive."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from nbtasks.broker.redis.periodicstore import PeriodicStanding, PeriodicStore
from nbtasks.broker.redis.submission import FunctionMissing
from nbtasks.core.due.periodic import id_of
from nbtasks.core.errors import ConfigError, OperationalError, SignatureMismatch
from nbtasks.core.ids import new_id
from nbtasks.core.wirejson import to_json
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.periodicrecord import PeriodicRecord

if TYPE_CHECKING:
    from nbtasks.broker.redis.keys import Keys
    from nbtasks.broker.redis.link import Link
    from nbtasks.broker.redis.servertime import ServerClock
    from nbtasks.wire.signing import Keyring

#: For how long a client counts as there (ms), and the seconds between two times that it says so.
_THERE_MS = 30_000
_SAY_S = 5.0
#: Times that a run is tried whose periodic task is changed meanwhile.
_MOST_TRIES = 5


class Periodics:
    """Of one session.

    Attributes:
        client: id under which this process says that it is there.
    """

    def __init__(self, link: Link, keys: Keys, keyring: Keyring, namespace: str, clock: ServerClock) -> None:
        self._store = PeriodicStore(link, keys, keyring.id)
        self._sealer = Sealer(keyring, namespace)
        self._codec = Codec(self._sealer)
        self._clock = clock
        self.client = new_id()
        #: Ids of those that end with this session.
        self._own: set[str] = set()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, record: PeriodicRecord, function_frame: bytes) -> int | None:
        """Put a periodic task, or another version of one; returns when it is due next (ms), None where it pauses."""
        task, frame = record.task, record.sealed(self._sealer)
        if task.client:
            self._begin_to_say()
        now_ms, _ = self._store.look(task.id)
        first = task.timetable.first(now_ms / 1000)
        if first is None:
            raise ConfigError(f"{task.name}: {task.timetable.text} is never due")
        text = to_json(task.timetable.to_wire())
        for sent in (b"", function_frame):
            try:
                due = self._store.put(
                    task.id, frame, text, task.function, sent, task.client, round(first * 1000), task.ttl_ms
                )
                break
            except FunctionMissing:
                continue
        else:
            raise OperationalError(f"{task.name}: the broker does not keep its code")
        with self._lock:
            (self._own.add if task.client else self._own.discard)(task.id)
        return due

    def all(self) -> tuple[int, list[tuple[PeriodicRecord, PeriodicStanding]]]:
        """Return the server's time (ms), and all periodic tasks that are signed with this key."""
        now_ms, found = self._store.look()
        return now_ms, [pair for one in found if (pair := self._opened(one)) is not None]

    def find(self, name: str) -> tuple[int, PeriodicRecord, PeriodicStanding] | None:
        """Return the same of one; None where there is none."""
        now_ms, found = self._store.look(id_of(name))
        pair = self._opened(found[0]) if found else None
        return None if pair is None else (now_ms, *pair)

    def _opened(self, one: PeriodicStanding) -> tuple[PeriodicRecord, PeriodicStanding] | None:
        try:
            return PeriodicRecord.opened(self._sealer, one.frame, one.id), one
        except SignatureMismatch:
            # Of somebody else, who writes to the server.
            return None

    def run_now(self, name: str) -> str:
        """Submit a run beside the schedule; returns its batch.

        Raises:
            ConfigError: there is none of this name, or its run before goes on.
        """
        for _ in range(_MOST_TRIES):
            found = self.find(name)
            if found is None:
                raise missing(name)
            _, record, standing = found
            now, batch, task = self._clock.now(), new_id(), record.task
            not_after = None if task.expires_s is None else now + task.expires_s
            run = record.run(self._codec, batch, None, not_after, now, self._store.key_id)
            fired, before = self._store.fire(_version_of(standing.frame), None, None, run)
            if fired == "OK":
                return batch
            if fired == "BUSY":
                raise ConfigError(
                    f"periodic task {name!r}: a run of it goes on ({before}); wait for its end or revoke it, or make "
                    "it with overlap=True"
                )
            if fired != "CHANGED":
                raise OperationalError(
                    f"periodic task {name!r} cannot run: "
                    + (
                        "the broker has lost its code, so put it anew"
                        if fired == "NOFN"
                        else "its queue is full"
                    )
                )
        raise OperationalError(f"periodic task {name!r} is changed again and again")

    def pause(self, name: str) -> None:
        """Have one pause."""
        if not self._store.pause(id_of(name)):
            raise missing(name)

    def resume(self, name: str) -> None:
        """Have one go on, from now on."""
        found = self.find(name)
        if found is None:
            raise missing(name)
        now_ms, record, _ = found
        due = record.task.timetable.first(now_ms / 1000)
        self._store.resume(record.task.id, round((due or 0.0) * 1000))

    def remove(self, name: str) -> bool:
        """Remove one; False where there is none."""
        with self._lock:
            self._own.discard(id_of(name))
        return self._store.remove(id_of(name))

    def _begin_to_say(self) -> None:
        """Say that this process is there, from now on."""
        self._store.say_there(self.client, _THERE_MS)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._say, name="nbtasks-periodic", daemon=True)
                self._thread.start()

    def _say(self) -> None:
        while not self._ended.wait(_SAY_S):
            try:
                self._store.say_there(self.client, _THERE_MS)
            except Exception:  # noqa: S112 - the broker may come back, and the session tells of it otherwise
                continue

    def close(self) -> None:
        """Remove those that end with this session.

        Raises:
            OperationalError: the broker does not answer; they end by themselves then.
        """
        self._ended.set()
        with self._lock:
            own, self._own = self._own, set()
        for id in own:
            self._store.remove(id, self.client)


def missing(name: str) -> ConfigError:
    """Return what is to be said of a name that no periodic task has."""
    return ConfigError(f"there is no periodic task {name!r}; app.periodic_tasks() lists them")


def _version_of(frame: bytes) -> str:
    """Return the hash by which the server tells versions apart."""
    return hashlib.sha1(frame, usedforsecurity=False).hexdigest()
