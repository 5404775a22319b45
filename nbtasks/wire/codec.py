"""Functions, chunks of calls, results and events as signed bytes, and back. Nothing is unpickled unverified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtasks.core import shownlines
from nbtasks.core.happenings import Happenings
from nbtasks.core.label import BatchLabel, varying
from nbtasks.core.orders import Order
from nbtasks.core.workeranswer import WorkerAnswer

from . import pickling
from .batchnews import BatchNews
from .chunk import Chunk, ChunkReader
from .frames import ANSWER, CONTROL, FUNCTION, HAPPENED, LABEL, Sealer, unreadable
from .modules import byname
from .modules.manifest import Manifest, Needs, Roots, manifest_of
from .modules.requirements import needed_modules, say_who_needs
from .modules.world import World, world_of
from .record import Record
from .workflowrecord import WorkflowRecord

if TYPE_CHECKING:
    from .opened.function import Function


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
        self._chunks = ChunkReader(sealer)

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
            prepare = [pickling.dump_function(one) for one in self.setups]
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
        # Whoever submits opens none, and it is much.
        from .opened.function import function_of

        parts = self._parts_of(frame, digest)
        try:
            return function_of(digest, parts, world_of(parts["world"]))
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
        return chunk.sealed(self._sealer, kid)

    def open_chunk(self, frame: bytes, batch: str, address: str = "") -> Chunk:
        """Verify a chunk, as :meth:`ChunkReader.opened` does."""
        return self._chunks.opened(frame, batch, address)

    def belongs(self, frame: bytes) -> tuple[str, int, int] | None:
        """Return whose a chunk is, as :meth:`ChunkReader.belongs` does."""
        return self._chunks.belongs(frame)

    def seal_record(self, record: Record, kid: str = "") -> bytes:
        """Return the frame of a result record; ``kid`` as in :meth:`Sealer.seal`."""
        return record.sealed(self._sealer, kid)

    def open_record(self, frame: bytes, batch: str) -> Record:
        """Verify a result record, as :meth:`Record.opened` does."""
        return Record.opened(self._sealer, frame, batch)

    def seal_events(self, news: BatchNews, kid: str = "") -> bytes:
        """Return the frame of events of one batch; ``kid`` as in :meth:`Sealer.seal`."""
        return news.sealed(self._sealer, kid)

    def open_events(self, frame: bytes, batch: str) -> BatchNews:
        """Verify events of a batch, as :meth:`BatchNews.opened` does."""
        return BatchNews.opened(self._sealer, frame, batch)

    def seal_label(self, batch: str, n: int, at: float, standing: str) -> bytes:
        """Return the frame of what is told of a batch.

        Args:
            n: as in :class:`BatchLabel`.
            at: as there.
            standing: all else of it, as :attr:`BatchLabel.standing`.
        """
        return self._sealer.seal(LABEL, {"b": batch, **varying(n, at)}, more=standing)

    def open_label(self, frame: bytes, batch: str) -> BatchLabel:
        """Verify what is told of a batch.

        Raises:
            SignatureMismatch: it is of another batch, or another version has said it and it cannot be read here.
        """
        header, _ = self._sealer.open(LABEL, frame, b=batch)
        try:
            return BatchLabel.from_wire(header)
        except ValueError as error:
            raise unreadable("a label", error) from error

    def seal_plan(self, record: WorkflowRecord) -> bytes:
        """Return the frame of a workflow's graph."""
        return record.sealed(self._sealer)

    def open_plan(self, frame: bytes, workflow: str) -> WorkflowRecord:
        """Verify a workflow's graph.

        Raises:
            SignatureMismatch: it is of another one, or another version has written it and it cannot be read here.
        """
        return WorkflowRecord.opened(self._sealer, frame, workflow)

    def seal_happenings(self, told: Happenings, kid: str = "") -> bytes:
        """Return the frame of what a process notes in the stream of events; ``kid`` as in :meth:`Sealer.seal`."""
        return self._sealer.seal(HAPPENED, told.header(), told.body(), kid=kid)

    def open_happenings(self, frame: bytes) -> Happenings:
        """Verify what a process has noted in the stream of events.

        Raises:
            SignatureMismatch: it is not signed, or another version has written it and it cannot be read here.
        """
        header, body = self._sealer.open(HAPPENED, frame)
        try:
            return Happenings.read(header, bytes(body))
        except (ValueError, OverflowError, RecursionError) as error:
            raise unreadable("a note of events", error) from error

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
            raise unreadable("an order", error) from error

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
            raise unreadable("an answer", error) from error
