"""What a task raises is what arrives: the class, the text, the arguments, the causes, the members of a group."""

from __future__ import annotations

import sys
import traceback

import pytest

import nbtasks

CHAINS = """
    import threading

    class Stays(Exception):
        def __new__(cls, *args, key=None):
            if key is None:
                raise TypeError("not like that")
            return super().__new__(cls, *args)

        def __init__(self, *args, key=None):
            super().__init__(*args)

    def divide():
        return 1 / 0

    def from_cause():
        try:
            divide()
        except ZeroDivisionError as error:
            raise ValueError("outer") from error

    def in_context():
        try:
            divide()
        except ZeroDivisionError:
            {}["missing"]

    def from_none():
        try:
            divide()
        except ZeroDivisionError:
            raise ValueError("outer") from None

    def past_what_stays():
        try:
            try:
                divide()
            except ZeroDivisionError as error:
                raise Stays("in between", key=1) from error
        except Stays as error:
            raise ValueError("outer") from error

    def in_a_circle():
        one, other = ValueError("one"), ValueError("other")
        one.__cause__, other.__cause__ = other, one
        raise one

    def from_afar():
        error = None
        for number in range(3000):
            following = ValueError(number)
            following.__cause__ = error
            error = following
        raise error

    def noted():
        try:
            divide()
        except ZeroDivisionError as error:
            error.__notes__ = ["first note"]
            raise ValueError("outer") from error
"""


@pytest.fixture
def failing(shared_app, notebook):
    """Return what a function of the notebook raises when it runs on a worker."""
    notebook.run(CHAINS)

    def failing(name):
        with pytest.raises(Exception) as info:  # noqa: PT011 - whatever it is
            shared_app.task(notebook[name]).delay().get(timeout=30)
        return info.value

    return failing


def test_cause_and_context_come_back_with_their_tracebacks(failing):
    error = failing("from_cause")
    assert (type(error), str(error), error.__suppress_context__) == (ValueError, "outer", True)
    assert type(error.__cause__) is ZeroDivisionError
    assert error.__cause__ is error.__context__
    shown = "".join(traceback.format_exception(error))
    assert "in divide\n    return 1 / 0" in shown
    assert "direct cause of the following exception" in shown

    error = failing("in_context")
    assert (type(error.__context__), error.__cause__, error.__suppress_context__) == (
        ZeroDivisionError,
        None,
        False,
    )
    assert "During handling of the above exception" in "".join(traceback.format_exception(error))

    error = failing("from_none")
    assert (error.__cause__, error.__suppress_context__) == (None, True)
    assert "ZeroDivisionError" not in "".join(traceback.format_exception(error))


def test_the_chain_goes_on_past_a_cause_that_cannot_be_rebuilt(failing):
    error = failing("past_what_stays")
    assert type(error.__cause__) is nbtasks.TaskError
    assert str(error.__cause__) == "Stays: in between"
    assert type(error.__cause__.__cause__) is ZeroDivisionError


def test_circles_and_endless_chains_end(failing):
    error = failing("in_a_circle")
    assert error.__cause__.__cause__ is error
    error, length = failing("from_afar"), 0
    while error is not None:
        error, length = error.__cause__, length + 1
    assert 10 <= length <= 100


