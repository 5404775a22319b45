"""Tells those who look on that workers have come and gone."""

from __future__ import annotations

from collections.abc import Iterable

from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.errors import OperationalError
from nbtasks.core.happenings import OFFLINE, ONLINE
from nbtasks.wire.noting import Noting
from nbtasks.worker.log import log_trouble

from .portrait import Portrait

#: What is said of a worker that has come.
_FACTS = ("pid", "host", "queues", "concurrency", "python")


class WorkerNotes:
    """Notes of one supervisor in the stream of events.

    Args:
        noting: signs them.
        key_ids: of its keys: each note is signed with each of them, for others cannot read it.

    Attributes:
        noting: as above.
    """

    def __init__(self, line: BrokerLine, noting: Noting, key_ids: Iterable[str]) -> None:
        self._store = line.store()
        self._fleet = line.fleet()
        self.noting = noting
        self._key_ids = tuple(key_ids)

    def online(self, portrait: Portrait) -> None:
        """The worker has come."""
        sheet = vars(portrait.sheet())
        self._note(ONLINE, {name: sheet[name] for name in _FACTS})

    def offline(self, reason: str) -> None:
        """It goes."""
        self._note(OFFLINE, {"reason": reason})

    def gone(self, workers: Iterable[str], reason: str) -> None:
        """Other workers, by their ids, are found dead. Clients are left out, which have never shown anything."""
        for sheet in self._fleet.sheets(list(workers)).values():
            self._note(OFFLINE, {"reason": reason}, sheet.name)

    def _note(self, type_: str, facts: dict[str, object], name: str = "") -> None:
        report = Finish()
        for key_id in self._key_ids:
            report.happened(self.noting.of_worker(type_, facts, key_id, name))
        try:
            self._store.finish(report)
        except OperationalError as error:
            log_trouble(f"{type_} is not told", error)
