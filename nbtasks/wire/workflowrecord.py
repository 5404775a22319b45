"""A workflow as the broker keeps it: its plan, and the batch of each node, signed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from nbtasks.core.errors import ConfigError, SignatureMismatch
from nbtasks.core.inputs import Input, inputs_of
from nbtasks.core.madeonce import made_once
from nbtasks.core.plan import Plan
from nbtasks.core.wirefields import items, text
from nbtasks.core.wirejson import to_json

from .frames import PLAN, Sealer, unreadable


@dataclass(frozen=True)
class WorkflowRecord:
    """A workflow.

    Attributes:
        batches: id of each node's batch.
        singles: of each node, whether its batch is one call and has its id.
        names: of each node's task.
    """

    id: str
    plan: Plan
    batches: tuple[str, ...]
    singles: tuple[bool, ...]
    names: tuple[str, ...]

    @property
    def own_batches(self) -> list[str]:
        """Those batches that were submitted with it."""
        return [batch for batch, node in zip(self.batches, self.plan.nodes, strict=True) if not node.earlier]

    @made_once
    def inputs(self) -> Sequence[tuple[Input, ...]]:
        """What the calls of each node need."""
        places = range(len(self.batches))
        return [inputs_of(self.plan, place, self.batches, self.singles) for place in places]

    def sealed(self, sealer: Sealer) -> bytes:
        """Return it as a frame."""
        body = [self.plan.to_json(), list(self.batches), list(map(int, self.singles)), list(self.names)]
        return sealer.seal(PLAN, {"wf": self.id}, to_json(body).encode())

    @classmethod
    def opened(cls, sealer: Sealer, frame: bytes, id: str) -> WorkflowRecord:
        """Verify a frame and read it.

        Raises:
            SignatureMismatch: it is of another workflow, or another version has written it and it cannot be read here.
        """
        _, body = sealer.open(PLAN, frame, wf=id)
        try:
            plan, batches, singles, names, *_ = items(json.loads(bytes(body)))
            record = cls(
                id,
                Plan.from_json(plan),
                tuple(map(text, items(batches))),
                tuple(bool(one) for one in items(singles)),
                tuple(map(text, items(names))),
            )
        except (ValueError, ConfigError) as error:
            raise unreadable("a plan", error) from error
        if not len(record.batches) == len(record.singles) == len(record.names) == len(record.plan.nodes):
            raise SignatureMismatch("a plan cannot be read here: it lacks nodes")
        return record
