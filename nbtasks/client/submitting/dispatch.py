"""From a task and arguments to a submitted batch."""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from nbtasks.broker.redis.keys import lane_of
from nbtasks.client import observers, whence
from nbtasks.client.batches.ledger import Ledger, Origin
from nbtasks.client.batches.parcel import Call, CallOptions, Parcel
from nbtasks.client.batches.sent import Sent
from nbtasks.client.definition import Definition
from nbtasks.client.group import GroupResult
from nbtasks.client.home import BoundFor
from nbtasks.client.result import AsyncResult
from nbtasks.client.sending.packing import Packer
from nbtasks.client.session import Session
from nbtasks.core.errors import ConfigError
from nbtasks.core.header import OVERRIDABLE, CallHeader
from nbtasks.core.ids import new_id
from nbtasks.core.keywords import CallKeywords, OnError, TaskKeywords, meanings
from nbtasks.core.options import TaskOptions, countdown_until, expires_in
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE
from nbtasks.core.warning import warn
from nbtasks.wire.codec import Chunk, Codec, Sealed
from nbtasks.wire.modules.manifest import Manifest, Needs
from nbtasks.wire.pickling import simple_call
from nbtasks.wire.values import BlobPiece, files_of

from . import chunking, fingerprint
from .arguments import Taken, checked, taken
from .feeder import Feeder

ON_ERROR = get_args(OnError)
#: Bytes of a function as it travels.
_LARGE_FUNCTION = 2**20
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


def call_options(task: Definition, given: dict[str, Any], session: Session, single: bool) -> CallOptions:
    """Return checked options.

    Raises:
        ConfigError: an unknown option or a bad value.
    """
    if not given and task.plain_options is not None and task.plain_options[0] is session.codec:
        known: CallOptions = task.plain_options[1]
        return known
    options = _checked_options(task, given, session, single)
    if not given and single:
        task.plain_options = (session.codec, options)
    return options


def _checked_options(task: Definition, given: dict[str, Any], session: Session, single: bool) -> CallOptions:
    rest = dict(given)
    for name in rest.keys() & _OF_THE_TASK:
        raise ConfigError(
            f"{name} is an option of the task, not of one call: say it at its definition, @task({name}=...)"
        )
    now = time.time()
    delay = countdown_until(rest.pop("countdown", None), rest.pop("eta", None), now)
    label, quiet = rest.pop("label", None), bool(rest.pop("quiet", True))
    if rest.get("expires") is not None:
        rest["expires"] = expires_in(rest["expires"], now)
    options = TaskOptions.make(rest, task.options)
    named = {"max_retries" if name == "retries" else name for name in given}
    header = CallHeader(
        name=task.name,
        lane=lane_of(options.priority),
        single=single,
        preview=single and not quiet,
        at_most_once=not options.acks_late,
        seed=options.seed,
        result_limit=session.result_limit,
        place=session.files.place if session.files is not None else "",
        overrides={name: getattr(options, name) for name in OVERRIDABLE if name in named},
    )
    return CallOptions(options, delay, label, quiet, header)


def submit_call(
    session: Session, task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any], given: dict[str, Any]
) -> AsyncResult:
    """Submit one call."""
    task.check(args, kwargs)
    options = call_options(task, given, session, single=True)
    call: Call = (args, kwargs)
    payload, pieces = simple_call(call), []
    if payload is None:
        packer = _packer(session, task, options.task.queue)
        payload, pieces = packer.payload(call, 0), packer.pieces
        _note_modules(session, task, packer.needs)
    if not (given or pieces or session.sender.quiet) and options.quiet:
        return _submit_together(session, task, call, payload, options)
    parcel = Parcel(task, options, *ship(session, task), [call], _due_ms(session, options))
    batch = _open(session, task, options, 1, "call", True, "raise", parcel)
    _send(session, batch, parcel, options, [[payload]], pieces)
    handle = AsyncResult.of(batch, 0, session)
    if not options.quiet:
        observers.submitted(handle, batch)
    return handle


def _submit_together(
    session: Session, task: Definition, call: Call, payload: bytes, options: CallOptions
) -> AsyncResult:
    """Submit a call with those of its kind that wait to be sent already."""
    digest, frame = ship(session, task)

    def open_batch() -> tuple[Ledger, Parcel]:
        parcel = Parcel(task, options, digest, frame, ())
        return _open(session, task, options, 0, "call", False, "raise", parcel), parcel

    def seal(batch: Ledger, parcel: Parcel, payloads: list[bytes]) -> list[Sent]:
        chunks = _cut(session, batch, parcel, payloads, len(payloads))
        return _sealed(session, batch, parcel, _of_many(options), chunks, 0, ())

    batch, index = session.sender.join((digest, options), call, payload, open_batch, seal)
    return AsyncResult.of(batch, index, session)


def _of_many(options: CallOptions) -> CallOptions:
    header = dataclasses.replace(options.header, single=False, preview=False)
    return dataclasses.replace(options, header=header)


