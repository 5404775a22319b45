"""Functions, chunks of calls, results and events as signed bytes, and back. Nothing is unpickled unverified."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbtasks.core import memo, shownlines
from nbtasks.core.callheader import CallHeader
from nbtasks.core.calloutput import CallOutput
from nbtasks.core.errors import SignatureMismatch
from nbtasks.core.events import CallEvent, from_wire, to_wire
from nbtasks.core.label import BatchLabel
from nbtasks.core.orders import Order
from nbtasks.core.wirefields import from_base64, items, number, to_base64
from nbtasks.core.wirejson import to_json
from nbtasks.core.workeranswer import WorkerAnswer

from . import pickling
from .frames import ANSWER, CHUNK, CONTROL, EVENT, FUNCTION, LABEL, RESULT, Header, Sealer
from .modules import byname
from .modules.manifest import Manifest, Needs, Roots, manifest_of
from .modules.requirements import needed_modules, say_who_needs
from .modules.world import World, world_of
from .opened import setups
from .opened.function import Function
from .payloads import Repeated, cut, lengths_of
from .workflowrecord import WorkflowRecord

_MOST_CHILDREN = 100_000
#: Epoch seconds, in the year 5138.
_END_OF_TIME = 1e11


@dataclass(frozen=True)
class Sealed:
    """A function as it is sent.

    Attributes:
        digest: hash of its content.
        roots: names of the modules that it may need.
        manifest: the local modules that it brings along.
    """

    digest: str
    frame: bytes
    roots: Roots
    manifest: Manifest


# One for each call, and to make one that is frozen takes four times as long.
@dataclass
class Chunk:
    """Calls of one batch that travel together.

    Attributes:
        first: index of the first call.
        payloads: pickled (args, kwargs) of each call.
        header: what is said of these calls.
        not_after: server time in epoch seconds from which the calls may no longer start, or None.
        address: the queue's address; a chunk that was put into another queue is refused.
    """

    batch: str
    function: str
    first: int
    payloads: Sequence[bytes | memoryview]
    header: CallHeader = CallHeader()  # noqa: RUF009 # it is frozen
    not_after: float | None = None
    address: str = ""

    def only(self, index: int) -> Chunk:
        """Return a chunk of one of the calls."""
        place, header = index - self.first, self.header
        if header.memo:
            header = dataclasses.replace(header, memo=memo.names_of(header.memo, place, 1))
        return Chunk(
            self.batch, self.function, index, [self.payloads[place]], header, self.not_after, self.address
        )


@dataclass(frozen=True)
class News:
    """What happens to calls of one batch while they run.

    Attributes:
        worker: its name, for people.
        reporter: the process that tells it.
        child: its number in the worker, None where it is no child.
        number: counts what that process tells, so that a repetition is noticed.
        events: in their order.
    """

    batch: str
    worker: str
    reporter: str
    number: int
    events: list[CallEvent]
    child: int | None = None


@dataclass
class Record:
    """Results of calls in a row.

    Attributes:
        states: one state code a call.
        seconds: run time of each call.
        payloads: pickled value, or pickled failure, of each call; empty for None.
        worker: who ran them.
        attempt: the number of the try that ended.
        given: index -> what it has given out besides its result, where that was something.
        child: the number of the worker's child that ran them; None where it is not known.
        told_at: when it was told, in the server's time; None where nobody noted when the calls began.
        begun: seconds from ``told_at`` to the begin of each call, which are negative; nan where it is not known.
        memo: names under which the results are kept, as in memo.py; empty where they are not.
        made: when each result was made that an earlier run has left (server time, 0 where it is not known); empty
            where all were made by this run.
        ahead_s: what to add to the server's time for that of this machine. Not sent.
    """

    batch: str
    first: int
    states: bytes
    seconds: Sequence[float]
    payloads: Sequence[bytes | memoryview]
    worker: str = ""
    attempt: int = 1
    given: dict[int, CallOutput] = field(default_factory=dict)
    child: int | None = None
    told_at: float | None = None
    begun: Sequence[float] = ()
    memo: bytes = b""
    made: Sequence[float] = ()
    ahead_s: float = 0.0

    def began_at(self, index: int) -> float | None:
        """Return when a call began, by this machine's clock."""
        if self.told_at is None:
            return None
        moment = self.told_at + self.begun[index - self.first] + self.ahead_s
        return moment if math.isfinite(moment) else None

    def made_at(self, index: int) -> float | None:
        """Return when a result was made by an earlier run, by this machine's clock; None where it was made by this."""
        if not self.made:
            return None
        return self.made[index - self.first] + self.ahead_s

    @classmethod
    def alike(
        cls,
        batch: str,
        first: int,
        count: int,
        state: int,
        payload: bytes = b"",
        worker: str = "",
        attempt: int = 1,
        shared: bool = False,
    ) -> Record:
        """Return a record of ``count`` calls that have ended in the same way, and not by running.

        Args:
            shared: the payload travels once; for those who know that.
        """
        payloads = Repeated(payload, count) if shared else [payload] * count
        return cls(batch, first, bytes([state]) * count, [0.0] * count, payloads, worker, attempt)


