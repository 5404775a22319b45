"""How an exception travels: as itself where it can, with the worker's traceback."""

from __future__ import annotations

import threading
import traceback

import pytest

from nbtasks import TaskError, WorkerLostError
from nbtasks.wire import failures


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


@pytest.mark.parametrize("error", [Odd(1, 2), Holder(threading.Lock())])
def test_what_cannot_be_rebuilt_is_a_task_error_with_everything_known(error):
    again = there_and_back(error)
    assert isinstance(again, TaskError)
    assert again.type_name == type(error).__name__
    assert again.call_id == "the-call"
    assert str(again).startswith(f"{type(error).__name__}: ")
    assert type(error).__name__ in again.traceback_text


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
