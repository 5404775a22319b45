"""What ``@task`` and ``@app.task`` take and make, as editors and type checkers see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, Literal, Protocol, cast, overload

from nbtasks.core.errors import ConfigError
from nbtasks.core.keywords import TaskKeywords, documented
from nbtasks.core.lock import merged
from nbtasks.core.options import TaskOptions
from nbtasks.core.typevars import P, R

from . import ownclass
from .locking.locked import without_locks
from .registered import register
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from typing_extensions import Unpack

    from nbtasks.core.keywords import DecoratorKeywords

    class AsyncTask(Task[P, R]):
        """A task of an ``async def``: R is what it returns when it is awaited. At run time it is a Task."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]
            """Run the function here: await what this returns."""

    class Maker(Protocol):
        """``@task(...)``: makes a function a task."""

        @overload
        def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...

    class BoundMaker(Protocol):
        """``@task(bind=True)``: the task itself, the function's first argument, is no argument of its calls."""

        @overload
        def __call__(
            self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /
        ) -> AsyncTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Task[P, R]: ...

    class Decorator(Protocol):
        """``task``, with a function or with options."""

        @overload
        def __call__(self, /, *, bind: Literal[True], **options: Unpack[DecoratorKeywords]) -> BoundMaker: ...
        @overload
        def __call__(
            self, /, *, bind: Literal[False] = False, **options: Unpack[DecoratorKeywords]
        ) -> Maker: ...
        @overload
        def __call__(
            self,
            function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
            /,
            *,
            bind: Literal[True],
            **options: Unpack[DecoratorKeywords],
        ) -> AsyncTask[P, R]: ...
        @overload
        def __call__(
            self,
            function: Callable[Concatenate[Any, P], R],
            /,
            *,
            bind: Literal[True],
            **options: Unpack[DecoratorKeywords],
        ) -> Task[P, R]: ...
        @overload
        def __call__(
            self,
            function: Callable[P, Coroutine[Any, Any, R]],
            /,
            *,
            bind: Literal[False] = False,
            **options: Unpack[DecoratorKeywords],
        ) -> AsyncTask[P, R]: ...
        @overload
        def __call__(
            self,
            function: Callable[P, R],
            /,
            *,
            bind: Literal[False] = False,
            **options: Unpack[DecoratorKeywords],
        ) -> Task[P, R]: ...


def makes_tasks(function: Callable[..., Any]) -> Decorator:
    """Give a function that makes tasks its types, and its help the options."""
    return cast("Decorator", documented(TaskKeywords, TaskOptions.defaults())(function))


@makes_tasks
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a task of whatever app is current when it is called: ``@task`` or ``@task(retries=3)``."""
    return made(function, options, None)


def made(function: Callable[..., Any] | None, options: dict[str, Any], app: Any) -> Any:
    """Return a task of an App, or what makes one; as ``@task`` takes function and options.

    Raises:
        ConfigError: an unknown option or a bad value.
    """
    own = dict(options)
    base = own.pop("base", None) or Task
    checked = TaskOptions.make(own)
    if base is not Task:
        ownclass.check_base(base, Task)
    kept = None if app is None else app.kept_tasks

    def make(one: Callable[..., Any]) -> Task:
        one, locks = without_locks(one)
        if base is not Task:
            given = {**own, "locks": merged(checked.locks, locks)} if locks else own
            return register(ownclass.of_base(base, one, given, app), kept)
        options = checked.with_values({"locks": merged(checked.locks, locks)}) if locks else checked
        return register(Task(one, options, app), kept)

    return make if function is None else make(function)


def registered(task: Any, app: Any) -> Any:
    """Return a task of a class, at an App; its class is taken for an instance of it."""
    made = task() if isinstance(task, type) and issubclass(task, Task) else task
    if not isinstance(made, Task):
        raise ConfigError(
            f"register_task({task!r:.60}): it takes an instance of a class that is derived from nbtasks.Task; "
            "for a function say @app.task"
        )
    made.bind_to(app)
    return register(made, app.kept_tasks)