class Codec:
    """Turns calls and outcomes into signed bytes and back, for one namespace."""

    def __init__(self, sealer: Sealer, of_workers: Iterable[str] = ()) -> None:
        """Make one.

        Args:
            of_workers: names of modules that workers have of their own, whatever is here.
        """
        self._sealer = sealer
        self.of_workers = frozenset(of_workers)
        #: What each function brings along to prepare the processes that it comes to.
        self.setups: Sequence[Callable[[], Any]] = ()
        #: What was said of the last chunk that was opened, and what was read from it: of most it is the same.
        self._last_said: tuple[Header, CallHeader] = {}, CallHeader()

    def manifest(self, roots: Roots) -> Manifest:
        """Return the local modules that are needed, as they are now."""
        return manifest_of(roots, self.of_workers)

    def seal_function(
        self, function: Any, options: Any, modules: frozenset[str] = frozenset(), by_name: bool = False
    ) -> Sealed:
        """Return a callable and its options as they are sent.

        The hash names a cache entry and nothing else: equal functions may have different hashes.

        Args:
            modules: names of those that it has to bring along besides its own.
            by_name: workers have it of their own, so it does not look for modules where this process does.
        """
        needs = Needs(set(modules))
        with byname.noting(needs):
            call, packed = pickling.dump_function(function), pickling.dump_function(options)
            prepare = setups.packed(self.setups)
        roots = needs.roots()
        manifest = self.manifest(roots)
        parts = {
            "call": call,
            "options": packed,
            "lines": shownlines.lines_for(function),
            "world": (manifest.without_paths() if by_name else manifest).packed,
            "needed": needed_modules(function),
            "setups": prepare,
        }
        body = pickling.dump_plain(parts)
        digest = hashlib.sha256(body).hexdigest()
        return Sealed(digest, self._sealer.seal(FUNCTION, {"h": digest}, body), roots, manifest)

    def open_function(self, frame: bytes, digest: str) -> Function:
        """Rebuild a callable, with its source lines for tracebacks and the local modules that it imports."""
        parts = self._parts_of(frame, digest)
        try:
            world = world_of(parts["world"])
            setups.run_new(parts["setups"], world)
            return Function(digest, (parts["call"], parts["options"]), world)
        except ModuleNotFoundError as error:
            say_who_needs(error, parts["needed"])
            raise

    def as_sent(self, sealed: Sealed) -> tuple[bytes, bytes, World | None]:
        """Return a callable and its options, pickled, and the world that they are to be read in."""
        parts = self._parts_of(sealed.frame, sealed.digest)
        return parts["call"], parts["options"], world_of(parts["world"])

    def _parts_of(self, frame: bytes, digest: str) -> dict[str, Any]:
        _, body = self._sealer.open(FUNCTION, frame, h=digest)
        parts: dict[str, Any] = pickling.load_plain(body)
        for file, text in parts["lines"].items():
            shownlines.show(file, text)
        return parts

    def lines_of(self, frame: bytes, digest: str) -> None:
        """Make the source lines of a function known here, without rebuilding it."""
        _, body = self._sealer.open(FUNCTION, frame, h=digest)
        shownlines.show_unless_known(pickling.load_plain(body)["lines"])

    def seal_chunk(self, chunk: Chunk, kid: str = "") -> bytes:
        """Return the frame of a chunk; ``kid`` as in :meth:`Sealer.seal`."""
        header = {
            "b": chunk.batch,
            "f": chunk.function,
            "i": chunk.first,
            "n": len(chunk.payloads),
            "ad": chunk.address,
        }
        if chunk.not_after is not None:
            header["na"] = chunk.not_after
        return self._sealer.seal(
            CHUNK, header, lengths_of(chunk.payloads), *chunk.payloads, more=chunk.header.json, kid=kid
        )

    def open_chunk(self, frame: bytes, batch: str, address: str = "") -> Chunk:
        """Verify a chunk of a batch, found in the queue with this address, and cut it into calls.

        Raises:
            SignatureMismatch: it is not what was asked for, or another version has said of it what cannot be read here.
        """
        header, body = self._sealer.open(CHUNK, frame, b=batch, ad=address)
        del header["b"], header["ad"]
        function, first, n, not_after = (
            header.pop("f"),
            header.pop("i"),
            header.pop("n"),
            header.pop("na", None),
        )
        return Chunk(batch, function, first, cut(body, n), self._call_header(header), not_after, address)

    def _call_header(self, said: Header) -> CallHeader:
        last, header = self._last_said
        if said != last:
            try:
                header = CallHeader.from_wire(said)
            except ValueError as error:
                raise _unreadable("a chunk of calls", error) from error
            self._last_said = said, header
        return header

    def belongs(self, frame: bytes) -> tuple[str, int, int] | None:
        """Return (batch, first, count) of a chunk that lies somewhere else; None where we have not signed it."""
        try:
            header, _ = self._sealer.open(CHUNK, frame)
        except SignatureMismatch:
            return None
        return header["b"], header["i"], header["n"]

    def seal_record(self, record: Record, kid: str = "") -> bytes:
        """Return the frame of a result record; ``kid`` as in :meth:`Sealer.seal`."""
        header = {
            "b": record.batch,
            "i": record.first,
            "n": len(record.states),
            "w": record.worker,
            "a": record.attempt,
        }
        if record.given:
            header["o"] = {str(index): given.to_wire() for index, given in record.given.items()}
        if record.child is not None:
            header["c"] = record.child
        if record.memo:
            header["mm"] = to_base64(record.memo)
        if record.made:
            header["md"] = [round(moment, 3) for moment in record.made]
        payloads = record.payloads
        if isinstance(payloads, Repeated):
            header["sm"], payloads = 1, [payloads.payload]
        begun = b""
        if record.told_at is not None and 0 < record.told_at < _END_OF_TIME:
            # In whole us, for a fraction takes ten times as long to write. The other moments stand at the end: a reader
            # that does not know of them finds all else where it was.
            header["t"] = int(record.told_at * 1e6)
            begun = array("f", record.begun).tobytes()
        return self._sealer.seal(
            RESULT,
            header,
            record.states,
            array("f", record.seconds).tobytes(),
            lengths_of(payloads),
            *payloads,
            begun,
            kid=kid,
        )

    def open_record(self, frame: bytes, batch: str) -> Record:
        """Verify a result record and cut it into results.

        Raises:
            SignatureMismatch: it is not what was asked for, or another version has told what cannot be read here.
        """
        header, body = self._sealer.open(RESULT, frame, b=batch)
        n = header["n"]
        seconds = array("f")
        seconds.frombytes(body[n : 5 * n])
        same = "sm" in header
        found = cut(body[5 * n :], 1 if same else n)
        payloads = Repeated(found[0], n) if same else found
        states, worker, attempt = bytes(body[:n]), header["w"], header["a"]
        record = Record(batch, header["i"], states, seconds, payloads, worker, attempt)
        record.child = _child(header)
        told_at = _moment(header.get("t"))
        if told_at is not None and len(body) >= 4 * n:
            record.told_at, record.begun = told_at, body[len(body) - 4 * n :].cast("f")
        if not _SELDOM_TOLD.isdisjoint(header):
            _add_what_is_seldom_told(record, header)
        return record

    def seal_events(self, news: News, kid: str = "") -> bytes:
        """Return the frame of events of one batch; ``kid`` as in :meth:`Sealer.seal`."""
        header = {"b": news.batch, "w": news.worker, "r": news.reporter, "s": news.number}
        if news.child is not None:
            header["c"] = news.child
        return self._sealer.seal(
            EVENT, header, to_json([to_wire(event) for event in news.events]).encode(), kid=kid
        )

    def open_events(self, frame: bytes, batch: str) -> News:
        """Verify events of a batch.

        Raises:
            SignatureMismatch: they are not what was asked for, or another version has told what cannot be read here.
        """
        header, body = self._sealer.open(EVENT, frame, b=batch)
        try:
            told = [from_wire(item) for item in items(json.loads(bytes(body)))]
        except ValueError as error:
            raise _unreadable("events", error) from error
        events = [event for event in told if event is not None]
        return News(batch, header["w"], header["r"], header["s"], events, _child(header))

    def seal_label(self, batch: str, n: int, at: float, standing: str) -> bytes:
        """Return the frame of what is told of a batch.

        Args:
            n: as in :class:`BatchLabel`.
            at: as there.
            standing: all else of it, as :attr:`BatchLabel.standing`.
        """
        return self._sealer.seal(LABEL, {"b": batch, "n": n, "at": at}, more=standing)

    def open_label(self, frame: bytes, batch: str) -> BatchLabel:
        """Verify what is told of a batch.

        Raises:
            SignatureMismatch: it is of another batch, or another version has said it and it cannot be read here.
        """
        header, _ = self._sealer.open(LABEL, frame, b=batch)
        try:
            return BatchLabel.from_wire(header)
        except ValueError as error:
            raise _unreadable("a label", error) from error

    def seal_plan(self, record: WorkflowRecord) -> bytes:
        """Return the frame of a workflow's graph."""
        return record.sealed(self._sealer)

    def open_plan(self, frame: bytes, workflow: str) -> WorkflowRecord:
        """Verify a workflow's graph.

        Raises:
            SignatureMismatch: it is of another one, or another version has written it and it cannot be read here.
        """
        return WorkflowRecord.opened(self._sealer, frame, workflow)

    def seal_order(self, order: Order) -> bytes:
        """Return the frame of an order to supervisors."""
        return self._sealer.seal(CONTROL, order.to_wire())

    def open_order(self, frame: bytes) -> Order:
        """Verify an order to supervisors.

        Raises:
            SignatureMismatch: it is not signed, or another version has given it and it cannot be read here.
        """
        header, _ = self._sealer.open(CONTROL, frame)
        try:
            return Order.from_wire(header)
        except ValueError as error:
            raise _unreadable("an order", error) from error

    def seal_answer(self, answer: WorkerAnswer) -> bytes:
        """Return the frame of a supervisor's answer."""
        return self._sealer.seal(ANSWER, answer.to_wire())

    def open_answer(self, frame: bytes, reply: str, worker: str) -> WorkerAnswer:
        """Verify a supervisor's answer to an order.

        Raises:
            SignatureMismatch: it is not signed, or answers another order.
        """
        header, _ = self._sealer.open(ANSWER, frame, re=reply, w=worker)
        try:
            return WorkerAnswer.from_wire(header)
        except ValueError as error:
            raise _unreadable("an answer", error) from error


def _unreadable(what: str, error: ValueError) -> SignatureMismatch:
    return SignatureMismatch(f"{what} cannot be read here: {error}; both sides need the same nbtasks")


#: What only the records of some calls say.
_SELDOM_TOLD = frozenset({"o", "mm", "md"})


def _add_what_is_seldom_told(record: Record, header: Header) -> None:
    try:
        record.given = _given(header.get("o", {}))
        record.memo = from_base64(header.get("mm", ""))
        made = [number(moment) for moment in items(header.get("md", []))]
    except ValueError as error:
        raise _unreadable("a result", error) from error
    record.made = made if len(made) == len(record.states) else ()


def _given(told: Mapping[str, Any]) -> dict[int, CallOutput]:
    return {int(index): CallOutput.from_wire(given) for index, given in told.items()}


def _child(header: Header) -> int | None:
    """Return the number of the child that tells; what makes no sense is not known."""
    child = header.get("c")
    return child if type(child) is int and 0 <= child < _MOST_CHILDREN else None


def _moment(us: Any) -> float | None:
    """Return epoch seconds; what makes no sense is not known."""
    return us / 1e6 if type(us) is int and 0 < us < _END_OF_TIME * 1e6 else None
