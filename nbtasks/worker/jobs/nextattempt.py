"""The next attempt of a call, where its task wants that with other arguments or options, or others take its place."""

from __future__ import annotations

import dataclasses

from nbtasks.core.address import Address
from nbtasks.core.inputs import Input
from nbtasks.core.lanenames import lane_of
from nbtasks.core.retrychanges import RetryChanges
from nbtasks.wire import pickling
from nbtasks.wire.chunk import Chunk


def changed(chunk: Chunk, changes: RetryChanges, payload: bytes, address: Address, now: float) -> Chunk:
    """Return the chunk of one call with what is other.

    Args:
        payload: of its new arguments; not looked at where these stay.
        address: where it came from.
        now: the server's time in epoch seconds.
    """
    header = chunk.header
    if changes.priority is not None:
        header = dataclasses.replace(header, lane=lane_of(changes.priority))
    if changes.limits:
        header = dataclasses.replace(header, overrides={**header.overrides, **changes.limits})
    if changes.call is not None:
        # Its result is not that of the arguments that the call was named after.
        header = dataclasses.replace(header, memo=b"", files=())
        chunk = dataclasses.replace(chunk, payloads=[payload])
    if changes.queue is not None:
        chunk = dataclasses.replace(chunk, address=Address(changes.queue, address.python, address.key_id))
    not_after = chunk.not_after if changes.expires_s is None else now + changes.expires_s
    return dataclasses.replace(chunk, header=header, not_after=not_after)


def standing_in(chunk: Chunk, inputs: tuple[Input, ...]) -> Chunk:
    """Return the chunk of one call whose value comes from others: it does not run any more, so nothing limits it."""
    header = dataclasses.replace(
        chunk.header,
        inputs=inputs,
        stands_in=True,
        at_most_once=False,
        memo=b"",
        files=(),
        seed=None,
        overrides={name: value for name, value in chunk.header.overrides.items() if name == "ignore_result"},
    )
    empty = b"".join(pickling.dumps(((), {})))
    return dataclasses.replace(chunk, payloads=[empty], header=header, not_after=None)
