"""Brings an embedded server back that was killed together with its keeper, as long as somebody here uses it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import ConfigError
from nbtasks.local import hindrance

_BETWEEN_TRIES = Backoff(0.25, 15.0)


class Revival:
    """A thread that waits for the death of the keeper behind a lease, until that is given back.

    Who uses the server does not have to ask for anything: what waits for results goes on as soon as it is there again.
    Of several users who notice at the same time one starts it, and the others find it.

    Args:
        wait_for_loss: returns True when the keeper has died, False when the lease was given back.
        ensure: brings it back where that is needed.

    Raises:
        ConfigError: this machine has no thread left for it.
    """

    def __init__(self, wait_for_loss: Callable[[], bool], ensure: Callable[[], bool]) -> None:
        self._wait_for_loss = wait_for_loss
        self._ensure = ensure
        self._closed = threading.Event()
        try:
            threading.Thread(target=self._watch, name="nbtasks-revival", daemon=True).start()
        except RuntimeError as error:
            raise ConfigError(
                f"the embedded server cannot be watched: {hindrance.explain_any(error)}"
            ) from error

    def close(self) -> None:
        """Bring nothing back any more."""
        self._closed.set()

    def _watch(self) -> None:
        while self._wait_for_loss():
            for tries in itertools.count(1):
                pause_s = _BETWEEN_TRIES.after(tries)
                if self._closed.is_set() or self._bring_back(pause_s):
                    break
                self._closed.wait(pause_s)

    def _bring_back(self, pause_s: float) -> bool:
        # Nobody shall pay for it who never needs it.
        import logging

        log = logging.getLogger("nbtasks")
        try:
            if self._ensure():
                log.info("the embedded server was killed; it is back, on its data")
        except ConfigError as error:
            log.warning(
                "the embedded server was killed and does not come back; the next try is in %g s: %s",
                pause_s,
                error,
            )
            return False
        return True
