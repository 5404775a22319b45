"""An entry of a stream, as a worker takes it: calls of one batch. Anybody may have written it."""

from __future__ import annotations

from nbtasks.broker.verbs.entry import ID_BYTES, LOST, SETTLED, Entry
from nbtasks.core.address import Address
from nbtasks.core.lanenames import returned

from .untrusted import MOST, batch_name, number, ranges_in, span

#: Bytes of a chunk's frame for each of its calls, at least.
_LEAST_BYTES = 4


def parse_entry(address: Address, lane: str, entry_id: bytes, fields: list[bytes], suspect: bool) -> Entry:
    """Return an entry as it claims to be.

    Raises:
        IndexError, ValueError: it makes no sense.
    """
    # Field order is fixed by the scripts: b, i, n, a, x, d, and r where it was parked.
    frame = fields[11]
    first, count = span(fields[3], fields[5])
    attempt = number(fields[7])
    if count * _LEAST_BYTES > len(frame) or attempt > MOST:
        raise ValueError("more calls than it has room for, or no attempt")
    flagged = suspect or fields[9] != b"" or lane == returned(lane)
    doubt = fields[9].decode() if fields[9] in (LOST.encode(), SETTLED.encode()) else ""
    before = ranges_in(fields[13:14])[0] if len(fields) > 13 and fields[13] else None
    return Entry(
        address, lane, entry_id, batch_name(fields[1]), first, count, attempt, flagged, frame, doubt, before
    )  # fmt: skip


def order_of(entry_id: bytes) -> tuple[int, int]:
    """Return numbers by which ids compare as their entries came; what is no id comes before everything."""
    milliseconds, _, part_of = entry_id.partition(b"-")
    if len(entry_id) > ID_BYTES or not (milliseconds.isdigit() and part_of.isdigit()):
        return -1, 0
    return int(milliseconds), int(part_of)
