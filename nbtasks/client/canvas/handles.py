"""The handles of calls of a workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.client import current
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.core.plan import CallRange, Values

from .spread import SpreadResult

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger


def handle_of(ledgers: Sequence[Ledger], values: Values, of_many: bool) -> Any:
    """Return the handle of calls of a workflow.

    Args:
        ledgers: of each node.
        values: which calls.
        of_many: whether they are a group.
    """
    if not of_many:
        part = next(part for part in values if isinstance(part, CallRange))
        return AsyncResult.of(ledgers[part.node], part.first)
    parts = [_part(ledgers, part) for part in values]
    if len(parts) == 1 and isinstance(values[0], CallRange) and type(parts[0][0]) is GroupResult:
        return parts[0][0]
    return SpreadResult(parts)


def _part(ledgers: Sequence[Ledger], part: Any) -> tuple[Any, bool]:
    if not isinstance(part, CallRange):
        return handle_of(ledgers, part, of_many=True), False
    ledger = ledgers[part.node]
    if ledger.kind == "map" and part.count == ledger.n:
        return GroupResult.of(ledger), True
    calls = [(AsyncResult.of(ledger, index), True) for index in range(part.first, part.first + part.count)]
    return calls[0] if len(calls) == 1 else (SpreadResult(calls), True)


def members_of(members: Sequence[tuple[str, int, int, bool]]) -> GroupResult[Any]:
    """Return the handle of what the body of a chord was to get.

    Args:
        members: batch, index of the first call, number of calls, and whether the batch is one call.

    Raises:
        UnknownCall: their time is over.
    """
    engine = current.current().engine
    ledgers = [engine.adopt(batch) for batch, _, _, _ in members]
    parts = tuple(CallRange(place, first, count) for place, (_, first, count, _) in enumerate(members))
    found: GroupResult[Any] = handle_of(ledgers, parts, of_many=True)
    return found
