"""What can travel, and how it is said which part cannot."""

from __future__ import annotations

import collections
import dataclasses
import threading

import numpy as np
import pytest

from nbtasks import NotPicklable
from nbtasks.wire import pickling


def there_and_back(value):
    """Pickle and unpickle."""
    return pickling.loads(b"".join(bytes(part) for part in pickling.dumps(value)))


class Point:
    """Stands for a class of a notebook."""

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x

    __hash__ = None


@dataclasses.dataclass
class Row:
    name: str
    values: list


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        2**100,
        -0.5,
        "text",
        b"bytes",
        (1, [2, {"a": (3,)}]),
        {1, 2},
        frozenset("ab"),
        collections.OrderedDict(a=1),
        range(5),
        list(range(10_000)),
        {number: str(number) for number in range(1000)},
    ],
)
def test_values_come_back_equal(value):
    again = there_and_back(value)
    assert again == value
    assert type(again) is type(value)


def test_instances_of_notebook_classes_come_back():
    assert there_and_back([Point(3)]) == [Point(3)]
    assert there_and_back(Row("a", [1])) == Row("a", [1])


def test_a_class_made_on_the_fly_travels_with_its_instance():
    made = type("Made", (), {"twice": lambda self: self.x * 2, "__module__": "__main__"})
    thing = made()
    thing.x = 4
    assert there_and_back(thing).twice() == 8


def test_arrays_travel_outside_the_pickle_and_come_back_writable():
    array = np.arange(1_000_000, dtype="f8").reshape(1000, 1000)
    parts = pickling.dumps({"a": array, "n": 1})
    assert any(isinstance(part, memoryview) and part.nbytes == array.nbytes for part in parts)
    again = there_and_back({"a": array})["a"]
    assert np.array_equal(again, array)
    again[0, 0] = -1
    assert array[0, 0] == 0


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(0),
        np.float64(2.5),
        np.arange(20_000)[::2],
        np.asfortranarray(np.ones((200, 200))),
        np.array(["a", None, 3], dtype=object),
        np.zeros(3, dtype=[("a", "i4"), ("b", "U3")]),
        np.array(["2020-01-01"], dtype="M8[D]"),
    ],
)
def test_arrays_of_every_kind(array):
    again = there_and_back(array)
    assert np.array_equal(again, array)
    assert again.dtype == array.dtype


def test_many_large_buffers():
    arrays = [np.full(10_000, number) for number in range(20)]
    assert all(np.array_equal(a, b) for a, b in zip(arrays, there_and_back(arrays), strict=True))


def test_functions_travel_by_value_with_what_they_capture():
    offset = {"by": 10}

    def add(x, more=1):
        return x + offset["by"] + more

    assert pickling.loads(pickling.dump_function(add))(1) == 12


def outer(lock):
    """Makes a function that captures what it is given."""

    def inner():
        return lock

    return inner


def test_a_capture_that_cannot_travel_is_named():
    with pytest.raises(
        NotPicklable, match=r"inner: lock \(lock\) cannot travel.*Make it inside the task instead"
    ) as caught:
        pickling.dump_function(outer(threading.Lock()))
    assert caught.value.path == "inner: lock"


def test_the_path_leads_to_the_innermost_part():
    config = {"db": [1, Row("x", [threading.Lock()])]}
    with pytest.raises(NotPicklable) as caught:
        pickling.dump_function(outer(config))
    assert caught.value.path == "inner: lock['db'][1].values[0]"


def test_a_culprit_in_a_plain_value():
    found = pickling.culprit({"a": [0, threading.Lock()]})
    assert found.path == "['a'][1]"
    assert "lock" in found.why
    assert pickling.culprit({"a": [0, 1]}) is None


def test_a_value_nested_too_deeply_is_refused():
    nested: list = []
    for _ in range(5_000):
        nested = [nested]
    with pytest.raises(NotPicklable):
        pickling.dumps(nested)


def test_a_value_that_contains_itself():
    ring: list = [1]
    ring.append(ring)
    again = there_and_back(ring)
    assert again[1] is again


def test_a_value_that_raises_while_it_is_pickled():
    class Sulky:
        def __reduce__(self):
            raise ValueError("not today")

    with pytest.raises(NotPicklable, match="not today"):
        pickling.dumps([Sulky()])


def test_a_simple_call_is_what_the_long_way_gives():
    for value in (1, "x", 2.5, None, True, b"b"):
        assert pickling.loads(pickling.simple_call(((value,), {}))) == ((value,), {})
    assert pickling.simple_call(((1, 2), {})) is None
    assert pickling.simple_call(((1,), {"a": 1})) is None
    assert pickling.simple_call((([1],), {})) is None
    assert pickling.simple_call((("x" * 10**6,), {})) is None


def test_code_keeps_its_file_so_that_tracebacks_show_its_lines():
    """Also where the code lies inside other code, or in a class."""

    def outer():
        return lambda: None

    class Holder:
        def method(self):
            pass

    rebuilt = pickling.loads(pickling.dump_function(outer))
    assert rebuilt.__code__.co_filename == outer.__code__.co_filename == __file__
    assert rebuilt().__code__.co_filename == __file__
    assert pickling.loads(pickling.dump_function(Holder)).method.__code__.co_filename == __file__
