"""From a task, arguments and terms to what the server keeps of a periodic task, signed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.client import whence
from nbtasks.client.batches.parcel import Parcel
from nbtasks.client.ofworkers import of_workers
from nbtasks.client.submitting.chunking import cut
from nbtasks.client.submitting.locking import locks_at
from nbtasks.client.submitting.packing import Packer
from nbtasks.client.submitting.shipping import note_modules, ship
from nbtasks.core.due.periodic import MOST_BYTES, Periodic
from nbtasks.core.errors import ConfigError
from nbtasks.core.label import BatchLabel
from nbtasks.core.lanenames import lane_of
from nbtasks.wire.periodicrecord import PeriodicRecord

if TYPE_CHECKING:
    from nbtasks.client.batches.parcel import Call, CallOptions
    from nbtasks.client.definition import Definition
    from nbtasks.core.due.periodicterms import PeriodicTerms

    from .session import Session


def record_of(
    session: Session,
    task: Definition,
    calls: Sequence[Call],
    options: CallOptions,
    terms: PeriodicTerms,
    chunk: int | None,
    ttl_ms: int,
    client: str,
) -> tuple[PeriodicRecord, bytes]:
    """Return the record of a periodic task, and the frame of its function.

    Args:
        ttl_ms: milliseconds that the results of each run are kept.
        client: what it ends with, unless it stays.

    Raises:
        NotPicklable: an argument, or what the function captures, cannot travel.
        ConfigError: the arguments are too large to travel with each run, or an option makes no sense with it.
    """
    if options.task.memo:
        raise ConfigError(
            f"{terms.name}: memo=True would give each run the result of the first one; say memo=False"
        )
    if not calls:
        raise ConfigError(f"{terms.name}: there is nothing to run: the clause has no items")
    for args, kwargs in calls:
        task.check(args, kwargs)
    packer = Packer(task.name, session.shelf, lambda: False, session.home)
    payloads = list(packer.payloads(calls))
    size = sum(map(len, payloads)) + sum(len(data) for _, data in packer.pieces)
    if packer.pieces or size > MOST_BYTES:
        raise ConfigError(
            f"{terms.name}: its arguments take {size / 2**20:.1f} MB, and travel with each run, so they may take "
            f"{MOST_BYTES // 2**20} MB and no single one 64 KB: have the task itself fetch them, or pass a path"
        )
    note_modules(session.codec, task, packer.needs)
    function, frame = ship(session.codec, session.home, task)
    slots = session.roster.slots(options.task.queue) if len(calls) > 1 else 1
    pace = session.registry.paces.of(function)
    # While one waits for its locks, others may have theirs.
    fixed = 1 if options.task.is_locked else chunk
    chunks = tuple(len(part) for part in cut(payloads, len(payloads), pace, slots, fixed))
    parcel = Parcel(task, options, calls)
    locks = tuple(locks_at(parcel, index) for index in range(len(calls))) if options.task.is_locked else ()
    now, lane = session.clock.now(), lane_of(options.task.priority)
    single = options.header.single
    label = BatchLabel(
        len(calls), function, task.name, options.task.queue, options.label, "call" if single else "map", single,
        None, "raise", lane, now, submitter=whence.submitter(),
    )  # fmt: skip
    version = "" if of_workers(task, session.codec.of_workers) else function[:8]
    periodic = Periodic(
        terms.name, terms.timetable, session.address(options.task.queue), function, chunks, options.header, label,
        ttl_ms, options.task.expires, terms.missed, terms.overlap, terms.jitter_s,
        "" if terms.keep else client, terms.owner, locks, now, version,
    )  # fmt: skip
    return PeriodicRecord(periodic, payloads), frame
