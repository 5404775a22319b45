"""How an exception travels: as itself where it can, with the worker's traceback."""

from __future__ import annotations

import threading
import traceback

import pytest

from nbtasks import TaskError, WorkerLostError
from nbtasks.wire.errors import failures


def caught(function, *args):
    """Return the exception that a call raises."""
    with pytest.raises(BaseException) as info:  # noqa: PT011 - whatever it is
        function(*args)
    return info.value


def there_and_back(error):
    """Pack, unpack and rebuild."""
    return failures.rebuild(failures.unpack(failures.pack(error)), "the-call")


def divide(x):
    return 1 / x


class Odd(Exception):
    """Its __init__ takes other arguments than it passes on."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class Wordy(Exception):
    def __init__(self, name):
        super().__init__(f"no {name} here")


class Remote(OSError):
    def __init__(self, host):
        super().__init__(5, f"{host} does not answer")
        self.host = host


class Counting(Exception):
    """Is read as something else than it was."""

    def __init__(self, n):
        super().__init__(n)
        self.n = n

    def __reduce__(self):
        return Counting, (self.n + 1,)


class Pinned(Exception):
    def __init__(self, *args, key=None):
        super().__init__(*args)

    def __new__(cls, *args, key=None):
        if key is None:
            raise TypeError("stays where it is")
        return super().__new__(cls, *args)

    def __reduce__(self):
        raise TypeError("stays where it is")


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Holder(Exception):
    """Carries something that cannot travel."""


def test_the_class_the_text_and_the_frames_survive():
    error = there_and_back(caught(divide, 0))
    assert type(error) is ZeroDivisionError
    assert str(error) == "division by zero"
    shown = "".join(traceback.format_exception(error))
    assert "in divide" in shown
    assert "return 1 / x" in shown


def test_arguments_and_attributes_survive():
    original = KeyError("k", 3)
    original.extra = [1]
    error = there_and_back(original)
    assert (error.args, error.extra) == (("k", 3), [1])


def test_an_init_with_other_arguments_is_not_needed():
    original = Odd(1, 2)
    original.code = 404
    again = there_and_back(original)
    assert type(again) is Odd
    assert (str(again), again.args, again.code) == ("1 and 2", ("1 and 2",), 404)


def test_an_init_that_makes_its_own_text_does_not_make_it_twice():
    again = there_and_back(Wordy("k"))
    assert type(again) is Wordy
    assert str(again) == "no k here"


def test_an_os_error_with_an_init_of_its_own_keeps_its_number():
    again = there_and_back(Remote("host"))
    assert type(again) is Remote
    assert (again.errno, again.host, str(again)) == (5, "host", "[Errno 5] host does not answer")


def test_what_an_exception_carries_and_cannot_travel_is_left_out():
    original = Holder("held", threading.Lock())
    original.lock, original.name = threading.Lock(), "n"
    again = there_and_back(original)
    assert type(again) is Holder
    assert again.name == "n"
    assert again.args[0] == "held"
    assert "lock" in again.args[1]
    assert not hasattr(again, "lock")


def test_a_reduce_of_its_own_does_not_change_its_text():
    again = there_and_back(Counting(1))
    assert (type(again), str(again), again.args) == (Counting, "1", (1,))


def test_what_cannot_be_rebuilt_is_a_task_error_with_everything_known():
    error = Pinned("here", key=1)
    again = there_and_back(error)
    assert isinstance(again, TaskError)
    assert again.type_name == "Pinned"
    assert again.call_id == "the-call"
    assert str(again).startswith("Pinned: ")
    assert "Pinned" in again.traceback_text


def test_an_exception_without_a_text():
    assert "without a readable text" in failures.unpack(failures.pack(Mute())).message


def test_call_errors_learn_which_call_it_was():
    assert there_and_back(WorkerLostError("gone")).call_id == "the-call"
    assert there_and_back(WorkerLostError("gone", "other")).call_id == "other"


def test_deep_recursion_travels_shortened():
    def down(n):
        return down(n + 1)

    packed = failures.pack(caught(down, 0))
    assert len(packed) < 300_000
    assert type(failures.rebuild(failures.unpack(packed), "x")) is RecursionError


def test_a_long_message_is_cut():
    assert len(failures.unpack(failures.pack(ValueError("x" * 10**7))).message) <= 64 * 1024


def test_the_cause_is_in_the_text():
    def wrap():
        try:
            divide(0)
        except ZeroDivisionError as error:
            raise ValueError("outer") from error

    text = failures.unpack(failures.pack(caught(wrap))).text
    assert "ZeroDivisionError" in text
    assert "ValueError: outer" in text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_what_would_end_this_process_too_is_a_task_error(error):
    again = there_and_back(error)
    assert isinstance(again, TaskError)
    assert again.type_name == type(error).__name__
