"""Which call a key stands for: the one of a unique task that waits or runs. It is free again when that has ended."""

from __future__ import annotations

from nbtasks.broker.verbs.uniquecalls import GRACE_MS

from .channel import Argument
from .keys import Keys
from .link import Link
from .untrusted import batch_name


class RedisUniqueCalls:
    """Claims keys for calls that are about to be submitted."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def claim(self, key: str, batch: str, for_s: float) -> str:
        """Return the batch of the call that a key stands for; ``batch`` where there was none.

        Args:
            key: as :attr:`Lock.id`.
            for_s: seconds for which it counts at most, while the call waits or runs; 0: as long as it does.
        """
        args: list[Argument] = [batch, round(for_s * 1000), GRACE_MS]
        keys = [self._keys.root, self._keys.unique(key)]
        try:
            return batch_name(self._link.script("claim", keys, args))
        except ValueError:
            return batch
