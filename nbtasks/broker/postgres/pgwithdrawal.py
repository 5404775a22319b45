"""Take calls out of a queue that are final and that no worker has taken: perhaps nobody ever serves it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_AT_ONCE = 200


class PgWithdrawal:
    """Withdraws the entries of one batch, a part at a time."""

    def __init__(self, line: PgLink, address: str, batch: str) -> None:
        self._line = line
        self._address = address
        self._batch = batch

    def run(self, most_s: float = math.inf) -> bool:
        """Withdraw for ``most_s`` seconds at most, then return whether there is nothing left."""
        end = time.monotonic() + most_s
        while self._line.one("withdraw", self._address, self._batch, _MOST_AT_ONCE) >= _MOST_AT_ONCE:
            if time.monotonic() > end:
                return False
        return True
