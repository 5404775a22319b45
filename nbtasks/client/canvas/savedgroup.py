"""Groups that were saved, found again by their id."""

from __future__ import annotations

from typing import Any

from nbtasks.client import current
from nbtasks.core.errors import UnknownCall

from .handles import handle_of


def restored(kind: Any, id: str, app: current.Provider | None) -> Any:
    """Return the handle of a map, or of a group that was saved.

    Args:
        kind: GroupResult.

    Raises:
        UnknownCall: there is none of this id, or its calls are not known any more.
    """
    try:
        return kind(id, app=app)
    except UnknownCall as error:
        if "is the handle of one call" in str(error):
            raise
    engine = (app or current.current()).engine
    record = engine.saved_group(id)
    if record is None:
        raise UnknownCall(
            f"nobody has saved a group {id!r}, or its time is over: group.save() keeps one that is no map; call it "
            "before you note down its id"
        )
    ledgers = [engine.adopt(batch) for batch in record.batches]
    found = handle_of(ledgers, record.plan.result, of_many=True)
    found.name_again(id)
    return found
