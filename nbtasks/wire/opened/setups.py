"""Functions that prepare a process for an App's tasks: they come with each task, and run once in each process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from nbtasks.core.signal import setting_up
from nbtasks.wire import pickling
from nbtasks.wire.kinds.opening import Opening, opened_in
from nbtasks.wire.modules import activeworld
from nbtasks.wire.modules.world import World

#: Hashes of those that have run here.
_done: set[str] = set()


def run_new(setups: Iterable[bytes], world: World | None) -> None:
    """Run those that have not run in this process; what one raises is raised, and it runs again the next time."""
    for one in setups:
        mark = hashlib.sha256(one).hexdigest()
        if mark not in _done:
            with activeworld.opened_in(world), opened_in(Opening()), setting_up():
                pickling.loads(one)()
            _done.add(mark)
