"""What is raised: types, texts, causes, notes, groups."""

import sys
import warnings

import httpx
import requests
from notebook import item
from shapes import Circle, ShapeError, refuse


class AppError(Exception):
    """Has a keyword-only argument and attributes."""

    def __init__(self, message, *, code=0):
        super().__init__(message)
        self.code = code

    def __str__(self):
        return f"{self.args[0]} (code {self.code})"


class TwoArguments(AppError):
    def __init__(self, first, second):
        super().__init__(f"{first}-{second}", code=2)
        self.first, self.second = first, second


class NoArgs(Exception):
    def __init__(self, thing):
        self.thing = thing


@item
def division_by_zero():
    return 1 / 0


@item
def a_key_error():
    return {"a": 1}["b"]


@item
def an_attribute_error_with_its_name():
    return "".nothing


@item
def a_name_error():
    return undefined_anywhere


@item
def an_own_exception():
    raise AppError("bad", code=5)


@item
def an_own_exception_with_another_init():
    raise TwoArguments("a", "b")


@item
def an_exception_without_args():
    raise NoArgs([1])


@item
def an_exception_of_a_module():
    refuse(Circle(2))


@item
def caught_by_its_class():
    try:
        refuse(Circle(1))
    except ShapeError as error:
        return str(error), error.shape, isinstance(error, ValueError)


@item
def raised_from():
    try:
        int("x")
    except ValueError as error:
        raise AppError("wrapped", code=1) from error


@item
def raised_from_none():
    try:
        int("x")
    except ValueError:
        raise KeyError("alone") from None


@item
def three_causes():
    try:
        try:
            raise NoArgs(1)
        except NoArgs as one:
            raise OSError(2, "no such", "file.txt") from one
    except OSError as two:
        raise RuntimeError("three") from two


@item
def raised_while_handling():
    try:
        int("x")
    except ValueError:
        {}["y"]


@item
def the_cause_of_a_caught_one():
    try:
        raised_from()
    except AppError as error:
        return type(error.__cause__).__name__, str(error.__cause__), error.__suppress_context__


@item
def an_exception_as_a_value():
    return [ValueError("a", 1), AppError("b", code=3), OSError(13, "denied", "f")]


@item
def a_unicode_error():
    return b"\xff".decode("utf-8")


@item
def a_stop_iteration():
    return next(iter([]))


@item
def an_assertion():
    assert 1 == 2, "one is not two"


@item
def a_json_error():
    import json

    return json.loads("{bad")


@item
def a_called_process_error():
    import subprocess

    subprocess.run([sys.executable, "-c", "import sys; sys.exit(3)"], check=True)


@item
def an_http_error():
    import io
    import urllib.error

    raise urllib.error.HTTPError("http://x", 404, "Not Found", {}, io.BytesIO(b""))


@item
def a_requests_error():
    raise requests.ConnectionError("no host", response=None)


@item
def an_httpx_error():
    raise httpx.ConnectError("no host", request=httpx.Request("GET", "http://x/y"))


@item
def a_pandas_error():
    import pandas as pd

    return pd.DataFrame({"a": [1]})["b"]


@item
def a_numpy_error():
    import numpy as np

    return np.linalg.inv(np.zeros((2, 2)))


@item
def finally_and_else():
    parts = []
    try:
        parts.append("try")
    except ValueError:
        parts.append("except")
    else:
        parts.append("else")
    finally:
        parts.append("finally")
    return parts


@item
def a_return_in_finally_hides_the_error():
    def f():
        try:
            return 1 / 0
        finally:
            return "hidden"

    with warnings.catch_warnings():
        return f()


@item
def warnings_as_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.warn("loud", UserWarning)


@item
def recorded_warnings():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("quiet", DeprecationWarning)
    return [(w.category.__name__, str(w.message)) for w in caught]


@item
def recursion_without_an_end():
    def f(n):
        return f(n + 1)

    try:
        f(0)
    except RecursionError as error:
        return type(error).__name__, str(error)[:32]


class Chained(Exception):
    def __init__(self, parts):
        super().__init__(parts)
        self.parts = parts

    def __eq__(self, other):
        return self.parts == other.parts

    __hash__ = Exception.__hash__


@item
def an_exception_in_an_attribute():
    error = Chained({"inner": ValueError("x")})
    error.more = [Circle(1)]
    raise error


if sys.version_info >= (3, 11):

    @item
    def notes():
        error = ValueError("noted")
        error.add_note("first")
        error.add_note("second")
        raise error

    @item
    def groups():
        raise ExceptionGroup("several", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])])

    @item
    def groups_are_split():
        try:
            groups()
        except ExceptionGroup as group:
            some, rest = group.split(ValueError)
            return some, rest
