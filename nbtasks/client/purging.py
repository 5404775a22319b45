"""Take calls out of queues that nobody has started."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nbtasks.core.errors import SignatureMismatch, UnknownCall

if TYPE_CHECKING:
    from .batches.outline import Outline
    from .current import Provider


def waiting(app: Provider, queues: Iterable[str] | None, without: Iterable[str] = ()) -> list[Outline]:
    """Return what goes on of anybody's in some queues, newest first.

    Args:
        queues: all if None.
        without: but not these.
    """
    wanted, spared = None if queues is None else set(queues), set(without)
    return [
        one
        for one in app.engine.unfinished()
        if one.label.queue not in spared and (wanted is None or one.label.queue in wanted)
    ]


def purge(app: Provider, batches: Iterable[Outline]) -> int:
    """Revoke those calls that have not been started, for good, and return how many; what runs goes on."""
    engine, count = app.engine, 0
    for one in batches:
        try:
            batch = engine.adopt(one.id)
        except (UnknownCall, SignatureMismatch):
            # It has expired since, or bears the name of a batch and is none.
            continue
        before = batch.revoked_count
        engine.revoke(batch, -1, False)
        count += batch.revoked_count - before
    return count
