"""Options of calls that runs of a periodic task have not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.moments import is_moment

#: Option of a call -> why a periodic task has it not.
_REFUSED = {
    "eta": "it begins when it is due: the schedule says when",
    "countdown": "it begins when it is due; jitter= has each run begin a little later, by chance",
    "task_id": "each run has an id of its own",
    "link": "let the task itself submit what comes after it",
    "link_error": "let the task itself see to its errors",
    "rerun": "each run is a new one anyway",
    "again": "each run is a new one anyway",
}


def check_call_options(options: Mapping[str, Any]) -> None:
    """Refuse options of calls that runs of a periodic task have not.

    Raises:
        ConfigError: there is one.
    """
    for name in options.keys() & _REFUSED:
        if options[name] not in (None, False, [], ()):
            raise ConfigError(f"{name} is no option of a periodic task: {_REFUSED[name]}")
    expires = options.get("expires")
    if isinstance(expires, (int, float)) and expires <= 0:
        raise ConfigError(
            f"expires: with {expires!r} each run of a periodic task would be late before it begins"
        )
    if is_moment(expires):
        raise ConfigError(
            "expires: of a periodic task it counts from each due time: give seconds or a text such as '10m'; "
            "remove() ends it for good"
        )
