"""Take calls out of a queue that are final and that no worker has taken: perhaps nobody ever serves it."""

from __future__ import annotations

import math
from typing import Protocol


class Withdrawal(Protocol):
    """Withdraws the entries of one batch, a part at a time."""

    def run(self, most_s: float = math.inf) -> bool:
        """Look for ``most_s`` seconds at most, then return whether there was nothing left to look at.

        What is withdrawn is every entry of the batch, waiting or due later, whose calls have all ended and that no
        worker has in hand; each is one step. What is missed ends when it is taken. Called again, it goes on.

        Raises:
            OperationalError: the broker does not answer.
        """
