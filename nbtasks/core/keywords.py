"""Options as people write them: name, type and meaning, once for decorators, calls, maps, workers, magics and commands.

How they are checked and kept stands in options.py. Annotations are values here, for the help is made from them.
"""

import datetime as dt
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypedDict, TypeVar

from .durations import Duration

Priority = int | Literal["low", "normal", "high"]
OnError = Literal["raise", "keep", "stop"]
Pool = Literal["prefork", "threads", "solo"]
OutputTo = Literal["call", "log"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
Exceptions = type[BaseException] | Sequence[type[BaseException]]
Moment = dt.datetime | str | float


class _OfTheTask:
    """Stands in signatures for what a call takes from its task."""

    def __repr__(self) -> str:
        return "<as the task>"


OF_THE_TASK = _OfTheTask()

F = TypeVar("F", bound=Callable[..., Any])


class SharedKeywords(TypedDict, total=False):
    """What can be set on a task, and for one call or map over that."""

    queue: Annotated[str, "queue that calls are sent to"]
    priority: Annotated[Priority, "low, normal, high or 0-9; higher is sooner"]
    retries: Annotated[int | None, "run again after an error, up to so many times"]
    max_retries: Annotated[int | None, "most retries, by autoretry_for or self.retry(); None: no limit"]
    time_limit: Annotated[Duration | None, "stop each attempt after this time (90, 5m, 1h30m)"]
    soft_time_limit: Annotated[Duration | None, "raise SoftTimeLimitExceeded in each attempt after this time"]
    acks_late: Annotated[bool, "False: a call whose worker dies fails, and is not run again"]
    seed: Annotated[int | None, "random numbers follow from it: the same seed gives the same ones"]
    ignore_result: Annotated[bool, "keep no values"]
    memo: Annotated[bool, "take kept results of calls with the same code, captured values and arguments"]


class DecoratorKeywords(SharedKeywords, total=False):
    """What can be said where a task is made, ``bind`` apart, which decides what its calls take."""

    name: Annotated[str | None, "what cards, logs and lists call the task; None: the function's name"]
    autoretry_for: Annotated[Exceptions, "exceptions after which a call is run again"]
    dont_autoretry_for: Annotated[Exceptions, "subclasses of those after which it is not"]
    default_retry_delay: Annotated[Duration, "time before the first retry; doubles from one to the next"]
    retry_backoff: Annotated[bool | Duration, "False: the delay does not grow; a time: the first delay"]
    retry_backoff_max: Annotated[Duration, "longest time between two attempts"]
    retry_jitter: Annotated[bool, "spread retries at random, so that they do not come all at once"]
    rate_limit: Annotated[
        str | float | None, "at most so many starts over all workers (10/s, 100/m, 5/h), retries included"
    ]
    max_concurrency: Annotated[int | None, "at most so many calls of it run at once, over all workers"]
    concurrency_key: Annotated[
        Callable[..., Any] | None,
        "with max_concurrency: counts apart by what it returns for a call's arguments",
    ]
    locks: Annotated[
        str | Sequence[str] | Mapping[str, int],
        "names of locks that each call holds; a dict gives capacities",
    ]
    unique_for: Annotated[
        Duration | bool | None,
        "the same call again is the one that waits or runs, for so long; True: without an end",
    ]
    unique_key: Annotated[
        Callable[..., Any] | None, "calls with the same key are the same, whatever their arguments are"
    ]
    expires: Annotated[Duration | None, "do not start a call any more after this time"]
    retry_kwargs: Annotated[
        Mapping[str, Any] | None, "as in Celery: max_retries, and countdown between two attempts"
    ]
    base: Annotated[type | None, "class derived from Task, whose attributes, methods and hooks it has"]
    throws: Annotated[Exceptions, "expected exceptions, logged without a traceback"]


class TaskKeywords(DecoratorKeywords, total=False):
    """What can be said where a task is made."""

    bind: Annotated[bool, "give the function the task itself as first argument (self.request, self.retry)"]


class CallKeywords(SharedKeywords, total=False):
    """What can be said at a submit."""

    task_id: Annotated[str | None, "id of this call; None: made for it"]
    headers: Annotated[Mapping[str, Any] | None, "for the task, in self.request.headers; texts and numbers"]
    shadow: Annotated[str | None, "name in cards and logs in the place of the task's"]
    retry: Annotated[bool, "as in Celery; a submit always waits for a broker that comes back"]
    retry_policy: Annotated[Mapping[str, Any] | None, "as in Celery; likewise"]

    countdown: Annotated[Duration | None, "start after this time at the earliest"]
    eta: Annotated[Moment | None, "start at this moment at the earliest"]
    expires: Annotated[Duration | Moment | None, "do not start any more after this time or moment"]
    rerun: Annotated[bool, "with memo: run all calls, and keep their results in place of those that are kept"]
    again: Annotated[bool, "beside the earlier run of this cell, which is not replaced then"]
    label: Annotated[str | None, "the card's title"]
    quiet: Annotated[bool, "no card"]


class GroupKeywords(CallKeywords, total=False):
    """What can be said with a map, ``on_error`` apart, which decides what its values are."""

    chunk: Annotated[int | None, "items per message; None: chosen by itself"]
    max_parallel: Annotated[int | None, "at most so many calls of this map at once; items are read as needed"]


class MapKeywords(GroupKeywords, total=False):
    """What can be said with a map."""

    on_error: Annotated[
        OnError, "raise: at get(); keep: exceptions as values; stop: revoke the rest at the first failure"
    ]


class WorkerKeywords(TypedDict, total=False):
    """What can be said where workers are started."""

    queues: Annotated[Sequence[str] | str, "queues to serve"]
    pool: Annotated[Pool, "kind of children: processes, threads, or one alone for debugging"]
    threads: Annotated[int, "threads per child, with the pool threads"]
    name: Annotated[str | None, "name in lists and logs; by default host and pid"]
    keep: Annotated[bool, "go on when this process has ended"]
    beat: Annotated[bool | None, "False: leave it to others to fire periodic tasks"]
    env: Annotated[Mapping[str, object] | None, "environment variables of the workers"]
    loglevel: Annotated[LogLevel, "how much workers log"]
    logfile: Annotated[str | None, "file that the log is added to; None: standard error"]
    output: Annotated[
        OutputTo, "log: what tasks print is in the worker's log, too; call: with their calls only"
    ]
    autoscale: Annotated[
        tuple[int, int] | None,
        "most and least children, as many as there is work for; in place of their number",
    ]
    max_tasks_per_child: Annotated[int | None, "replace a child after so many calls"]
    max_memory_per_child: Annotated[int | None, "replace a child that has more memory than so many KiB"]
    lease: Annotated[Duration, "silence after which a worker's calls are given to others"]


def meanings(keywords: Any) -> dict[str, str]:
    """Return what each option of a class above is for, in one sentence without a full stop."""
    return {name: kind.__metadata__[0] for name, kind in keywords.__annotations__.items()}


def documented(keywords: Any, defaults: Mapping[str, Any]) -> Callable[[F], F]:
    """Show the options that ``**options`` of a function stands for in its help, its signature and on TAB.

    Args:
        keywords: one of the classes above.
        defaults: what those options are that have a value of their own where none is given.
    """

    def show(function: F) -> F:
        said = [f"    {name}: {text}." for name, text in meanings(keywords).items()]
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Options:", *said])
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name, OF_THE_TASK))
            for name in meanings(keywords)
            if name not in signature.parameters
        ]
        function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        return function

    return show
