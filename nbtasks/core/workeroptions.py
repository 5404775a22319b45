"""What is set on a worker, checked. Units are in the names or in the comments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from .durations import seconds
from .errors import ConfigError
from .keywords import LogLevel, OutputTo, Pool, WorkerKeywords, meanings
from .nearest import unknown
from .nodenames import node_name
from .options import check_queue

POOLS = get_args(Pool)
LOG_LEVELS = get_args(LogLevel)
OUTPUTS = get_args(OutputTo)
#: Others believe no longer one, whatever a worker says.
MOST_LEASE_S = 86_400.0
#: Children of one worker.
MOST_CHILDREN = 1024


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker runs."""

    #: Child processes.
    concurrency: int
    queues: tuple[str, ...] = ("default",)
    pool: str = "prefork"
    threads: int = 32
    name: str | None = None
    loglevel: str = "warning"
    #: Most and least children, as many as there is work for; None for ``concurrency`` of them.
    autoscale: tuple[int, int] | None = None
    max_tasks_per_child: int | None = None
    #: KiB, as in Celery.
    max_memory_per_child: int | None = None
    #: Seconds.
    lease_s: float = 15.0
    keep: bool = False
    #: False: it fires no periodic tasks; True: it was said that it does.
    beat: bool | None = None
    #: ``call``: what tasks print and log is output of their calls; ``log``: it is in the worker's log, too.
    output: str = "call"
    #: Standard error where None.
    logfile: str | None = None
    #: What lines of the log look like, where settings say it: see log.py in the room worker.
    log_forms: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    include: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_count("concurrency", self.concurrency, MOST_CHILDREN)
        if self.pool not in POOLS:
            raise ConfigError(f"pool: {self.pool!r} is not one of {', '.join(POOLS)}")
        _check_count("threads", self.threads, 1024)
        if self.autoscale is not None:
            _check_autoscale(self.autoscale, self.pool)
        if not self.queues:
            raise ConfigError("queues: name at least one queue")
        for queue in self.queues:
            check_queue(queue)
        if str(self.loglevel).lower() not in LOG_LEVELS:
            raise ConfigError(f"loglevel: {self.loglevel!r} is not one of {', '.join(LOG_LEVELS)}")
        if self.output not in OUTPUTS:
            raise ConfigError(f"output: {self.output!r} is not one of {', '.join(OUTPUTS)}")
        if self.name is not None:
            node_name(self.name)
        for name in ("max_tasks_per_child", "max_memory_per_child"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name))
        seconds(self.lease_s, "lease", least_s=0.5, most_s=MOST_LEASE_S)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return what each option is where none is given, under the names of :class:`WorkerKeywords`."""
        own = vars(cls(1))
        return {name: own["lease_s" if name == "lease" else name] for name in meanings(WorkerKeywords)}

    @classmethod
    def make(cls, concurrency: int, options: Mapping[str, Any], include: Sequence[str] = ()) -> WorkerOptions:
        """Return checked options.

        Args:
            concurrency: child processes.
            options: as in :class:`WorkerKeywords`.
            include: modules that workers import when they start.

        Raises:
            ConfigError: an unknown option or a bad value.
        """
        given = dict(options)
        known = meanings(WorkerKeywords)
        for name in given.keys() - known:
            raise ConfigError(unknown("option of workers", name, set(known)))
        if "lease" in given:
            given["lease_s"] = seconds(given.pop("lease"), "lease")
        if "queues" in given:
            queues = given["queues"]
            given["queues"] = (queues,) if isinstance(queues, str) else tuple(queues)
        if given.get("autoscale") is not None:
            most_least = given["autoscale"]
            given["autoscale"] = tuple(most_least) if isinstance(most_least, list) else most_least
        given["env"] = {name: str(value) for name, value in (given.get("env") or {}).items()}
        return cls(concurrency, include=tuple(include), **given)

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> WorkerOptions:
        """Read what :meth:`to_json` wrote."""
        lists = {name: tuple(data[name]) for name in ("queues", "include", "autoscale") if data.get(name)}
        return cls(**{**data, **lists})


def _check_count(name: str, value: Any, most: int | None = None) -> None:
    right = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not right or (most is not None and value > most):
        span = f"from 1 to {most}" if most is not None else "of 1 or more, or None for no limit"
        raise ConfigError(f"{name}: {value!r} is not a whole number {span}")


def _check_autoscale(value: Any, pool: str) -> None:
    numbers = value if isinstance(value, tuple) and all(type(one) is int for one in value) else ()
    if len(numbers) != 2 or not 1 <= numbers[1] <= numbers[0] <= MOST_CHILDREN:
        raise ConfigError(
            f"autoscale: {value!r:.40} is not (most, least) children, each from 1 to {MOST_CHILDREN}, such as (10, 3)"
        )
    if pool == "solo":
        raise ConfigError("autoscale: a worker with the pool solo has one child; leave one of the two out")
