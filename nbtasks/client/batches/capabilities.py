"""What an engine can do. What it cannot is refused where it is asked for, with the next step."""

from __future__ import annotations

from dataclasses import dataclass

from nbtasks.core.errors import ConfigError
from nbtasks.core.options import TaskOptions

#: Option of a task or a call -> why engines without it have none, and what to do.
_OPTIONS = {
    "queue": "it has one line for all calls. Leave it out",
    "priority": "calls start in the order in which they were submitted. Leave it out",
    "time_limit": "it cannot stop a call that runs. Leave it out, and let the task look at the time itself",
    "soft_time_limit": "it cannot interrupt a call that runs. Leave it out, and let the task look at the time itself",
    "rate_limit": "it starts calls when it likes. Leave it out, or give the map max_parallel",
    "expires": "it does not look at the time before it starts a call. Leave it out, and revoke() what is too old",
    "seed": "its calls may share their random numbers with others. Leave it out, and pass a generator as an argument",
}
#: The same of what is asked of handles and Apps.
_REQUESTS = {
    "terminate": "it cannot stop a call that runs. Say revoke(): what has not been started does not start",
    "start_workers": "the executor has the workers. Make it with as many as you want, and make a new App with it",
    "connection": "its calls go through no broker, and stay with this process",
}
WORDS = frozenset({*_OPTIONS, *_REQUESTS})
_OTHERWISE = "or use App(), whose workers can do it"
_DEFAULTS = TaskOptions()


@dataclass(frozen=True)
class Capabilities:
    """Of one engine.

    Attributes:
        engine: what messages call it.
        words: what it can do, of :data:`WORDS`.
    """

    engine: str
    words: frozenset[str] = frozenset()

    def check(self, options: TaskOptions) -> None:
        """Check what is set.

        Raises:
            ConfigError: it cannot do it.
        """
        for name in _OPTIONS:
            if name not in self.words and getattr(options, name) != getattr(_DEFAULTS, name):
                raise self._refusal(f"{name}: {getattr(options, name)!r}", name)

    def need(self, word: str, said: str = "") -> None:
        """Check that it can do something.

        Args:
            said: what was asked for, where it is not that word.

        Raises:
            ConfigError: it cannot.
        """
        if word not in self.words:
            raise self._refusal(said or word, word)

    def _refusal(self, said: str, word: str) -> ConfigError:
        why = _OPTIONS.get(word) or _REQUESTS[word]
        return ConfigError(f"{said}: this App runs its calls on {self.engine}: {why}, {_OTHERWISE}")


EVERYTHING = Capabilities("workers", WORDS)
