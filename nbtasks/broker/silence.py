"""Where no answer came from: what one connection of a process has found out, its others need not find out again.

They may be as dead and not show it, for a network that forgets them tells neither end.
"""

from __future__ import annotations

import time

#: Seconds. What was heard so shortly after something was asked may have been the last word before the silence.
_LAST_WORD_S = 0.5

#: Place -> since when nothing may have come from there (monotonic).
_since: dict[str, float] = {}


def note_silence(place: str, for_s: float = 0.0) -> None:
    """Note that there was no answer, or no connection, for so many seconds up to now.

    Whoever was heard meanwhile shows that only the one answer takes long.
    """
    since = time.monotonic() - max(0.0, for_s - _LAST_WORD_S)
    _since[place] = max(since, _since.get(place, 0.0))


def has_fallen_silent(place: str, heard_at: float) -> bool:
    """Whether another connection got no answer since one to the same place was heard (monotonic)."""
    return heard_at < _since.get(place, 0.0)
