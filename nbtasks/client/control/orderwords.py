"""What is said with an order or a question besides what it is: who shall answer, by when; and which calls are meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from nbtasks.core.durations import seconds
from nbtasks.core.errors import ConfigError
from nbtasks.core.nearest import meant_or_known, nearest

#: Seconds.
PATIENCE_S = 1.0


@dataclass(frozen=True)
class OrderWords:
    """The keywords that all orders have, under Celery's names.

    Attributes:
        reply: whether answers are waited for.
        timeout: seconds, in which they have to come.
        pattern, matcher: of workers' names.
        limit: so many answers are enough.
        callback: called with each answer.
    """

    reply: bool = True
    timeout: float = PATIENCE_S
    pattern: str | None = None
    matcher: str = "glob"
    limit: int | None = None
    callback: Callable[[dict[str, Any]], Any] | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], whose: str) -> OrderWords:
        """Return them, checked.

        Args:
            whose: what is said of an unknown one.

        Raises:
            ConfigError: one is unknown, or makes no sense.
        """
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                hint = meant_or_known(name, ["destination", *known])
                raise ConfigError(f"{whose}: {name!r:.40} is none of its options; {hint}")
        made = cls(**{**given, "timeout": seconds(given.get("timeout", PATIENCE_S), "timeout")})
        if made.limit is not None and (
            isinstance(made.limit, bool) or not isinstance(made.limit, int) or made.limit < 1
        ):
            raise ConfigError(f"limit: {made.limit!r:.40} is no number of answers, 1 or more")
        if made.callback is not None and not callable(made.callback):
            raise ConfigError(f"callback: {made.callback!r:.40} is no function of one answer")
        return made


def or_meant(name: str, owner: type) -> str:
    """Return what is said of an attribute that nobody knows: the one that is most like it."""
    near = nearest(name, [one for one in dir(owner) if not one.startswith("_")])
    return f"; did you mean {near!r}?" if near else ""


def ids_of(given: Any) -> list[str]:
    """Return the ids of calls that somebody names, by their ids or handles.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(given, str):
        return [given]
    own = getattr(given, "id", None)
    if isinstance(own, str):
        return [own]
    if isinstance(given, Iterable):
        return [id for one in given for id in ids_of(one)]
    raise ConfigError(f"{given!r:.60} is no id of a call, nor its handle, nor a list of such")
