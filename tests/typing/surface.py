"""What editors and type checkers know of the public surface. `make lint` has mypy read this file; nothing runs it.

A call that must be an error carries an ignore: mypy reports an ignore that nothing needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import assert_type

from nbtasks import App, AsyncResult, EagerResult, GroupResult, Task, task
from nbtasks.core.boundtask import BoundTask

app = App("typing")


@task
def plain(url: str, times: int = 1) -> bytes:
    return url.encode() * times


@app.task
def of_app(url: str) -> float:
    return float(url)


@task(retries=3, queue="io", priority="high", time_limit="5m", autoretry_for=(OSError, ValueError))
def with_options(url: str) -> list[int]:
    return [len(url)]


@app.task(rate_limit="10/s", expires=timedelta(hours=1), throws=KeyError, bind=False)
def of_app_with_options(count: int) -> str:
    return str(count)


@task
async def coroutine(url: str) -> int:
    return len(url)


@app.task(time_limit=3.5)
async def coroutine_with_options(url: str) -> int:
    return len(url)


@task(bind=True, max_retries=None)
def bound(self: BoundTask, url: str) -> int:
    raise self.retry(countdown=1)


@task(bind=True, base=Task)
def bound_as_task(self: Task[[str], int], url: str) -> int:
    raise self.retry(countdown=1)


class Import(Task[[str], int]):
    """A class is a task, too."""

    name = "import"

    def run(self, url: str) -> int:
        return len(url)


@app.task(bind=True)
async def bound_coroutine(self, url: str) -> int:  # type: ignore[no-untyped-def]
    return len(url)


class Reader:
    """A class and a method can be tasks, too."""

    def read(self, place: int) -> str:
        return str(place)


def makes() -> None:
    assert_type(task(Reader().read).delay(place=1), AsyncResult[str])
    assert_type(task(Reader), Task[[], Reader])
    assert_type(app.task(len, queue="q").delay([1]), AsyncResult[int])
    assert_type(plain.with_options(queue="io").delay("x"), AsyncResult[bytes])
    unsaid: Task = plain
    assert_type(unsaid.delay(1, 2, x=3).get(), Any)


def takes() -> None:
    assert_type(plain("x"), bytes)
    assert_type(plain.delay("x", times=2), AsyncResult[bytes])
    assert_type(of_app.delay("x"), AsyncResult[float])
    assert_type(with_options.delay("x"), AsyncResult[list[int]])
    assert_type(of_app_with_options.delay(1), AsyncResult[str])
    assert_type(bound.delay("x"), AsyncResult[int])
    assert_type(bound("x"), int)
    assert_type(bound_coroutine.delay("x"), AsyncResult[int])


def takes_no_other() -> None:
    plain.delay()  # type: ignore[call-arg]
    plain.delay(1)  # type: ignore[arg-type]
    plain.delay("x", time=2)  # type: ignore[call-arg]
    of_app.delay("x", "y")  # type: ignore[call-arg]
    with_options.delay(url=1)  # type: ignore[arg-type]
    coroutine.delay()  # type: ignore[call-arg]
    bound.delay(bound, "x")  # type: ignore[call-arg, arg-type]
    bound.delay()  # type: ignore[call-arg]


def has_options() -> None:
    plain.apply_async(("x",), countdown=5, expires=datetime.max, priority=9, queue="io")  # noqa: DTZ901
    plain.apply_async(("x",), {"times": 2}, eta="2030-01-31T18:00", label="one", quiet=False, seed=1)
    plain.map(["x"], chunk=10, max_parallel=4, on_error="stop", time_limit="1m")


def has_no_other_options() -> None:
    task(retry=3)  # type: ignore[call-overload]
    task(queue=3)  # type: ignore[call-overload]
    app.task(plain.function, priority="highest")  # type: ignore[call-overload]
    plain.with_options(countdown=3)  # type: ignore[call-arg]
    plain.apply_async(("x",), autoretry_for=OSError)  # type: ignore[call-arg]
    plain.apply_async(("x",), chunk=3)  # type: ignore[call-arg]
    plain.map(["x"], on_error="ignore")  # type: ignore[call-overload]
    plain.map(["x"], chunk="auto")  # type: ignore[call-overload]
    app.start_workers(2, pool="gevent")  # type: ignore[arg-type]
    app.start_workers(2, concurrency=3)  # type: ignore[call-arg]


def one_result() -> None:
    handle = plain.apply_async(("x",))
    assert_type(handle, AsyncResult[bytes])
    assert_type(handle.get(), bytes)
    assert_type(handle.get(10), bytes)
    assert_type(handle.get(timeout="1m", propagate=True), bytes)
    assert_type(handle.get(propagate=False), bytes | BaseException)
    assert_type(handle.wait("10s"), bytes)
    assert_type(handle.then(lambda done: done.get().decode()), AsyncResult[bytes])
    assert_type(plain.apply(("x",)), EagerResult[bytes])
    assert_type(plain.apply(("x",)).get(), bytes)
    assert_type(AsyncResult("some-id").get(), Any)
    assert_type(app.AsyncResult("some-id").get(), Any)


def many_results() -> None:
    handle = plain.map(["x", "y"])
    assert_type(handle, GroupResult[bytes])
    assert_type(handle.get(), list[bytes])
    assert_type(handle.get(propagate=False), list[bytes | BaseException])
    assert_type(handle.join(10), list[bytes])
    assert_type(handle[0], AsyncResult[bytes])
    assert_type(handle[1:], list[AsyncResult[bytes]])
    assert_type([each.get() for each in handle], list[bytes])
    assert_type(handle.as_completed(), Iterator[AsyncResult[bytes]])
    assert_type(handle.retry_failed(), GroupResult[bytes])
    assert_type(handle.then(lambda done: done.get()[0].decode()), GroupResult[bytes])
    assert_type(plain.starmap([("x", 1)]), GroupResult[bytes])
    assert_type(plain.starmap([("x", 1)], on_error="keep").get(), list[bytes | BaseException])
    assert_type(plain.map(["x"], on_error="keep").get(), list[bytes | BaseException])
    assert_type(coroutine.map(["x"]).get(), list[int])
    assert_type(GroupResult("some-id").get(), list[Any])


async def awaited() -> None:
    assert_type(await plain.delay("x"), bytes)
    assert_type(await plain.map(["x"]), list[bytes])
    assert_type(await coroutine.delay("x"), int)
    assert_type(await coroutine_with_options.delay("x"), int)
    assert_type(await coroutine("x"), int)
    assert_type(coroutine.delay("x").get(), int)
    assert_type(await bound_coroutine("x"), int)
    assert_type(plain.apply(("x",)).then(lambda done: done.get().decode()), EagerResult[bytes])
    assert_type(await plain.apply(("x",)), bytes)
