"""Tell workers something, or ask them, and hear what they answer."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nbtasks.client.batches.engineparts import DueLater
from nbtasks.core.address import PYTHON, Address
from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import SignatureMismatch
from nbtasks.core.orders import Command, LimitTask

if TYPE_CHECKING:
    from nbtasks.broker.verbs.brokerline import BrokerLine
    from nbtasks.client.batches.outline import Outline
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.workeranswer import WorkerAnswer

    from .session import Session

_BETWEEN_LOOKS = Backoff(0.002, 0.02, factor=1.3)


class Commanding:
    """Gives orders to workers of a session, and looks what they are about."""

    def __init__(self, session: Session, line: BrokerLine) -> None:
        self._session = session
        self._ordering = line.ordering()
        self._delayed = line.delayed_calls()
        self._book = session.revoking.book
        self._codec = session.codec

    def reachable(self, workers: Iterable[WorkerInfo]) -> list[WorkerInfo]:
        """Return those workers that live, and have a key of this session."""
        there = list(workers)
        living, mine = self._session.roster.alive(there), set(self._session.keyring.ids)
        return [one for one in there if one.id in living and {*one.key_ids, one.key_id} & mine]

    def ask(self, what: Command, workers: Sequence[str], timeout_s: float) -> dict[str, WorkerAnswer]:
        """Give an order to some workers, by their ids; returns the answers of those who answer in time."""
        if not workers:
            return {}
        reply = secrets.token_hex(16)
        self._ordering.give([self._book.sealed(what, one, reply) for one in workers])
        try:
            return self._answers(reply, workers, time.monotonic() + timeout_s)
        finally:
            self._ordering.drop_answers(reply, workers)

    def tell(self, what: Command, workers: Sequence[str]) -> None:
        """Give an order that nobody has to answer."""
        if workers:
            self._ordering.give([self._book.sealed(what, one) for one in workers])

    def keep(self, what: LimitTask) -> None:
        """Have workers that begin later follow an order, too."""
        self._ordering.give([], what.task, self._book.sealed(what))

    def due_later(self, queues: Collection[str]) -> Iterator[DueLater]:
        """Yield the calls of some queues that are due later."""
        session = self._session
        kind = (PYTHON, session.keyring.id)
        addresses = {Address(queue, *kind) for queue in queues} | {
            one for one in session.queues.addresses() if one.queue in queues
        }
        for address in sorted(addresses):
            for one in self._delayed.listed(address):
                due_at = session.clock.moment_here(one.due_at)
                yield DueLater(address.queue, due_at, one.batch, one.first, one.count)

    def outlines_of(self, batches: Sequence[str]) -> Mapping[str, Outline]:
        """Return what is known of batches, by their ids."""
        return self._session.adoption.survey.named(batches)

    def _answers(self, reply: str, workers: Sequence[str], deadline: float) -> dict[str, WorkerAnswer]:
        found: dict[str, WorkerAnswer] = {}
        missing, looks = list(workers), 0
        while True:
            for worker, frame in self._ordering.answers(reply, missing).items():
                with contextlib.suppress(SignatureMismatch):
                    # Else somebody else has put it there.
                    found[worker] = self._codec.open_answer(frame, reply, worker)
            missing = [worker for worker in missing if worker not in found]
            rest_s = deadline - time.monotonic()
            if not missing or rest_s <= 0:
                return found
            looks += 1
            time.sleep(min(_BETWEEN_LOOKS.after(looks), rest_s))
