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
