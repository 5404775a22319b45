"""What no executor has: refused by its name, with the next step; where nothing is an answer, there is nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nbtasks.client.batches.capabilities import Capabilities
from nbtasks.core.errors import ConfigError

if TYPE_CHECKING:
    from nbtasks.client.batches.engineparts import Commander, LockKeeper, PeriodicKeeper, Surveyor
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.outline import Outline
    from nbtasks.client.batches.parcel import Parcel
    from nbtasks.client.happened.eventsource import EventSource
    from nbtasks.client.stranded import Stranded
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.plan import Plan
    from nbtasks.wire.workflowrecord import WorkflowRecord


class Lacking:
    """An engine without a server."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def _refusal(self, word: str) -> ConfigError:
        return self.capabilities.refusal(word)

    def stranded(self, workers: Iterable[WorkerInfo]) -> list[Stranded]:
        """Return nothing: all calls are of this process."""
        return []

    @property
    def periodics(self) -> PeriodicKeeper:
        """Raise ConfigError: it runs what it is given, and nothing by itself."""
        raise self._refusal("add_periodic_task")

    @property
    def commanding(self) -> Commander:
        """Raise ConfigError: there are no workers that could be told something."""
        raise self._refusal("control")

    @property
    def events(self) -> EventSource:
        """Raise ConfigError: nobody notes what happens."""
        raise self._refusal("events")

    @property
    def lookout(self) -> Surveyor:
        """Raise ConfigError: there is no server to look at."""
        raise self._refusal("dashboard")

    @property
    def holding(self) -> LockKeeper:
        """Raise ConfigError: nobody else would keep to its locks."""
        raise self._refusal("lock")

    # -- what is known beyond this process: nothing

    def claim(self, key: str, batch: str, for_s: float) -> str:
        """Return the own batch: there is nobody who would have submitted another one."""
        return batch

    def share_files(self, queue: str) -> bool:
        """Return False: nothing goes into files."""
        return False

    def submit_workflow(
        self,
        plan: Plan,
        nodes: Sequence[tuple[Ledger, Parcel, Sequence[bytes]]],
        earlier: Sequence[Ledger] = (),
    ) -> None:
        """Refuse: an executor starts what it is given."""
        self.capabilities.need("workflow", f"a workflow of {len(plan.nodes)} steps ({nodes[0][0].name}, ...)")

    def save_group(self, record: WorkflowRecord) -> None:
        """Refuse: nothing is kept beyond this process."""
        raise ConfigError(
            "save(): an App with an executor keeps nothing beyond its process: hold the group's handle"
        )

    def saved_group(self, id: str) -> WorkflowRecord | None:
        """Return None: nothing is kept."""
        return None

    def workflow_of(self, batch: Ledger) -> WorkflowRecord | None:
        """Return None: there are no workflows."""

    def forget_call(self, batch: Ledger, index: int) -> None:
        """Single calls share no batch here."""

    def forgotten(self, batch: Ledger) -> Collection[int]:
        """Single calls share no batch here."""
        return ()

    def outlines(self, most: int) -> list[Outline]:
        """Return nothing, as for what goes on."""
        return []

    def unfinished(self) -> list[Outline]:
        """Return nothing: no other process shares what there is here."""
        return []


def check_alone(beside: Mapping[str, object]) -> None:
    """Check what an App was told beside its executor.

    Raises:
        ConfigError: something that only an App with a broker has.
    """
    for name, value in beside.items():
        if value:
            raise ConfigError(
                f"{name}: App(engine=...) has no broker: its executor runs the calls. Leave {name} out, or leave "
                "engine out for workers behind a broker"
            )
