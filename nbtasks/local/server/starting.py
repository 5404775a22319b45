"""An embedded server on its way: its keeper is found or launched, and heard until the server answers."""

from __future__ import annotations

import atexit
import os
import time

from nbtasks.core.errors import ConfigError
from nbtasks.local import hindrance

from .keeper.keeperlog import tail
from .keeper.layout import DATA_FOLDER, KEEPER_LOCK, KEEPER_LOG
from .keeperline import KeeperLine
from .keeperprocess import launch
from .serverplace import ServerPlace
from .serverprogram import INSTEAD

#: A start takes 0.05 s; a server that is being stopped, or replaced, may need some seconds first.
START_TIMEOUT_S = 30.0
RETRY_S = 0.002
#: How long a keeper that starts or goes is waited for before another one is launched; then twice as long, ...
PATIENCE_S = 0.05
PATIENCE_MAX_S = 1.0


class Starting:
    """A server that starts, meanwhile.

    Args:
        line: to its keeper, where that was found.

    Attributes:
        place: where the server will be, known before it is up.
    """

    def __init__(self, place: ServerPlace, line: KeeperLine | None = None) -> None:
        self.place = place
        self._launched = 0
        self._patience_s = PATIENCE_S
        self._line = line or KeeperLine.to(place.keeper_socket) or self._launch()
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"<Starting {self.place.url}>"

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> KeeperLine:
        """Return the line to the keeper once the server answers. An interrupt leaves the start as it is: wait again.

        Args:
            timeout_s: seconds without a sign of life. Reading a lot of data may take longer in all.

        Raises:
            ConfigError: the server does not start; the message ends with its log.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            said = self._hear(deadline)
            if said.startswith(b"ready "):
                self._collect()
                atexit.unregister(self.close)
                self._line.keeper_pid = int(said.split()[1])
                return self._line
            if said == b"loading":
                deadline = time.monotonic() + timeout_s
            elif said == b"failed":
                raise ConfigError(self._failure())
            elif said.startswith(b"cannot "):
                raise ConfigError(self._hindrance(said))
            else:
                # End of stream: another keeper was faster, or the one we found was about to go.
                self._line = self._find_again(deadline)

    def close(self) -> None:
        """Give the server up before it came."""
        self._collect()
        atexit.unregister(self.close)
        self._line.leave()

    def _launch(self) -> KeeperLine:
        line, self._launched = launch(self.place)
        return line

    def _collect(self) -> None:
        """Collect the process that forked the keeper off; it ends at once."""
        pid, self._launched = self._launched, 0
        if pid:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                return

    def _hear(self, deadline: float) -> bytes:
        try:
            return self._line.hear(deadline)
        except TimeoutError:
            raise ConfigError(self._silence()) from None

    def _find_again(self, deadline: float) -> KeeperLine:
        self._line.close()
        self._collect()
        launch_at = time.monotonic() + self._patience_s
        self._patience_s = min(PATIENCE_MAX_S, 2 * self._patience_s)
        while time.monotonic() < launch_at:
            line = KeeperLine.to(self.place.keeper_socket)
            if line is not None:
                return line
            if time.monotonic() > deadline:
                raise ConfigError(self._silence())
            time.sleep(RETRY_S)
        return self._launch()

    # -- why it does not start

    def _failure(self) -> str:
        log = self._line.hear_out()
        self._line.close()
        reason = hindrance.explain_log(log, str(self.place.folder))
        if reason is None and hindrance.is_bad_data(log):
            data = self.place.folder / DATA_FOLDER
            reason = f"if its data cannot be read, remove the folder {data} to begin afresh"
        reason = reason or "its log says why"
        return f"the embedded server does not start: {reason}; or {INSTEAD}. Its log ends with:\n{log}"

    def _hindrance(self, said: bytes) -> str:
        """Return what keeps the keeper from its work."""
        self._line.close()
        self._collect()
        _, number, what = said.decode("utf-8", "surrogateescape").split(" ", 2)
        word, _, path = what.partition(" ")
        if word == "lock" and path:
            reason = hindrance.explain_lock(int(number), path)
        else:
            reason = hindrance.explain(OSError(int(number), what))
        return f"the embedded server cannot be started: {reason}; or {INSTEAD}"

    def _silence(self) -> str:
        self._line.close()
        log = tail(str(self.place.folder / KEEPER_LOG))
        return (
            f"the embedded server did not answer in time. Its folder is {self.place.folder}, and the "
            f"process id of its keeper stands in {KEEPER_LOCK} there: end that process and try again; "
            f"or {INSTEAD}.\n{log}"
        )
