"""The stream of events of a namespace: what every process notes there, read in order."""

from __future__ import annotations

import time
from typing import Any

from nbtasks.broker.verbs.eventlog import EventEntry

from .keys import Keys
from .link import Link, translated
from .positions import is_ahead
from .untrusted import is_own_id, number_or, or_nothing

#: Entries of one read.
_MOST_AT_ONCE = 100
_BEGINNING = b"0-0"
#: Seconds until the next look, where something lies there that is none of ours.
_STRANGE_S = 0.1


class RedisEventLog:
    """Reads the stream from some place on, and notices where entries were trimmed before they were read.

    Attributes:
        behind: whether there is more to read, as far as the last read has shown.
        missed: how many entries were trimmed before they were read; what is known of that.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._key = keys.happened
        self._after = _BEGINNING
        #: How many entries the stream had got before the next one that is read; None where nobody knows.
        self._passed: int | None = None
        self._has_read = False
        #: Whether the stream has had the entry after which is read; else that stands for a moment.
        self._was_there = False
        self.missed = 0
        self.behind = False

    def begin_now(self) -> None:
        """Read what comes from now on."""
        facts = self._facts()
        last = facts.get(b"last-generated-id", _BEGINNING)
        if not is_own_id(last):
            # Nothing could come after it; who writes next makes the stream anew.
            self.begin_at(0.0)
            return
        self._was_there = last != _BEGINNING
        self._after, self._passed = last, _whole(facts.get(b"entries-added", 0 if not facts else None))

    def begin_at(self, moment: float) -> None:
        """Read what was noted since a moment of the server's time, in epoch seconds; 0: all that there is."""
        facts = self._facts()
        self._was_there = False
        if moment <= 0:
            self._after, self._passed = _BEGINNING, self._trimmed(facts)
            return
        self._after, self._passed = f"{max(0, round(moment * 1000) - 1)}-{2**32}".encode(), None

    def read(self, block_s: float) -> list[EventEntry]:
        """Return the next entries; none where none came in time.

        Raises:
            BrokerUnavailable: nothing is lost; read again.
        """
        block_ms = max(1, round(min(block_s, self._link.block_s) * 1000))
        # A server looks only now and then whose time to wait is over, however short that is.
        block: tuple[str | int, ...] = ("BLOCK", block_ms) if block_s > 0 else ()
        read = ("XREAD", "COUNT", _MOST_AT_ONCE, *block, "STREAMS", self._key, self._after)
        # Whether the last one is there still: where it is, none after it was trimmed.
        still = ("XRANGE", self._key, self._after, self._after)
        self.behind = False
        there, reply = self._link.waiting_pipeline([still, read], block_ms)
        there, reply = or_nothing(there, []), or_nothing(reply, None)
        for one in (there, reply):
            if isinstance(one, Exception):
                raise translated(one, self._link.label)
        found = reply[0][1] if reply else []
        self.behind = len(found) >= _MOST_AT_ONCE
        # Behind an id that somebody has made up nothing would come any more.
        entries = [entry for entry in found if is_own_id(entry[0])]
        if not entries:
            if found and block_s > 0:
                # It is there until somebody writes the next entry.
                time.sleep(min(block_s, _STRANGE_S))
            elif not there and self._was_there and is_ahead(self._link, self._key, self._after):
                # What has come since then has ids that come before.
                self.begin_at(0.0)
            return []
        if not there and (self._passed is not None or self._has_read):
            self._note_gap(len(entries))
        elif self._passed is not None:
            self._passed += len(entries)
        self._after, self._has_read, self._was_there = entries[-1][0], True, True
        return [_entry(id_, fields) for id_, fields in entries]

    def label(self, batch: str) -> bytes | None:
        """Return the label of a batch, as it lies there; None where there is none."""
        found = self._link.call_or_nothing(("HGET", self._keys.batch(batch), "m"), None)
        return found if isinstance(found, bytes) else None

    def _note_gap(self, n: int) -> None:
        """The last entry that was read is gone, and those after it may be."""
        trimmed = self._trimmed(self._facts())
        if self._passed is None or trimmed is None:
            # How many, nobody knows; and not whether any, where there was nothing yet when this began.
            self.missed += int(self._has_read)
        else:
            self.missed += max(0, trimmed - self._passed)
        self._passed = None if trimmed is None else trimmed + n

    @staticmethod
    def _trimmed(facts: dict[bytes, Any]) -> int | None:
        """Return how many entries were trimmed so far; None where the server does not say it (before 7.0)."""
        if not facts:
            return 0
        added, length = _whole(facts.get(b"entries-added")), _whole(facts.get(b"length"))
        return None if added is None or length is None else max(0, added - length)

    def _facts(self) -> dict[bytes, Any]:
        """Return what the server says of the stream; nothing where there is none."""
        (reply,) = self._link.pipeline([("XINFO", "STREAM", self._key)])
        if not isinstance(reply, list):
            # There is no such stream yet.
            return {}
        return dict(zip(reply[::2], reply[1::2], strict=False))


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _entry(id_: bytes, fields: Any) -> EventEntry:
    at = number_or(id_.partition(b"-")[0], 0) / 1000
    found = fields if isinstance(fields, list) else []
    return EventEntry(at, tuple(zip(found[::2], found[1::2], strict=False)))
