"""What ends a running call from outside."""

from __future__ import annotations


class Interrupted(BaseException):
    """Raised in a running task to stop it.

    Attributes:
        reason: the error that the call ends with.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


def raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have a thread raise an exception at its next step of Python; None takes back one that it has not raised yet."""
    import ctypes

    what = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
