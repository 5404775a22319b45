"""Calls that workers name by batch and index, told with what is known of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from nbtasks.core.lanenames import NORMAL, priority_of

if TYPE_CHECKING:
    from nbtasks.client.batches.engineparts import DueLater
    from nbtasks.client.batches.outline import Outline
    from nbtasks.client.workerinfo import WorkerInfo

    from .audience import Audience
    from .commanded import Commanded

#: Calls of one entry that are told one by one.
_MOST_CALLS = 1000


class CallSheets:
    """Looks up what batches are called; one for each question, so that each batch is looked up once."""

    def __init__(self, app: Commanded) -> None:
        self._app = app
        self._known: dict[str, Outline | None] = {}

    def running(self, told: Any, info: WorkerInfo) -> list[dict[str, Any]]:
        """Return one sheet for each call of ``[[batch, index, seconds since its start, pid], ...]``.

        Behind the process may stand what a call was called with, as its worker has written it down.
        """
        now = time.time()
        self._look_up(batch for batch, *_ in told)
        return [
            {
                **self._sheet(str(batch), int(index)),
                "hostname": info.name,
                "time_start": now - float(ago),
                "acknowledged": True,
                "worker_pid": int(pid),
                **dict(zip(("args", "kwargs"), map(str, texts), strict=False)),
            }
            for batch, index, ago, pid, *texts in told
        ]

    def waiting(self, told: Any, info: WorkerInfo) -> list[dict[str, Any]]:
        """Return one sheet for each call of ``[[batch, first, count], ...]``."""
        self._look_up(batch for batch, *_ in told)
        sheets: list[dict[str, Any]] = []
        for batch, first, count in told:
            for index in range(int(first), int(first) + min(int(count), _MOST_CALLS)):
                sheet = self._sheet(str(batch), index)
                sheets.append(
                    {
                        **sheet,
                        "hostname": info.name,
                        "time_start": None,
                        "acknowledged": False,
                        "worker_pid": None,
                    }
                )
        return sheets

    def ids(self, told: Any, info: WorkerInfo) -> list[str]:
        """Return the ids of calls that a worker names by ``BATCH:INDEX``, as their handles have them.

        ``BATCH`` alone, which is all calls of a map, stays.
        """
        del info
        parts = [str(one).partition(":") for one in told]
        self._look_up(batch for batch, colon, _ in parts if colon)
        return [
            str(self._sheet(batch, int(index))["id"]) if index.isdigit() else batch
            for batch, _, index in parts
        ]

    def scheduled(self, there: Audience) -> dict[str, list[dict[str, Any]]]:
        """Return what is due later, at the first worker of its queue."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in there.workers}
        queues = {
            queue: name for name, info in reversed(list(there.workers.items())) for queue in info.queues
        }
        for one in self._app.engine.commanding.due_later(queues):
            found[queues[one.queue]] += self._due(one, queues[one.queue])
        return found

    def _due(self, one: DueLater, name: str) -> list[dict[str, Any]]:
        self._look_up([one.batch])
        outline = self._known.get(one.batch)
        lane = outline.label.lane if outline is not None else NORMAL
        due = datetime.fromtimestamp(one.due_at, timezone.utc)
        return [
            {
                "eta": due.isoformat(),
                "priority": priority_of(lane),
                "request": {**self._sheet(one.batch, index), "hostname": name},
            }
            for index in range(one.first, one.first + min(one.count, _MOST_CALLS))
        ]

    def _look_up(self, batches: Iterable[str]) -> None:
        missing = [batch for batch in dict.fromkeys(batches) if batch not in self._known]
        found = self._app.engine.commanding.outlines_of(missing)
        self._known.update({batch: found.get(batch) for batch in missing})

    def _sheet(self, batch: str, index: int) -> dict[str, Any]:
        outline = self._known.get(batch)
        label = outline.label if outline is not None else None
        id = batch if label is not None and label.single else f"{batch}:{index}"
        shown = label.items[index] if label is not None and index < len(label.items) else ""
        return {
            "id": (label.own_id or id) if label is not None else id,
            "name": label.name if label is not None else None,
            "type": label.name if label is not None else None,
            # Arguments are packed, and only workers unpack them: until they have, this is how the card calls them.
            "args": f"({shown})" if shown else "",
            "kwargs": "",
            "delivery_info": {"routing_key": label.queue if label is not None else None},
        }
