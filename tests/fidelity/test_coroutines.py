"""A coroutine that a plain function gives is awaited, and a map takes iterables as they are."""

from __future__ import annotations

import asyncio
import functools

import pytest
from tqdm import tqdm

from nbtasks import NotPicklable, current_call

SOON = 60.0


async def double(x):
    """Return twice as much, a moment later."""
    await asyncio.sleep(0.001)
    return 2 * x


def timed(function):
    """Wrap as people wrap: the wrapper is no ``async def``."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Client:
    """An object that is called, and one whose method is."""

    def __call__(self, x):
        return double(x)

    def fetch(self, x):
        return double(x)


async def twice_wrapped(x):
    """Return a coroutine in place of its value."""
    return double(x)


async def who():
    """Return whose call it is."""
    return current_call().id


@pytest.mark.parametrize(
    "function",
    [
        timed(double), lambda x: double(x=x), functools.partial(double), functools.partial(timed(double)),
        Client(), Client().fetch, twice_wrapped, double,
    ],
)  # fmt: skip
def test_a_coroutine_that_comes_back_is_awaited(shared_app, function):
    task = shared_app.task(function)
    assert task.delay(4).get(timeout=SOON) == 8
    assert task.map([1, 2, 3]).get(timeout=SOON) == [2, 4, 6]
    assert task.apply((4,)).get() == 8


def test_it_is_awaited_here_where_a_loop_runs(shared_app):
    async def notebook():
        return shared_app.task(timed(double)).apply((4,)).get()

    assert asyncio.run(notebook()) == 8


def test_it_belongs_to_its_call(shared_app):
    handle = shared_app.task(timed(who)).delay()
    assert handle.get(timeout=SOON) == handle.id


def test_what_it_raises_is_the_calls_error(shared_app):
    async def fail():
        raise KeyError("k")

    with pytest.raises(KeyError, match="k"):
        shared_app.task(timed(fail)).delay().get(timeout=SOON)


def test_coroutines_and_generators_inside_a_result_are_named(shared_app):
    def several():
        made = [double(1)]
        made[0].close()
        return made

    with pytest.raises(NotPicklable, match="await"):
        shared_app.task(several).delay().get(timeout=SOON)
    with pytest.raises(NotPicklable, match=r"collect its values in a list"):
        shared_app.task(lambda: (x for x in "ab")).delay().get(timeout=SOON)


class Unsized:
    """An iterable whose length is asked in vain."""

    def __init__(self, error):
        self.error = error

    def __iter__(self):
        return iter(range(3))

    def __len__(self):
        raise self.error


@pytest.mark.parametrize(
    "iterable",
    [
        lambda: tqdm((x for x in range(3)), disable=True), lambda: Unsized(TypeError()),
        lambda: Unsized(AttributeError("n")), lambda: Unsized(ZeroDivisionError()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"max_parallel": 2}])
def test_an_iterable_need_not_have_a_length(shared_app, iterable, options):
    assert shared_app.task(double).map(iterable(), **options).get(timeout=SOON) == [0, 2, 4]


def refilled(buffer, n, wrap=lambda buffer, number: buffer):
    """Yield the same object again and again, with something else in it."""
    for number in range(n):
        buffer[0] = number
        yield wrap(buffer, number)


@pytest.mark.parametrize("options", [{}, {"max_parallel": 2}, {"chunk": 1}])
def test_an_item_is_what_it_was_when_it_was_taken(shared_app, options):
    first = shared_app.task(lambda buffer: buffer[0])
    assert first.map(refilled([None], 4), **options).get(timeout=SOON) == [0, 1, 2, 3]
    inside = refilled([None], 4, lambda buffer, number: (buffer, number))
    assert shared_app.task(lambda pair: pair[0][0]).map(inside, **options).get(timeout=SOON) == [0, 1, 2, 3]
    pairs = refilled([None], 4, lambda buffer, number: (number, buffer))
    same = shared_app.task(lambda number, buffer: buffer[0] == number)
    assert same.starmap(pairs, **options).get(timeout=SOON) == [True] * 4


class Rows:
    """An iterable that fills one buffer while it is read, and is no iterator itself."""

    def __iter__(self):
        return refilled({}, 3)


def test_large_buffers_that_are_refilled_and_such_that_stay(shared_app):
    import numpy as np

    many = 300_000  # 2.4 MB: it would be sent once for all calls that have it
    first = shared_app.task(lambda buffer, *rest: int(buffer[0]))
    assert first.map(refilled(np.zeros(many), 3)).get(timeout=SOON) == [0, 1, 2]
    pairs = refilled(np.zeros(many), 3, lambda buffer, number: (buffer, number))
    assert first.starmap(pairs).get(timeout=SOON) == [0, 1, 2]
    stays = np.full(many, 7.0)
    handle = first.starmap((stays, number) for number in range(4))
    assert handle.get(timeout=SOON) == [7] * 4
    assert len(handle.batch.parcel.blobs) <= 1
    assert first.map(Rows()).get(timeout=SOON) == [0, 1, 2]


def test_a_call_that_is_tried_again_has_what_it_had(shared_app):
    @shared_app.task
    def odd_first(buffer):
        if buffer[0] % 2 == 0:
            raise ValueError(buffer[0])
        return buffer[0]

    handle = odd_first.map(refilled([None], 4), on_error="keep")
    handle.get(timeout=SOON)
    assert list(map(repr, handle.retry_failed().get(timeout=SOON))) == [
        "ValueError(0)",
        "1",
        "ValueError(2)",
        "3",
    ]
    assert [call.args for call in handle] == [([0],), ([1],), ([2],), ([3],)]
