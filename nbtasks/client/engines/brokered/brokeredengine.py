"""The engine of an App with a broker: workers behind a Redis or Valkey server."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.capabilities import EVERYTHING
from nbtasks.client.batches.catchingup import caught_up
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Parcel
from nbtasks.client.submitting import dispatch
from nbtasks.client.submitting.naming import Naming
from nbtasks.client.submitting.shipping import Along, note_modules, ship
from nbtasks.core.errors import ConfigError, OperationalError
from nbtasks.core.lanenames import lane_of
from nbtasks.core.ranges import runs
from nbtasks.local.server.leftwork import forget_left, note_left
from nbtasks.wire.errors import variables
from nbtasks.wire.pickling import simple_call

from .commanding import Commanding
from .holding.holding import Holding
from .reuse import Reuse
from .revokingline import RevokingLine
from .serverworkflows import ServerWorkflows
from .session import Session

if TYPE_CHECKING:
    from nbtasks.client.batches.outline import Outline
    from nbtasks.client.batches.parcel import Call, CallOptions
    from nbtasks.client.batches.registry import Registry
    from nbtasks.client.batches.sent import Sent
    from nbtasks.client.batches.steps import SubmittedWorkflow
    from nbtasks.client.definition import Definition
    from nbtasks.client.stranded import Stranded
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.plan import Plan
    from nbtasks.core.stopsignal import Terminate
    from nbtasks.local.connection import Connection
    from nbtasks.wire.modules.manifest import Needs
    from nbtasks.wire.values import BlobPiece, Shelf
    from nbtasks.wire.workflowrecord import WorkflowRecord

    from .happened.tapping import Tapping
    from .lookout import Lookout
    from .periodics import Periodics


#: How long a group is known that was saved (ms); results may go before, or stay longer.
_SAVED_MS = 30 * 86_400_000


class BrokeredEngine:
    """Does what users' objects ask for by the parts of a session.

    Args:
        result_expires_s: seconds that results are kept after the last call of a batch has ended.
        result_limit: largest result in bytes.
        include: modules that workers have of their own.
    """

    capabilities = EVERYTHING

    def __init__(
        self, connection: Connection, result_expires_s: float, result_limit: int, include: Sequence[str] = ()
    ) -> None:
        self.session = Session(connection, result_expires_s, self, include)
        #: As in :class:`Engine`.
        self.mark: object = object()
        self.home = self.session.home
        self._result_limit = result_limit
        session = self.session
        line = session.new_line()
        self._unique = line.unique_calls()
        #: What code of this process holds of locks.
        self.holding = Holding(connection, session.new_line, session.end_line, line)
        self._ttl_ms = round(result_expires_s * 1000)
        self._periodics: Periodics | None = None
        self._lock = threading.Lock()
        self.commanding = Commanding(session, session.line)
        self._workflows = ServerWorkflows(session)
        self._line = RevokingLine(self._revoke_together)
        self._reuse = Reuse(
            session.line, session.shelf, session.codec, session.clock, session.registry, session.sender
        )

    @property
    def registry(self) -> Registry:
        """The live batches."""
        return self.session.registry

    @property
    def periodics(self) -> Periodics:
        """The periodic tasks of the namespace."""
        from .periodics import Periodics

        with self._lock:
            if self._periodics is None:
                self._periodics = Periodics(self.session, self._ttl_ms)
            return self._periodics

    @property
    def events(self) -> Tapping:
        """What happens in the namespace."""
        from .happened.tapping import Tapping

        return Tapping(self.session)

    @property
    def lookout(self) -> Lookout:
        """What looks at queues, locks and the server."""
        return self.session.lookout

    @property
    def shelf(self) -> Shelf:
        """Where large values are."""
        return self.session.shelf

    @property
    def usable(self) -> bool:
        """Whether it is open, and belongs to this process."""
        return self.session.usable

    @property
    def unsent(self) -> str:
        """What is to be said of calls that were accepted and could not be handed over before the end; else empty."""
        return self.session.unsent

    # -- submitting

    def checked(self, options: CallOptions) -> CallOptions:
        """Return options with what workers need to know of this session."""
        files = self.session.files
        header = dataclasses.replace(
            options.header,
            lane=lane_of(options.task.priority),
            result_limit=self._result_limit,
            hides_variables=not variables.are_wanted(),
            place=files.place if files is not None else "",
        )
        return dataclasses.replace(options, header=header)

    def claim(self, key: str, batch: str, for_s: float) -> str:
        """Return the batch of the call that a key stands for; ``batch`` where there was none."""
        return self._unique.claim(key, batch, for_s)

    def share_files(self, queue: str) -> bool:
        """Whether all workers of a queue that are known see the files of large values that this process writes."""
        return self.session.roster.share_files(queue)

    def submit_call(self, task: Definition, call: Call, options: CallOptions) -> tuple[Ledger, int]:
        """Submit one call, with others of its kind where those are waiting to be sent."""
        session = self.session
        payload, pieces = simple_call(call), []
        if payload is None:
            packer = dispatch.packer_of(self, task, options)
            payload, pieces = packer.payload(call, 0), packer.pieces
            note_modules(session.codec, task, packer.needs)
        if options.task.memo:
            return self._submit_call_reusing(task, call, payload, pieces, options)
        if options.plain and not (pieces or session.sender.quiet):
            return self._submit_together(task, call, payload, options)
        parcel = self._shipped(Parcel(task, options, [call]))
        parcel.blobs = pieces
        batch = dispatch.ledger_of(self, parcel, 1, "call")
        self._send(batch, parcel, session.sealing.sealed(batch, parcel, [[payload]], 0))
        return batch, 0

    def _submit_call_reusing(
        self, task: Definition, call: Call, payload: bytes, pieces: list[BlobPiece], options: CallOptions
    ) -> tuple[Ledger, int]:
        parcel = Parcel(task, options, [call])
        parcel.blobs = pieces
        batch = dispatch.ledger_of(self, parcel, 1, "call")
        self.submit_reusing(batch, parcel, parcel.calls, lambda _: [payload])
        return batch, 0

    def _submit_together(
        self, task: Definition, call: Call, payload: bytes, options: CallOptions
    ) -> tuple[Ledger, int]:
        session = self.session
        digest, frame = ship(session.codec, self.home, task)

        def open_batch() -> tuple[Ledger, Parcel]:
            parcel = Parcel(task, options.of_many, ())
            parcel.function, parcel.frame, parcel.as_sent = digest, frame, task.shipped
            return dispatch.ledger_of(self, parcel, 0, "call"), parcel

        def seal(batch: Ledger, parcel: Parcel, payloads: list[bytes]) -> list[Sent]:
            chunks = session.sealing.cut(batch, parcel, payloads, len(payloads))
            return session.sealing.sealed(batch, parcel, chunks, 0)

        return session.sender.join((digest, options), call, payload, open_batch, seal)

    def submit(
        self, batch: Ledger, parcel: Parcel, payloads: Iterable[bytes], chunk: int | None = None
    ) -> None:
        """Submit the calls of a map."""
        if not batch.n:
            self.registry.note_over(batch)
            return
        self._shipped(parcel)
        sealing = self.session.sealing
        chunks = sealing.cut(batch, parcel, payloads, batch.n, chunk)
        along = Along(self.session.codec, parcel.task, parcel.needs)
        self._send(batch, parcel, sealing.sealed(batch, parcel, chunks, 0, along))

    def submit_reusing(
        self,
        batch: Ledger,
        parcel: Parcel,
        calls: Sequence[Call],
        payloads: Callable[[Sequence[int]], Iterable[bytes]],
        chunk: int | None = None,
    ) -> None:
        """Submit those calls of a map of which no earlier run has left the result; the others have ended with it."""
        if not batch.n:
            self.registry.note_over(batch)
            return
        session, options = self.session, parcel.options
        self._shipped(parcel)
        names = Naming(session.codec, self.home, parcel.task, options.task.seed).names(calls)
        found = {} if options.rerun else self._reuse.found(names)
        missing = [index for index in range(batch.n) if index not in found]
        sent = self._sealed_apart(batch, parcel, names, missing, iter(payloads(missing)), chunk)
        self.registry.add(batch)
        if found:
            # Before what is to run: the server has to know the batch when it is told of its ends.
            session.sender.send(batch, parcel, [])
            self._reuse.take(batch, found)
        if sent:
            session.sender.send(batch, parcel, sent, new=not found)

    def _sealed_apart(
        self,
        batch: Ledger,
        parcel: Parcel,
        names: bytes,
        indexes: Sequence[int],
        payloads: Iterator[bytes],
        chunk: int | None,
    ) -> list[Sent]:
        """Return the chunks of some of the calls."""
        sealing, sent = self.session.sealing, []
        along = Along(self.session.codec, parcel.task, parcel.needs)
        for first, count in runs(indexes):
            chunks = sealing.cut(batch, parcel, islice(payloads, count), count, chunk)
            sent += sealing.sealed(batch, parcel, chunks, first, along, names)
        return sent

    def _send(self, batch: Ledger, parcel: Parcel, sent: list[Sent]) -> None:
        self.registry.add(batch)
        self.session.sender.send(batch, parcel, sent)

    def _shipped(self, parcel: Parcel) -> Parcel:
        """Return a parcel with its function."""
        parcel.function, parcel.frame = ship(self.session.codec, self.home, parcel.task)
        parcel.as_sent = parcel.task.shipped
        parcel.due_ms = self.session.sealing.due_ms(parcel.options)
        return parcel

    def submit_workflow(
        self,
        plan: Plan,
        nodes: Sequence[tuple[Ledger, Parcel, Sequence[bytes]]],
        earlier: Sequence[Ledger] = (),
    ) -> None:
        """Submit batches of which some wait for others, or for ``earlier`` ones, which are the first nodes."""
        self._workflows.submit(plan, nodes, earlier)

    def revoke_workflow(self, batch: Ledger, terminate: Terminate) -> None:
        """Revoke all calls of the workflow that a batch is a part of, and that have not ended."""
        self._workflows.revoke_of(batch, terminate)

    def save_group(self, record: WorkflowRecord) -> None:
        """Keep a group of calls of several batches."""
        session = self.session
        session.store.keep_plan(record.id, session.codec.seal_plan(record), _SAVED_MS)

    def saved_group(self, id: str) -> WorkflowRecord | None:
        """Return a group that was kept under an id; None where there is none."""
        frame = self.session.store.plan(id)
        return None if frame is None else self.session.codec.open_plan(frame, id)

    def workflow_of(self, batch: Ledger) -> WorkflowRecord | None:
        """Return the workflow that a batch is a part of; None where it is in none."""
        return self._workflows.record_of(batch)

    def open(self, batch: Ledger, parcel: Parcel) -> None:
        """Begin a batch that grows; nothing is sent yet."""
        self._shipped(parcel)

    def add(
        self,
        batch: Ledger,
        parcel: Parcel,
        first: int,
        payloads: Sequence[bytes],
        pieces: Sequence[BlobPiece],
        needs: Needs,
    ) -> None:
        """Submit more calls of a batch that grows."""
        there = len(parcel.blobs)
        along = Along(self.session.codec, parcel.task, needs)
        parcel.blobs += pieces
        sent = self.session.sealing.sealed(batch, parcel, [list(payloads)], first, along)
        self.session.sender.send(batch, parcel, sent, new=first == 0, open_end=True, pieces_from=there)

    def complete(self, batch: Ledger, parcel: Parcel) -> None:
        """Tell the broker how many calls a batch has that grew."""
        self.session.sender.send_count(batch, parcel)

    def retry_failed(self, batch: Ledger, parcel: Parcel, index: int | None = None) -> None:
        """Submit the calls again that failed or were revoked, or one; of a workflow what ended with them, too."""
        if parcel.step is None:
            dispatch.retry_failed(self, batch, parcel, index)
        else:
            meant = range(batch.n) if index is None else range(batch.n)[index : index + 1]
            self.retry_steps(parcel.step.workflow, {parcel.step.place: meant})

    def retry_steps(self, workflow: SubmittedWorkflow, asked: Mapping[int, Iterable[int]]) -> None:
        """Submit calls of a workflow again that failed, and what has ended with them."""
        from nbtasks.client.submitting.stepsagain import retry_steps

        # What comes after a failure ends with it; a moment later, it would not be seen here.
        self._workflows.end_what_cannot_run(workflow)
        retry_steps(self, workflow, asked)

    def flush(self) -> None:
        """Wait until the broker has everything."""
        self.session.flush()

    def await_recorded(self, parcel: Parcel) -> bool:
        """Wait until the broker has a batch; returns whether it has."""
        return self.usable and self.session.sender.await_recorded(parcel)

    # -- what users do with batches

    def check_open(self, name: str) -> None:
        """Raise ConfigError where nobody tells here any more how calls end."""
        self.session.check_open(name)

    def wait_for(self, ready: Callable[[], bool], timeout: float | None, eager: bool) -> bool:
        """Wait, and read meanwhile what the broker tells."""
        return self.session.registry.wait_for(ready, timeout, eager, self.session.read_here)

    def when(self, batch: Ledger, ready: Callable[[], bool], action: Callable[[], None]) -> None:
        """Call ``action()`` once, on another thread, when ``ready()``."""
        self.session.registry.when(batch, ready, action)

    def revoke(self, batch: Ledger, index: int, terminate: Terminate) -> None:
        """Make calls that have not ended REVOKED; an index of -1 means all of them."""
        if index >= 0 and self._line.is_loop():
            # What no worker has in its hands yet is not started from now on.
            self.session.revoking.order_not_to_start(batch, index)
            self._line.put(batch, index, terminate)
            return
        self.session.revoking.revoke(batch, index, terminate)
        self._workflows.revoke_stand_ins(batch, index, terminate)
        self._line.note_end()

    def _revoke_together(self, asked: dict[Ledger, list[int]], terminate: Terminate) -> None:
        try:
            self.session.revoking.revoke_together(asked, terminate)
        finally:
            for batch, indexes in asked.items():
                for index in indexes if batch.revoked.stand_ins else ():
                    self._workflows.revoke_stand_ins(batch, index, terminate)

    def forget(self, batch: Ledger) -> None:
        """Drop the results of a batch from the broker, as soon as all its calls have ended."""
        # What was revoked is taken out of its queue by its states, which would be gone.
        self.session.intake.forget(caught_up(batch))

    def forget_call(self, batch: Ledger, index: int) -> None:
        """Do so with one of the calls that share a batch, as soon as that call has ended."""
        self.session.intake.forget_call(caught_up(batch), index)

    def forgotten(self, batch: Ledger) -> Collection[int]:
        """Return which of the calls that share a batch were forgotten, by whatever process."""
        return self.session.store.forgotten(batch.id)

    def why_pending(self, batch: Ledger, index: int | None = None) -> str | None:
        """Say why nothing happens, with what to do."""
        return self.session.reasons.why_pending(batch, index)

    # -- what there is

    def adopt(self, batch_id: str) -> Ledger:
        """Return what is known of a batch, whoever submitted it."""
        return self.session.adoption.adopt(batch_id)

    def newest(self, most: int) -> Iterable[str]:
        """Return the ids of the batches of the namespace that were submitted last, newest first."""
        return self.session.store.newest(most)

    def outlines(self, most: int) -> list[Outline]:
        """Return the batches of the namespace that were submitted last, newest first."""
        return self.session.adoption.survey.newest(most)

    def unfinished(self) -> list[Outline]:
        """Return the batches of the namespace that go on, newest first."""
        found = self.session.adoption.survey.unfinished()
        if not found:
            forget_left(self.session.connection.url)
        return found

    def workers(self) -> list[WorkerInfo]:
        """Return all workers of the namespace, on any machine."""
        return self.session.roster.workers()

    def stranded(self, workers: Iterable[WorkerInfo]) -> list[Stranded]:
        """Return what waits for a worker of another kind than those that are there: another Python, another key."""
        return self.session.roster.stranded(workers)

    def taking(self, queue: str) -> list[WorkerInfo]:
        """Return the workers that can take calls of a queue."""
        return self.session.roster.taking(queue)

    # -- told by its App

    def set_up(self, setups: Sequence[Callable[[], Any]]) -> None:
        """Have functions bring along what prepares the processes that they come to."""
        self.session.codec.setups = setups

    def know_own_workers(self, given_up: Callable[[str], str | None]) -> None:
        """Know why this process starts no more workers of a queue, where that is so."""
        self.session.reasons.given_up = given_up

    def bury(self, worker_id: str) -> None:
        """Have the calls of a worker that is known to be dead given back at once."""
        self.session.roster.bury(worker_id)

    def write_problem(self) -> str | None:
        """Return why the broker takes nothing, though it answers; None where it takes."""
        return self.session.line.write_problem() or self.session.line.entry_problem()

    # -- the end

    def disown(self) -> None:
        """Let go of everything in a process that was forked off."""
        self.session.disown()

    def close(self) -> None:
        """Send what waits, and close the connections; what has not ended then, a later session can go on with."""
        if self._periodics is not None:
            with contextlib.suppress(OperationalError, ConfigError):
                # They end by themselves where the broker does not answer, or takes no word any more.
                self._periodics.close()
        self._line.wait()
        if self.registry.all_unfinished():
            note_left(self.session.connection.url)
        self.holding.close()
        self.session.close()
