"""The beat: fires periodic tasks when they are due. Every worker has one, and one of them is elected.

The election saves work, and nothing else: each due time is fired once, whoever says it and however often, for the
script that does it looks whether it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.periodicstore import PeriodicStore
from nbtasks.core.errors import OperationalError
from nbtasks.wire.frames import Sealer
from nbtasks.worker.log import log_trouble

from .duty import Duty

if TYPE_CHECKING:
    from .firing import Firing

#: For how long one is elected (ms), and the seconds after a due time at which others look whether it was fired.
_ELECTED_MS = 1000
_STAND_BY_S = 0.7
#: Seconds between two looks where nothing else says when: a hint about a new periodic task may have been lost.
LOOK_S = 10.0
_AFTER_TROUBLE_S = 0.5
#: Seconds until it is looked again whether the run before has ended, which is all that is waited for.
_BUSY_S = 0.05
#: Periodic tasks that are seen to in one go.
_MOST_TASKS = 200


class Beat:
    """A thread that fires what is due.

    Args:
        clock: of the server, as workers reckon its time.
        me: what tells this one from others.
        key_ids: of the keys with which periodic tasks are signed.
        look_s: as :data:`LOOK_S`, for one that gets no hints.

    Attributes:
        duty: begins and ends it; sooner where something has changed.
    """

    def __init__(
        self,
        line: BrokerLine,
        sealer: Sealer,
        clock: ServerClock,
        me: str,
        key_ids: Sequence[str],
        look_s: float = LOOK_S,
    ) -> None:
        self._of_keys = [
            _BeatOfKey(line.periodic_store(key_id), sealer, clock, me, look_s) for key_id in key_ids
        ]
        self.duty = Duty("beat", self._act)

    def _act(self) -> float:
        try:
            return min(one.act() for one in self._of_keys)
        except OperationalError as error:
            log_trouble("periodic tasks are fired later", error)
            return _AFTER_TROUBLE_S


class _BeatOfKey:
    """Sees to those that are signed with one key."""

    def __init__(
        self, store: PeriodicStore, sealer: Sealer, clock: ServerClock, me: str, look_s: float
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._me = f"{me}:{secrets.token_hex(2)}"
        self._look_s = look_s
        #: Whether another one was elected when something was due last.
        self._stands_by = False
        self._firing: Firing | None = None

    def act(self) -> float:
        """Fire what is due; returns the seconds until the next look."""
        agenda = self._store.agenda(self._me, _ELECTED_MS, _MOST_TASKS)
        if agenda.elected is not None:
            self._stands_by = not agenda.elected
        if not agenda.elected:
            if agenda.next_ms is None:
                return self._look_s
            rest_s = max(0.0, (agenda.next_ms - agenda.now_ms) / 1000)
            return min(self._look_s, rest_s + (_STAND_BY_S if self._stands_by else 0.0))
        # Not ``any`` of a generator: each is to be seen to.
        firing = self._begun()
        moved = [firing.see_to(task, agenda.now_ms) for task in agenda.tasks]
        return 0.0 if any(moved) else _BUSY_S

    def _begun(self) -> Firing:
        if self._firing is None:
            # Calendars, time zones and more, which most workers never need.
            from .firing import Firing

            self._firing = Firing(self._store, self._sealer, self._clock)
        return self._firing
