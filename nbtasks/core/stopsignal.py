"""How a running call is stopped: with an exception, or with the signal that ``revoke(signal=...)`` names."""

from __future__ import annotations

from signal import Signals
from typing import Any, TypeAlias

from .errors import ConfigError

#: Whether running calls are stopped too, and with which signal where one is named.
Terminate: TypeAlias = bool | Signals

#: Those that may end a call. What others do has nothing to do with ending one.
_NAMES = ("SIGTERM", "SIGINT", "SIGKILL", "SIGQUIT", "SIGHUP", "SIGABRT", "SIGUSR1", "SIGUSR2")
_ENDING = {one for name in _NAMES if (one := getattr(Signals, name, None)) is not None}


def stop_signal(said: Any) -> Signals:
    """Return the signal that is meant by a name (``"SIGKILL"``, ``"kill"``), a number, or itself.

    Raises:
        ConfigError: there is none, or it ends no call.
    """
    found: Any = None
    if isinstance(said, str):
        name = said.strip().upper()
        found = getattr(Signals, name if name.startswith("SIG") else f"SIG{name}", None)
    elif isinstance(said, int) and not isinstance(said, bool):
        found = next((one for one in Signals if one == said), None)
    if found not in _ENDING:
        what = "ends no call" if found is not None else "is no signal"
        raise ConfigError(
            f"signal={said!r:.60} {what}: a running call is stopped with {', '.join(sorted(_NAMES))}, or its number; "
            "without signal= an exception ends it, and its process is killed where it does not listen"
        )
    return Signals(found)


def number_of(terminate: Terminate) -> int:
    """Return the number of the signal; 0 where none is named."""
    return int(terminate) if isinstance(terminate, Signals) else 0