def submit_map(
    session: Session,
    task: Definition,
    tuples: Iterable[tuple[Any, ...]],
    how: MapOptions,
    given: dict[str, Any],
) -> GroupResult:
    """Submit one call for each tuple of arguments."""
    options = call_options(task, {"label": how.label, "quiet": how.quiet, **given}, session, single=False)
    if how.max_parallel is not None:
        return _submit_windowed(session, task, tuples, how, options)
    if not how.as_taken:
        return _submit_calls(session, task, checked(task, tuples), how, options)
    packer = _packer(session, task, options.task.queue)
    calls, payloads = taken(session.shelf, task, tuples, packer)
    return _submit_calls(session, task, calls, how, options, (packer, payloads))


def _submit_calls(
    session: Session,
    task: Definition,
    calls: Sequence[Call],
    how: MapOptions,
    options: CallOptions,
    packed: tuple[Packer, Iterable[bytes]] | None = None,
) -> GroupResult:
    """Submit a map.

    Args:
        packed: the calls as they were packed already, and by whom.
    """
    function, frame = ship(session, task) if calls else ("", b"")
    parcel = Parcel(task, options, function, frame, calls, _due_ms(session, options))
    batch = _open(session, task, options, len(calls), "map", False, how.on_error, parcel)
    if calls:
        if packed is None:
            packer = _packer(session, task, batch.queue)
            packed = packer, packer.payloads(calls)
        packer, payloads = packed
        chunks = _cut(session, batch, parcel, payloads, len(calls), how.chunk)
        _send(session, batch, parcel, options, chunks, packer.pieces, _Along(session, task, packer.needs))
    else:
        session.registry.finish_empty(batch)
    handle = GroupResult.of(batch, session)
    if not options.quiet:
        observers.submitted(handle, batch)
    return handle


def _submit_windowed(
    session: Session,
    task: Definition,
    tuples: Iterable[tuple[Any, ...]],
    how: MapOptions,
    options: CallOptions,
) -> GroupResult:
    calls = Taken(session.shelf)
    parcel = Parcel(task, options, *ship(session, task), calls, _due_ms(session, options))
    batch = _open(session, task, options, how.length or 0, "map", False, how.on_error, parcel)
    batch.leave_open()

    def send(index: int, args: tuple[Any, ...]) -> None:
        task.check(args, {})
        call: Call = (args, {})
        if index >= batch.n:
            batch.grow(index + 1)
        packer = _packer(session, task, batch.queue)
        payloads = list(packer.payloads([call], index))
        calls.add(args, payloads[0])
        there = len(parcel.blobs)
        along = _Along(session, task, packer.needs)
        sent = _sealed(session, batch, parcel, options, [payloads], index, packer.pieces, there, along)
        parcel.blobs += packer.pieces
        session.sender.send(batch, parcel, sent, new=index == 0, open_end=True, pieces_from=there)

    Feeder(batch, parcel, session, tuples, how.max_parallel or 1, send).start()
    handle = GroupResult.of(batch, session)
    if not options.quiet:
        observers.submitted(handle, batch)
    return handle


def _due_ms(session: Session, options: CallOptions) -> int:
    return round((session.clock.now() + options.delay_s) * 1000) if options.delay_s > 0 else 0


def _open(
    session: Session,
    task: Definition,
    options: CallOptions,
    n: int,
    kind: str,
    single: bool,
    on_error: str,
    parcel: Parcel,
) -> Ledger:
    eta_at = time.time() + options.delay_s if options.delay_s > 0 else None
    origin = Origin(
        task.name,
        options.task.queue,
        options.label,
        kind,
        whence.submitter(),
        options.quiet,
        single,
        eta_at,
        on_error,
    )
    return Ledger(new_id(), n, origin, session.engine, parcel)


def retry_failed(session: Session, batch: Ledger, parcel: Parcel) -> GroupResult:
    """Submit what failed or was revoked again, as a new map.

    Raises:
        ConfigError: nothing failed.
    """
    bad = [index for index in range(batch.n) if batch.states[index] in (FAILURE_CODE, REVOKED_CODE)]
    if not bad:
        raise ConfigError(f"no call of {batch.name} ({batch.id}) has failed")
    label = f"{batch.label or batch.name} (again)"
    again = dataclasses.replace(_of_many(parcel.options), label=label, delay_s=0.0)
    calls = [parcel.calls[index] for index in bad]
    return _submit_calls(session, parcel.task, calls, MapOptions(on_error=batch.origin.on_error), again)


def _send(
    session: Session,
    batch: Ledger,
    parcel: Parcel,
    options: CallOptions,
    chunks: Iterable[list[bytes]],
    pieces: list[BlobPiece],
    along: _Along | None = None,
) -> None:
    """Submit a whole batch; ``pieces`` is what was put apart of it, and may grow while the chunks are read."""
    parcel.blobs = pieces
    sent = _sealed(session, batch, parcel, options, chunks, 0, pieces, along=along)
    session.registry.add(batch)
    session.sender.send(batch, parcel, sent)


