"""Calls of an entry go to others: into the lane for returned work, or aside until a limit lets them start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.delivery import Aside
from nbtasks.broker.verbs.entry import LOST, SETTLED

from .sqlentries import LATER, WAITS, add_copy, place_of, tell_due

if TYPE_CHECKING:
    from .sqltransaction import Transaction


@dataclass(frozen=True)
class Gift:
    """What a consumer gives of an entry.

    Attributes:
        pieces, kept, aside: as :meth:`Delivery.give` has them.
        end: index after the last call that the consumer takes the entry to hold.
    """

    consumer: str
    entry: int
    pieces: tuple[tuple[int, int, int], ...]
    kept: tuple[int, int] | None
    end: int
    aside: Aside | None


def give(tx: Transaction, gift: Gift, of_dead: str | None) -> bool:
    """Give pieces of an entry to others; returns whether the consumer held it. Else nothing is changed."""
    # Locked, so that it cannot come back in the middle of this.
    if of_dead is not None and tx.value(
        "SELECT lease FROM @workers WHERE ns = ? AND worker = ? FOR UPDATE", tx.ns, of_dead
    ):
        return False
    found = tx.row(
        "SELECT e.batch, e.first, e.size, e.place, e.flag, e.id <= q.doubtful FROM @entries e "
        "JOIN @queues q ON q.queue = e.queue WHERE e.id = ? AND e.holder = ? FOR UPDATE",
        gift.entry,
        gift.consumer,
    )
    if found is None:
        return False
    batch, first, size, place, flag, is_lost = found
    if gift.kept == (first, size):
        return True
    now, stop = tx.now_ms(), first + size
    back = {"place": place // 2 * 2, "standing": WAITS, "due": None, "waits_for": "", "queued": now}
    if stop > gift.end:
        # The server has forgotten what was given away before: that is queued again.
        add_copy(tx, gift.entry, **back, first=gift.end, size=stop - gift.end, flag=LOST)
    if gift.aside is not None:
        aside = gift.aside
        back |= {
            "place": place_of(aside.lane),
            "standing": LATER,
            "due": aside.due_ms,
            "waits_for": aside.limit,
        }
    doubt = flag if flag in {LOST, SETTLED} else LOST if is_lost else ""
    flagged = tx.value("SELECT flagged FROM @batches WHERE ns = ? AND batch = ?", tx.ns, batch)
    for begin, count, attempt in gift.pieces:
        # A child and its supervisor may both give at once: what the first one has given, the second one does not have.
        left = min(count, stop - begin)
        if left > 0:
            suspect = doubt or ("1" if attempt > 1 or flagged else "")
            add_copy(tx, gift.entry, **back, first=begin, size=left, attempt=attempt, flag=suspect)
    _keep(tx, gift, first, stop)
    if gift.pieces and gift.aside is not None:
        tell_due(tx, gift.aside.due_ms)
    return True


def _keep(tx: Transaction, gift: Gift, first: int, stop: int) -> None:
    if gift.kept is None:
        tx.run("DELETE FROM @entries WHERE id = ?", gift.entry)
        return
    begin, count = gift.kept
    if begin >= first and begin + count <= stop:
        tx.run("UPDATE @entries SET first = ?, size = ? WHERE id = ?", begin, count, gift.entry)
