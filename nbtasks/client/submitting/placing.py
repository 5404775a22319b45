"""Handles among arguments: which there are, and what the arguments are with their values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from nbtasks.client.batches.parcel import Call
from nbtasks.core import awaited
from nbtasks.core.awaited import Places
from nbtasks.core.errors import NotPicklable
from nbtasks.wire import pickling
from nbtasks.wire.modules.byname import noting
from nbtasks.wire.modules.manifest import Needs


def meet(call: Call, places: Places) -> None:
    """Give the handles among the arguments of a call, however deep they lie, their places."""
    with awaited.noted(places), noting(Needs()), contextlib.suppress(NotPicklable):
        pickling.dumps(call)


def handles_in(calls: Iterable[Call]) -> list[Any]:
    """Return the handles among the arguments of calls, each once."""
    places = Places()
    for call in calls:
        meet(call, places)
    return places.handles


def with_values(call: Call) -> Call:
    """Return a call with the values of handles in their places; waits for these.

    Raises:
        NotPicklable: something else cannot travel.
        Exception: what one of them has raised.
    """
    places = Places()
    with awaited.noted(places):
        sent = b"".join(pickling.dumps(call))
    with awaited.filled([handle.get() for handle in places.handles]):
        found: Call = pickling.loads(sent)
    return found
