"""What an engine can do. What it cannot is refused where it is asked for, with the next step."""

from __future__ import annotations

from dataclasses import dataclass

from nbtasks.core.errors import ConfigError
from nbtasks.core.options import TaskOptions

#: Option of a task or a call -> what those that cannot do it are like, and what to do.
_OPTIONS = {
    "queue": ("has one line for all calls", "Leave it out"),
    "priority": ("starts calls in the order in which they were submitted", "Leave it out"),
    "time_limit": ("cannot stop a call that runs", "Leave it out and let the task look at the time itself"),
    "soft_time_limit": (
        "cannot interrupt a call that runs",
        "Leave it out and let the task look at the time itself",
    ),
    "rate_limit": ("starts calls as soon as it can", "Leave it out and give the map max_parallel"),
    "max_concurrency": (
        "starts calls as soon as it can",
        "Leave it out and give the map max_parallel",
    ),
    "unique_for": ("keeps no list of calls that others may ask", "Leave it out"),
    "unique_key": ("keeps no list of calls that others may ask", "Leave it out"),
    "locks": ("knows no locks", "Leave it out and use a lock of your own in the task"),
    "expires": (
        "does not look at the time before it starts a call",
        "Leave it out and revoke() what is too old",
    ),
    "memo": ("keeps no results for later runs", "Leave it out and keep what get() returns"),
    "seed": ("may run calls that share random numbers", "Leave it out and pass a generator as an argument"),
}
#: The same of what is asked of handles and Apps.
_REQUESTS = {
    "terminate": ("cannot stop a call that runs", "Say revoke(): what has not begun does not begin"),
    "worker_setup": (
        "does not say when a process of it begins",
        "Prepare the processes by what makes the executor (initializer=)",
    ),
    "start_workers": ("has the workers", "Make it with as many as you want, and a new App with it"),
    "control": ("has no workers that could be told something", "Leave it out"),
    "events": ("keeps no stream of what happens", "Look at the handles, or give calls a callback"),
    "dashboard": ("has no server that could be looked at", "Look at the handles"),
    "add_periodic_task": (
        "runs what it is given, and nothing by itself",
        "Have cron or a loop of your own call the task",
    ),
    "workflow": (
        "does not let calls wait for others",
        "Run it here with apply(), or wait for each step with get()",
    ),
    "lock": ("has no broker that would keep locks", "Use a lock of your own"),
    "connection": ("needs no broker, so there is none", "Leave that out"),
}
WORDS = frozenset({*_OPTIONS, *_REQUESTS})
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
                raise self.refusal(name, f"{name}={getattr(options, name)!r}")

    def need(self, word: str, said: str = "") -> None:
        """Check that it can do something.

        Args:
            said: what was asked for, where it is not that word.

        Raises:
            ConfigError: it cannot.
        """
        if word not in self.words:
            raise self.refusal(word, said)

    def refusal(self, word: str, said: str = "") -> ConfigError:
        """Return what is to be said where it cannot do something; arguments as of :meth:`need`."""
        why, step = _OPTIONS.get(word) or _REQUESTS[word]
        return ConfigError(
            f"{said or word}: this App runs its calls on {self.engine}, which {why}. {step}, or use App() with "
            "workers of its own"
        )


EVERYTHING = Capabilities("workers", WORDS)
