"""Waits that grow: how long to wait before what has failed is tried again."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

#: No power of a factor is higher, whatever is counted: the wait would be no number.
_MOST_STEPS = 60
#: Not the module's own generator: that is the user's, who may have given it a seed. Nor another one, which two
#: processes that were forked off would have in common.
_chance = random.SystemRandom()


@dataclass(frozen=True)
class Backoff:
    """How long to wait after failures in a row. Whoever waits counts them.

    Args:
        first_s: seconds after the first failure.
        most_s: seconds that a wait may take.
        factor: how many times as long each wait is as the one before.
        jitter: waits are cut by up to a half, so that not everybody comes back at the same moment.
    """

    first_s: float
    most_s: float = math.inf
    factor: float = 2.0
    jitter: bool = False

    def after(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row; 0 after none."""
        if failures < 1:
            return 0.0
        wait_s = min(self.most_s, self.first_s * self.factor ** min(failures - 1, _MOST_STEPS))
        return wait_s * _chance.uniform(0.5, 1.0) if self.jitter else wait_s
