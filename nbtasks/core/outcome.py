"""How one attempt of a call has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .states import FAILURE_CODE


@dataclass(slots=True)
class Outcome:
    """How one attempt ended.

    Attributes:
        state: SUCCESS, FAILURE, REVOKED or RETRY, as a code.
        seconds: run time.
        error: what it raised, for FAILURE, REVOKED and RETRY.
        retry_in: seconds until the next attempt, for RETRY.
    """

    state: int
    value: Any = None
    seconds: float = 0.0
    error: BaseException | None = None
    retry_in: float = 0.0

    def fail(self, error: BaseException) -> None:
        """Its value cannot be told: it has failed."""
        self.state, self.value, self.error = FAILURE_CODE, None, error
