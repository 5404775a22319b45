"""Groups of several batches that are kept at the broker under an id; savedgroup.py finds them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtasks.client.group import GroupResult
from nbtasks.core.plan import CallRange, Node, Plan, Values
from nbtasks.wire.workflowrecord import WorkflowRecord

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger


def save(group: Any) -> None:
    """Have the broker keep which calls a group is made of, a SpreadResult."""
    ledgers: dict[str, Ledger] = {}
    values = _values(group, ledgers)
    if not ledgers:
        return
    batches = list(ledgers.values())
    engine: Any = batches[0].engine
    engine.flush()
    record = WorkflowRecord(
        group.id,
        Plan(tuple(Node(batch.n) for batch in batches), values, of_many=True),
        tuple(batch.id for batch in batches),
        tuple(batch.origin.single for batch in batches),
        tuple(batch.name for batch in batches),
    )
    engine.save_group(record)


def _values(group: Any, ledgers: dict[str, Ledger]) -> Values:
    found: list[Any] = []
    for part, is_open in group.spans:
        batch = getattr(part, "batch", None)
        if batch is None:
            own = _values(part, ledgers)
            found += own if is_open else [own]
            continue
        ledgers.setdefault(batch.id, batch)
        place = list(ledgers).index(batch.id)
        if isinstance(part, GroupResult):
            own = (CallRange(place, 0, batch.n),)
            found += own if is_open else [own]
        else:
            found.append(CallRange(place, part.index))
    return tuple(found)
