"""From a task and arguments to a parcel and its ledger, whatever the engine. What becomes of them is the engine's."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from nbtasks.client import observers, whence
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.mending import Mending
from nbtasks.client.batches.parcel import Call, CallOptions, Parcel
from nbtasks.client.batches.provenance import Provenance
from nbtasks.client.conf import routes
from nbtasks.client.definition import Definition, as_it_is_now
from nbtasks.client.group import GroupResult
from nbtasks.client.recorded import recorded
from nbtasks.client.result import AsyncResult
from nbtasks.client.settled import routed, without_reach, zone_of
from nbtasks.client.submittedbytasks import note_child
from nbtasks.core.callheader import OVERRIDABLE, CallHeader
from nbtasks.core.errors import ConfigError
from nbtasks.core.ids import batch_of, new_id
from nbtasks.core.keywords import CallKeywords, OnError, TaskKeywords, meanings
from nbtasks.core.options import TaskOptions
from nbtasks.core.starttimes import countdown_until, expires_in
from nbtasks.core.states import RETRIABLE_CODES

from . import publishing
from .arguments import AsPacked, Taken, checked, taken
from .beside import refuse_known, take_beside
from .feeder import Feeder
from .packing import Packer
from .uniqueness import claimed, refuse_many

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine

ON_ERROR = get_args(OnError)
#: Whoever asks for a call that another thread is just submitting again finds that it does not fail any more.
RETRYING = threading.RLock()
#: Options of a task that travel with its function, and are the same for all calls.
_OF_THE_TASK = meanings(TaskKeywords).keys() - meanings(CallKeywords).keys()


@dataclass(frozen=True)
class MapOptions:
    """What can be set on one map."""

    chunk: int | None = None
    max_parallel: int | None = None
    on_error: str = "raise"
    quiet: bool = False
    label: str | None = None
    #: Number of items, where it is known before they are read.
    length: int | None = None
    #: Items may be made on the way, and be changed when the next one is asked for: a buffer that is filled again, say.
    as_taken: bool = False

    def __post_init__(self) -> None:
        for name in ("chunk", "max_parallel"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"{name}: {value!r} is not a whole number of 1 or more")
        if self.on_error not in ON_ERROR:
            raise ConfigError(f"on_error: {self.on_error!r} is not one of {', '.join(ON_ERROR)}")


def call_options(task: Definition, given: dict[str, Any], engine: Engine, single: bool) -> CallOptions:
    """Return checked options.

    Raises:
        ConfigError: an unknown option, a bad value, or one that this engine cannot do.
    """
    if not given and task.plain_options is not None and task.plain_options[0] is engine.mark:
        known: CallOptions = task.plain_options[1]
        return known
    options = engine.checked(_checked_options(task, given, single))
    if not given and single:
        alone = options.task.memo or options.task.is_locked
        options = dataclasses.replace(options, plain=not alone)
        task.plain_options = (engine.mark, options)
    return options


def check_options(task: Definition, given: dict[str, Any]) -> None:
    """Raise ConfigError for options of a call that no submit would take."""
    _checked_options(task, given, single=True)


def _checked_options(task: Definition, given: dict[str, Any], single: bool) -> CallOptions:
    rest = dict(given)
    beside = take_beside(rest, single)
    for name in rest.keys() & _OF_THE_TASK:
        raise ConfigError(
            f"{name} is an option of the task, not of one call: say it at its definition, @task({name}=...)"
        )
    now, zone = time.time(), zone_of(task)
    delay = countdown_until(rest.pop("countdown", None), rest.pop("eta", None), now, zone)
    label, quiet = rest.pop("label", None) or beside.shadow or None, bool(rest.pop("quiet", True))
    rerun, again = bool(rest.pop("rerun", False)), bool(rest.pop("again", False))
    if rest.get("expires") is not None:
        rest["expires"] = expires_in(rest["expires"], now, zone)
    base = task.options
    rest.update(without_reach(rest, task, base))
    options = TaskOptions.make(rest, base)
    if rerun and not options.memo:
        raise ConfigError(
            "rerun: without memo=True no kept results are taken, and every call runs; leave it out"
        )
    named = {"max_retries" if name == "retries" else name for name in {*given, *rest}}
    header = CallHeader(
        name=task.name,
        single=single,
        preview=single and not quiet,
        at_most_once=not options.acks_late,
        seed=options.seed,
        task_id=beside.task_id,
        shadow=beside.shadow,
        user_headers=beside.headers,
        eta_at=now + delay if delay > 0 else None,
        overrides={name: getattr(options, name) for name in OVERRIDABLE if name in named},
    )
    return CallOptions(options, delay, label, quiet, header, rerun=rerun, again=again)


def submit_call(
    engine: Engine, task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any], given: dict[str, Any]
) -> AsyncResult:
    """Submit one call."""
    task.check(args, kwargs)
    if routes.functions_asked or task.plain_options is None:
        given = routed(task, args, kwargs, given)
    is_unique = task.options.is_unique
    is_new = is_unique and given.get("task_id") is None
    if is_unique:
        there, own_id = claimed(engine, task, args, kwargs, given.get("task_id"))
        if there is not None:
            return AsyncResult.of(there, 0)
        given = {**given, "task_id": own_id}
    told = publishing.is_told()
    if told:
        given = publishing.tell_before(task, given, (args, kwargs))
    options = call_options(task, given, engine, single=True)
    if options.header.task_id and not is_new:
        refuse_known(engine, options.header.task_id)
    batch, index = engine.submit_call(task, (args, kwargs), options)
    handle = AsyncResult.of(batch, index)
    note_child(handle)
    if options.header.task_id:
        # The caller knows it already, and may have told others.
        recorded(batch)
    if told:
        publishing.tell_after(task, given, (args, kwargs), handle.id)
    if not options.quiet:
        observers.submitted(handle, batch)
    return handle


def submit_map(
    engine: Engine,
    task: Definition,
    tuples: Iterable[tuple[Any, ...]],
    how: MapOptions,
    given: dict[str, Any],
) -> GroupResult:
    """Submit one call for each tuple of arguments."""
    refuse_many(task)
    given = routed(task, (), {}, given)
    if not publishing.is_told():
        return _submit_map(engine, task, tuples, how, given)
    given = publishing.tell_before(task, given, ((), {}))
    handle = _submit_map(engine, task, tuples, how, given)
    publishing.tell_after(task, given, ((), {}), handle.id)
    return handle


def _submit_map(
    engine: Engine,
    task: Definition,
    tuples: Iterable[tuple[Any, ...]],
    how: MapOptions,
    given: dict[str, Any],
) -> GroupResult:
    options = call_options(task, {"label": how.label, "quiet": how.quiet, **given}, engine, single=False)
    if options.task.memo:
        return _shown(_submit_reusing(engine, task, tuples, how, options))
    if how.max_parallel is not None:
        return _shown(_submit_windowed(engine, task, tuples, how, options))
    packer = packer_of(engine, task, options)
    calls: Sequence[Call]
    payloads: Iterable[bytes]
    if how.as_taken:
        calls, payloads = taken(engine.shelf, task, tuples, packer)
    else:
        calls = checked(task, tuples)
        payloads = packer.payloads(calls)
    return _submit_calls(engine, task, calls, how, options, packer, payloads)


def _submit_reusing(
    engine: Engine,
    task: Definition,
    tuples: Iterable[tuple[Any, ...]],
    how: MapOptions,
    options: CallOptions,
) -> Ledger:
    """Submit those calls of which no earlier run has left the result."""
    if how.max_parallel is not None:
        raise ConfigError(
            f"max_parallel={how.max_parallel}: with memo=True all calls are looked up before the first one is sent, "
            "and a map with max_parallel reads its items one by one; leave one of them out"
        )
    packer = packer_of(engine, task, options)
    calls: Sequence[Call]
    if how.as_taken:
        calls, packed = taken(engine.shelf, task, tuples, packer)
    else:
        calls, packed = checked(task, tuples), []

    def payloads(indexes: Sequence[int]) -> Iterable[bytes]:
        return (packed[n] for n in indexes) if packed else packer.payloads_at(calls, indexes)

    parcel = Parcel(task, options, calls)
    parcel.blobs, parcel.needs = packer.pieces, packer.needs
    batch = ledger_of(engine, parcel, len(calls), "map", how.on_error)
    as_packed = AsPacked(calls, packed, engine.shelf) if how.as_taken else calls
    engine.submit_reusing(batch, parcel, as_packed, payloads, how.chunk)
    return batch


def _submit_calls(
    engine: Engine,
    task: Definition,
    calls: Sequence[Call],
    how: MapOptions,
    options: CallOptions,
    packer: Packer,
    payloads: Iterable[bytes],
) -> GroupResult:
    """Submit a map whose items are known."""
    parcel = Parcel(task, options, calls)
    parcel.blobs, parcel.needs = packer.pieces, packer.needs
    batch = ledger_of(engine, parcel, len(calls), "map", how.on_error)
    engine.submit(batch, parcel, payloads, how.chunk)
    return _shown(batch)


def _submit_windowed(
    engine: Engine,
    task: Definition,
    tuples: Iterable[tuple[Any, ...]],
    how: MapOptions,
    options: CallOptions,
) -> Ledger:
    calls = Taken(engine.shelf)
    parcel = Parcel(task, options, calls)
    batch = ledger_of(engine, parcel, how.length or 0, "map", how.on_error)
    batch.leave_open()
    engine.open(batch, parcel)

    def send(index: int, args: tuple[Any, ...]) -> None:
        task.check(args, {})
        call: Call = (args, {})
        if index >= batch.n:
            batch.grow(index + 1)
        packer = packer_of(engine, task, options)
        payloads = list(packer.payloads([call], index))
        calls.add(args, payloads[0])
        engine.add(batch, parcel, index, payloads, packer.pieces, packer.needs)

    Feeder(batch, parcel, engine, tuples, how.max_parallel or 1, send).start()
    return batch


def _shown(batch: Ledger) -> GroupResult:
    handle = GroupResult.of(batch)
    note_child(handle)
    if not batch.quiet:
        observers.submitted(handle, batch)
    return handle


def retry_failed(engine: Engine, batch: Ledger, parcel: Parcel, index: int | None = None) -> None:
    """Submit what failed or was revoked again, in a batch of its own; what becomes of it there counts in ``batch``.

    Args:
        index: of the one call that is meant; all of them if None.

    Raises:
        ConfigError: nothing failed.
    """
    with RETRYING:
        meant = range(batch.n) if index is None else range(batch.n)[index : index + 1]
        bad = [one for one in meant if batch.states[one] in RETRIABLE_CODES]
        if batch.problem is not None:
            raise ConfigError(
                f"{batch.name} ({batch.id}) did not get as far as to all of its calls, so they cannot be repaired: "
                f"{batch.problem}. Submit it anew"
            )
        if not bad:
            raise ConfigError(f"no call of {batch.name} ({batch.id}) has failed")
        # What a single card shows of its result, it shows of this one.
        header = dataclasses.replace(parcel.options.header, single=False, task_id="")
        options = dataclasses.replace(
            parcel.options,
            header=header,
            label=f"{batch.title} (again)",
            delay_s=0.0,
            plain=False,
            quiet=True,
        )
        task, calls = as_it_is_now(parcel.task), [parcel.calls[one] for one in bad]
        for args, kwargs in calls if task is not parcel.task else ():
            task.check(args, kwargs)
        packer, again = packer_of(engine, task, options), Parcel(task, options, calls)
        payloads = packer.payloads(calls)
        again.blobs, again.needs = packer.pieces, packer.needs
        sent = ledger_of(engine, again, len(calls), "map", batch.origin.on_error)
        repair = Mending(batch, bad, sent)
        engine.submit(sent, again, payloads)
        # Not before: had it not been submitted, the calls would still be what they were.
        repair.begin()
    observers.reopened(batch)
    engine.registry.announce()


def packer_of(engine: Engine, task: Definition, options: CallOptions) -> Packer:
    """Return what packs the arguments of one submit."""
    in_file = functools.partial(engine.share_files, options.task.queue)
    return Packer(task.name, engine.shelf, in_file, engine.home)


def ledger_of(engine: Engine, parcel: Parcel, n: int, kind: str, on_error: str = "raise") -> Ledger:
    """Return a new ledger of ``n`` calls, of which nothing is known yet."""
    options = parcel.options
    eta_at = time.time() + options.delay_s if options.delay_s > 0 else None
    origin = Provenance(
        parcel.task.name, options.task.queue, options.label, kind, whence.submitter(), options.quiet,
        options.header.single, eta_at, on_error, options.header.task_id,
    )  # fmt: skip
    own_id = options.header.task_id
    return Ledger(batch_of(own_id) if own_id else new_id(), n, origin, engine, parcel)