def _cut(
    session: Session,
    batch: Ledger,
    parcel: Parcel,
    payloads: Iterable[bytes],
    n: int,
    chunk: int | None = None,
) -> Iterator[list[bytes]]:
    pace, slots = session.intake.pace.get(parcel.function), session.roster.slots(batch.queue) if n > 1 else 1
    return chunking.cut(payloads, n, pace, slots, chunk)


def _packer(session: Session, task: Definition, queue: str) -> Packer:
    return Packer(task.name, session.shelf, lambda: session.roster.share_files(queue), session.home)


def _sealed(
    session: Session,
    batch: Ledger,
    parcel: Parcel,
    options: CallOptions,
    chunks: Iterable[list[bytes]],
    first: int,
    pieces: Sequence[BlobPiece],
    before: int = 0,
    along: _Along | None = None,
) -> list[Sent]:
    """Return signed chunks.

    Args:
        pieces: what was put apart of them so far; it may grow while the chunks are read.
        before: pieces that the batch had already.
        along: the local modules that they may need.
    """
    not_after = None
    if options.task.expires is not None:
        # What is over already is over for everybody, however exactly they reckon the server's time.
        not_after = session.clock.now() + options.task.expires if options.task.expires else 0.0
    lane, address = lane_of(options.task.priority), session.roster.address(batch.queue)
    sent = []
    for part in chunks:
        files = [name for payload in part for name in files_of(payload)] if pieces else []
        modules = along.packed() if along is not None else b""
        header = options.header
        if files or modules:
            header = dataclasses.replace(header, files=tuple(files), modules=modules)
        chunk = Chunk(batch.id, parcel.function, first, part, header, not_after, address)
        frame = session.codec.seal_chunk(chunk)
        sent.append(Sent(first, len(part), lane, frame, not_after, before + len(pieces)))
        first += len(part)
    if not_after is not None:
        session.expiry.watch(batch, not_after)
    return sent


@dataclass(frozen=True)
class PackedFunction:
    """A task's function as it was packed last.

    Attributes:
        mark: its fingerprint.
        modules: as in :class:`Definition`.
    """

    mark: fingerprint.Fingerprint | None
    modules: frozenset[str]
    sealed: Sealed
    codec: Codec

    def is_current(self, session: Session, task: Definition, mark: fingerprint.Fingerprint | None) -> bool:
        """Whether it provably is what would be packed now."""
        if self.codec is not session.codec or not fingerprint.same(mark, self.mark):
            return False
        sealed = self.sealed
        return self.modules is task.modules and (
            not sealed.roots[0] or self.codec.manifest(sealed.roots) == sealed.manifest
        )


def ship(session: Session, task: Definition) -> tuple[str, bytes]:
    """Return content hash and frame of a task's function; packed anew unless it provably is what was packed before."""
    before: PackedFunction | None = task.shipped
    mark = fingerprint.fingerprint(task.function)
    if before is not None and before.is_current(session, task, mark):
        return before.sealed.digest, before.sealed.frame
    _refuse_bound_to_kernel(task.function)
    with BoundFor(session.home):
        sealed = session.codec.seal_function(task.function, task.options, task.modules)
    _note_size(task, len(sealed.frame))
    task.shipped = PackedFunction(mark, task.modules, sealed, session.codec)
    return sealed.digest, sealed.frame


def _note_size(task: Definition, size: int) -> None:
    """Warn about a function that captures much; it is sent with every change of it."""
    if size > _LARGE_FUNCTION:
        warn(
            f"{task.name} captures {size / 2**20:.1f} MB of data, sent once for each version of the function. "
            "%%task --dry-run shows what it is"
        )


def _note_modules(session: Session, task: Definition, needs: Needs) -> Manifest | None:
    """Remember which local modules arguments need, so that the function brings them; return them, if there are any."""
    roots = needs.roots()
    manifest = session.codec.manifest(roots) if roots[0] else None
    if manifest is None or not manifest.modules:
        return None
    if not manifest.modules.keys() <= task.modules:
        task.modules = task.modules.union(manifest.modules)
    return manifest


class _Along:
    """Local modules that arguments of a map need and its function, which went before them, does not bring."""

    def __init__(self, session: Session, task: Definition, needs: Needs) -> None:
        self._session = session
        self._task = task
        self._needs = needs
        self._brought = task.shipped.sealed.manifest
        self._packed: tuple[Manifest | None, bytes] = (None, b"")

    def packed(self) -> bytes:
        """Return those that are needed by now; empty where there are none."""
        manifest = _note_modules(self._session, self._task, self._needs)
        if manifest is None or manifest.modules.keys() <= self._brought.modules.keys():
            return b""
        if self._packed[0] != manifest:
            rest = manifest.without(self._brought.modules)
            self._packed = (manifest, rest.packed)
        return self._packed[1]


def _refuse_bound_to_kernel(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"{getattr(function, '__name__', function)!r} is a generator function, and a generator cannot be a result; "
            "return a list"
        )