def test_notes_of_causes_come_back(failing):
    assert failing("noted").__cause__.__notes__ == ["first note"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are of Python 3.11")
def test_members_of_a_group_keep_their_causes(shared_app, notebook):
    notebook.run(
        CHAINS
        + """
    def grouped(*names):
        found = []
        for name in names:
            try:
                globals()[name]()
            except Exception as error:
                found.append(error)
        raise ExceptionGroup("all", [*found, ExceptionGroup("inner", [KeyError("k")])])

    def both():
        grouped(*["from_cause", "in_context"])
        from_cause, in_context

    def one_stays():
        raise ExceptionGroup("all", [KeyError("k"), Stays("here", key=1)])
    """
    )
    with pytest.raises(Exception, match="all") as info:
        shared_app.task(notebook["both"]).delay().get(timeout=30)
    first, second, inner = info.value.exceptions
    assert (str(first), type(first.__cause__)) == ("outer", ZeroDivisionError)
    assert "in divide" in "".join(traceback.format_exception(first))
    assert (type(second), type(second.__context__)) == (KeyError, ZeroDivisionError)
    assert type(inner.exceptions[0]) is KeyError

    with pytest.raises(Exception, match="all") as info:
        shared_app.task(notebook["one_stays"]).delay().get(timeout=30)
    assert info.value.message == "all"
    assert [type(member) for member in info.value.exceptions] == [KeyError, nbtasks.TaskError]


SHAPES = """
    import threading

    class Refused(Exception):
        '''As urllib3 does it: the connection makes the text, and is left out on the way.'''
        def __init__(self, connection, reason):
            self.connection, self.reason = connection, reason
            super().__init__(f"{connection}: {reason}")

        def __reduce__(self):
            return type(self), (None, None)

    class Outer(OSError):
        '''As requests does it: it holds the other library's.'''

    class GaveUp(Exception):
        '''As tenacity does it: its text is made of what cannot travel.'''
        def __init__(self, attempt):
            self.attempt, self.tries = attempt, 3
            super().__init__(attempt)

        def __str__(self):
            return f"gave up with {self.attempt!r}"

    class Attempt:
        def __init__(self):
            self.lock = threading.Lock()

        def __repr__(self):
            return "<attempt>"

    class Client(Exception):
        '''As botocore does it: keyword arguments make the text, and its __reduce__ fails.'''
        fmt = "error ({code})"
        def __init__(self, *, code):
            super().__init__(self.fmt.format(code=code))
            self.code = code

        def __reduce__(self):
            return type(self), (), {"code": self.code}

    class Forgetful(Exception):
        def __init__(self, a):
            super().__init__(a)
            self.a, self.more = a, [a]

        def __reduce__(self):
            return type(self), (self.a,)

    def refused():
        raise Refused("host:1", "no")

    def outer():
        raise Outer(Refused("host:2", "no"))

    def gave_up():
        raise GaveUp(Attempt())

    def client():
        raise Client(code="c")

    def forgetful():
        error = Forgetful("a")
        error.status = 404
        raise error

    def not_there():
        return missing_name
"""


def test_an_exception_keeps_its_class_its_text_and_its_attributes(failing, notebook):
    notebook.run(SHAPES)
    raised = failing
    error = raised("refused")
    assert (type(error).__name__, str(error), error.args) == ("Refused", "host:1: no", ("host:1: no",))
    assert error.reason == "no"
    assert str(raised("outer")) == "host:2: no"
    error = raised("gave_up")
    assert type(error).__name__ == "GaveUp"
    assert (str(error), error.tries) == ("gave up with <attempt>", 3)
    error = raised("client")
    assert (type(error).__name__, str(error), error.code) == ("Client", "error (c)", "c")
    error = raised("forgetful")
    assert (error.args, error.more, error.status) == (("a",), ["a"], 404)
    assert raised("not_there").name == "missing_name"


def test_libraries_exceptions_keep_their_texts(shared_app, notebook):
    requests = pytest.importorskip("requests")
    tenacity = pytest.importorskip("tenacity")
    notebook.run(
        """
        def fetch():
            return requests.get("http://127.0.0.1:1/x")

        def again():
            return tenacity.Retrying(stop=tenacity.stop_after_attempt(1))(fetch)
        """,
        requests=requests,
        tenacity=tenacity,
    )
    with pytest.raises(requests.ConnectionError, match=r"host='127\.0\.0\.1', port=1") as info:
        shared_app.task(notebook["fetch"]).delay().get(timeout=30)
    assert "host='127.0.0.1', port=1" in str(info.value.args[0])
    with pytest.raises(tenacity.RetryError, match="raised ConnectionError"):
        shared_app.task(notebook["again"]).delay().get(timeout=30)
