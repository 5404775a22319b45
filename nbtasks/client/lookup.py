"""A call that is looked up by its id: the one that was made for it, or one that its caller has given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.core.errors import UnknownCall
from nbtasks.core.ids import find_call

if TYPE_CHECKING:
    from .batches.engine import Engine
    from .batches.ledger import Ledger


def looked_up(engine: Engine, id: str) -> tuple[Ledger, int | None]:
    """Return the batch of a call and its index, None where the id names none.

    Raises:
        TypeError: the id is no text.
        UnknownCall: nobody recorded it, or its time is over.
    """
    batch_id, index = find_call(id)
    try:
        batch = engine.adopt(batch_id)
    except UnknownCall:
        if id.partition(":")[0] == batch_id:
            raise
        raise UnknownCall(
            f"nobody has recorded a call {id!r}, or its results have expired. Ids look like 019e9a3b6c1f00a1b2c3 or "
            "019e9a3b6c1f00a1b2c3:7, or are what was given as task_id="
        ) from None
    if batch.kind == "call" and not batch.origin.single and index in engine.forgotten(batch):
        raise UnknownCall(
            f"call {id} was forgotten: somebody has called forget(), and its result was dropped"
        )
    return batch, index
