"""Periodic tasks of a session: put, looked at, run beside their timetables; and those that end with it kept alive."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from nbtasks.broker.brokererrors import FunctionMissing
from nbtasks.broker.verbs.periodicstore import PeriodicStanding
from nbtasks.core.due.periodic import id_of
from nbtasks.core.due.periodicfacts import (
    GONE,
    STAYS,
    WITH_ANOTHER,
    WITH_THIS,
    PeriodicFacts,
    PeriodicRun,
    missing,
)
from nbtasks.core.due.timezones import zone
from nbtasks.core.errors import ConfigError, OperationalError, SignatureMismatch
from nbtasks.core.ids import new_id
from nbtasks.core.states import NAMES
from nbtasks.core.wirejson import to_json
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.periodicrecord import PeriodicRecord

from .ownperiodics import OwnPeriodic, OwnPeriodics
from .periodicsealing import record_of
from .presence import Presence

if TYPE_CHECKING:
    from nbtasks.client.batches.parcel import Call, CallOptions
    from nbtasks.client.definition import Definition
    from nbtasks.core.due.periodic import Periodic
    from nbtasks.core.due.periodicterms import PeriodicTerms

    from .session import Session

#: Times that a run is tried whose periodic task is changed meanwhile.
_MOST_TRIES = 5


class Periodics:
    """Of one session.

    Attributes:
        client: id under which this process says that it is there.
    """

    def __init__(self, session: Session, ttl_ms: int) -> None:
        self._session = session
        self._ttl_ms = ttl_ms
        self._store = session.new_line().periodic_store(session.keyring.id)
        self._sealer = Sealer(session.keyring, session.connection.namespace)
        self._codec = Codec(self._sealer)
        self.client = new_id()
        self._presence = Presence(self._store, self.client)
        self._own = OwnPeriodics(
            self._store, self._sealer, self._presence, self._keep, session.roster.runners
        )

    def put(
        self,
        task: Definition,
        calls: Sequence[Call],
        options: CallOptions,
        terms: PeriodicTerms,
        chunk: int | None = None,
    ) -> None:
        """Put a periodic task, or another version of one."""
        record, function = record_of(
            self._session, task, calls, options, terms, chunk, self._ttl_ms, self.client
        )
        self._put(record, function)

    def _put(self, record: PeriodicRecord, function: bytes) -> None:
        task, frame = record.task, record.sealed(self._sealer)
        # Also of one that stays: as long as this process is there, it puts it again where the broker has lost it.
        self._own.begin()
        now_ms, _ = self._store.look(task.id)
        first = task.timetable.first(now_ms / 1000)
        if first is None:
            raise ConfigError(f"{task.name}: {task.timetable.text} is never due")
        next_ms = self._keep(task, frame, function, round(first * 1000))
        self._own.note(OwnPeriodic(task, frame, function, next_ms, is_paused=next_ms is None))

    def _keep(self, task: Periodic, frame: bytes, function: bytes, first_ms: int) -> int | None:
        """Have the broker keep one; returns when it is due next (ms)."""
        text = to_json(task.timetable.to_wire())
        for sent in (b"", function):
            try:
                return self._store.put(
                    task.id, frame, text, task.function, sent, task.client, first_ms, task.ttl_ms
                )
            except FunctionMissing:
                continue
        raise OperationalError(f"{task.name}: the broker does not keep its code")

    def all(self) -> list[PeriodicFacts]:
        """Return what is known of all that are signed with this key, the next one first, those that pause last."""
        _, found = self._store.look()
        pairs = [pair for one in found if (pair := self._opened(one)) is not None]
        pairs.sort(key=lambda pair: (pair[1].next_ms is None, pair[1].next_ms or 0, pair[0].task.name))
        return [_facts_of(record, standing, self.client) for record, standing in pairs]

    def find(self, name: str) -> PeriodicFacts | None:
        """Return what is known of one; None where there is none."""
        found = self._find(name)
        return None if found is None else _facts_of(found[1], found[2], self.client)

    def _find(self, name: str) -> tuple[int, PeriodicRecord, PeriodicStanding] | None:
        """Return the server's time (ms), and what is there under a name."""
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
        """Submit a run beside the timetable; returns its batch.

        Raises:
            ConfigError: there is none of this name, or its run before goes on.
        """
        for _ in range(_MOST_TRIES):
            found = self._find(name)
            if found is None:
                raise missing(name)
            _, record, standing = found
            now, batch, task = self._session.clock.now(), new_id(), record.task
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
        found = self._find(name)
        if found is None:
            raise missing(name)
        now_ms, record, _ = found
        due = record.task.timetable.first(now_ms / 1000)
        self._store.resume(record.task.id, round((due or 0.0) * 1000))

    def remove(self, name: str) -> bool:
        """Remove one; False where there is none."""
        return self._own.remove(id_of(name))

    def close(self) -> None:
        """Remove those that end with this session.

        Raises:
            OperationalError: the broker does not answer; they end by themselves then.
        """
        for id in self._own.end():
            self._store.remove(id, self.client)
        self._presence.end()


def _facts_of(record: PeriodicRecord, standing: PeriodicStanding, client: str) -> PeriodicFacts:
    """Return what is known of one.

    Args:
        client: id of this process.
    """
    task = record.task
    where = zone(task.timetable.tz)

    def at(moment_ms: float) -> datetime:
        return datetime.fromtimestamp(moment_ms / 1000, where)

    if not task.client:
        ends_with = STAYS
    elif task.client == client:
        ends_with = WITH_THIS
    else:
        ends_with = WITH_ANOTHER if standing.is_there else GONE
    runs = tuple(
        PeriodicRun(at(due), batch, NAMES[code] if code < len(NAMES) else "")
        for due, batch, code in standing.last
    )
    return PeriodicFacts(
        task.name,
        task.timetable.text,
        task.label.name,
        task.label.queue,
        task.count,
        None if standing.next_ms is None else at(standing.next_ms),
        standing.paused_ms is not None,
        runs,
        standing.runs,
        standing.overlapped,
        standing.missed,
        ends_with,
        task.owner,
        at(task.coded_at * 1000),
        task.code,
    )


def _version_of(frame: bytes) -> str:
    """Return the hash by which the server tells versions apart."""
    return hashlib.sha1(frame, usedforsecurity=False).hexdigest()
