"""What a child is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local.connection import Connection
from nbtasks.worker.noticeboard import NoticeBoard
from nbtasks.worker.seats import Seat
from nbtasks.worker.workersignals import WorkerSignals


@dataclass(frozen=True)
class ChildSettings:
    """Inherited by fork.

    Attributes:
        worker: its id, and ``name`` what people call it.
        board: where it takes calls, and what else may change while it lives.
    """

    connection: Connection
    options: WorkerOptions
    worker: str
    name: str
    board: NoticeBoard
    seats: Sequence[Seat]
    signals: WorkerSignals
