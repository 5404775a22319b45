"""The streams in which sessions are told of their batches."""

from __future__ import annotations

from nbtasks.broker.brokererrors import PlaceLost
from nbtasks.broker.verbs.sessionnews import Position, SessionEvent

from .keys import Keys
from .link import Link
from .positions import id_after, is_ahead
from .untrusted import batch_name, span

#: Sessions that hear of one batch, events of one answer, and characters of the ranges in one event.
_MOST_SESSIONS = 4
_MOST_EVENTS = 500
_MOST_WINS = 100_000


class RedisSessionNews:
    """Those of a namespace, over one connection."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        #: The stream that is asked for, and after which of its entries.
        self._asked: tuple[str, Position | None] = "", None

    def ask(self, session: str, after: Position | None, block_ms: int) -> None:
        """Ask for events later than ``after``, as in :meth:`Link.ask`. Whoever takes the answer need not ask."""
        if not self._link.asked:
            self._asked = self._keys.events(session), after
            self._link.ask(self._asked[0], id_after(after), _MOST_EVENTS, block_ms)

    def asked(self, within_s: float, eager: bool = False) -> list[SessionEvent] | None:
        """Return the events that were asked for, none where none came; None where there is no answer yet."""
        entries = self._link.answer(within_s, eager)
        stream, after = self._asked
        if entries is not None and not entries and after is not None and is_ahead(self._link, stream, after):
            raise PlaceLost
        return (
            None if entries is None else [_event(Position(entry_id), fields) for entry_id, fields in entries]
        )

    def trim(self, session: str, upto: Position) -> None:
        """Drop events that have been read."""
        self._link.call_or_nothing(("XTRIM", self._keys.events(session), "MINID", upto), None)

    def drop(self, session: str) -> None:
        """Drop a stream of events that cannot be read: it is of another type, or has ids that nothing comes after."""
        self._link.call("DEL", self._keys.events(session))

    def adopt(self, batch: str, session: str) -> bool:
        """Send the events of a batch to one more session from now on; False when nobody knows the batch."""
        return bool(self._link.script("adopt", [self._keys.root], [batch, session, _MOST_SESSIONS]))

    def end_session(self, session: str) -> None:
        """Drop what only a session's own client reads."""
        self._link.call("DEL", self._keys.session(session), self._keys.events(session))


def _event(entry_id: Position, fields: list[bytes]) -> SessionEvent:
    try:
        return _read_event(entry_id, fields)
    except (IndexError, ValueError):
        return SessionEvent(entry_id, "", "", b"")


def _read_event(entry_id: Position, fields: list[bytes]) -> SessionEvent:
    # Field order is fixed by finish.lua: k, b, then i, n, w for results, then d.
    batch = batch_name(fields[3])
    if fields[1] == b"r":
        first, count = span(fields[5], fields[7])
        if len(fields[9]) > _MOST_WINS:
            # It is a hint, and the store knows as well.
            return SessionEvent(entry_id, "r", batch, b"?", first, count)
        return SessionEvent(entry_id, "r", batch, fields[11], first, count, fields[9].decode())
    return SessionEvent(entry_id, "e", batch, fields[5])
