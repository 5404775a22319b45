"""The right to use an embedded server, which runs as long as somebody has one."""

from __future__ import annotations

import atexit
import threading
from pathlib import Path

from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.local.inheritance import collect

from .keeper.layout import LISTEN_FOLDER
from .keeperline import GOODBYE_TIMEOUT_S, KeeperLine
from .revival import Revival
from .serverplace import ServerPlace
from .starting import START_TIMEOUT_S, Starting

#: Seconds after which a keeper is looked at that has not said that it is gone.
_LOOK_S = 5.0


class EmbeddedLease:
    """The right to use an embedded server; the server runs as long as somebody has one.

    Attributes:
        url: the server's address, ``unix://...``.
        folder: where its data and logs are.
    """

    __stays_here__ = "it is the right of this process to use its server; a worker has its own"
    __reduce_ex__ = refuse_to_travel

    def __init__(self, place: ServerPlace, line: KeeperLine) -> None:
        self._place = place
        self._line = line
        self.url = place.url
        self.folder = place.folder
        #: Where it listens for other machines, to do so again after a crash of everything.
        self._listened: tuple[str, int] | None = None
        self._closed = False
        #: Held while the server is brought back.
        self._reviving = threading.Lock()
        self._revival: Revival | None = None
        atexit.register(self.close)

    @classmethod
    def on(cls, starting: Starting) -> EmbeddedLease:
        """Return a lease on a server that is starting, once it answers.

        Raises:
            ConfigError: it does not start.
        """
        return cls(starting.place, starting.wait())

    def __repr__(self) -> str:
        return f"<EmbeddedLease {self.url}>"

    @property
    def pid(self) -> int:
        """The keeper's process id."""
        return self._line.keeper_pid

    @property
    def alive(self) -> bool:
        """Whether the keeper is still there. It starts a crashed server again by itself."""
        return not self._line.has_ended()

    def wait_for_loss(self) -> bool:
        """Wait until the keeper has died, and return True; False where the lease was given back."""
        while not self._closed:
            if self._line.has_ended(_LOOK_S):
                # Whoever brings it back meanwhile has the lock.
                return not self._closed
        return False

    def keep_up(self) -> EmbeddedLease:
        """Have keeper and server brought back whenever both are killed, until this is closed; returns the lease."""
        if self._revival is None and not self._closed:
            self._revival = Revival(self.wait_for_loss, self.ensure)
        return self

    def ensure(self, timeout_s: float = START_TIMEOUT_S) -> bool:
        """Bring keeper and server back after both were killed, and return whether that was needed.

        The data are kept, and the address stays the same.

        Raises:
            ConfigError: the server does not start again.
        """
        with self._reviving:
            if self._closed or self.alive:
                return False
            self._line.close()
            collect(self.pid)
            self._line = Starting(self._place).wait(timeout_s)
            if self._closed:
                # Given back while it was on its way.
                self._leave()
                return False
        if self._listened is not None:
            self.listen(*self._listened)
        return True

    def anew(self) -> EmbeddedLease:
        """Return a lease on the same server, in a process that was forked off the holder of this one.

        Raises:
            ConfigError: the server does not start.
        """
        return EmbeddedLease.on(Starting(self._place))

    # -- other machines

    @property
    def listen_folder(self) -> Path:
        """Where the listener's certificate and password are."""
        return self.folder / LISTEN_FOLDER

    def listen(self, host: str, port: int) -> tuple[str, int]:
        """Let other machines reach the server, with TLS and the password that :mod:`.certificate` has made.

        Args:
            host: the address to listen on; 0.0.0.0 is every one.
            port: 0 for any free one, or the one in use where it listens already.

        Returns:
            host and port, for as long as the server runs.

        Raises:
            ConfigError: that address cannot be listened on.
        """
        found = self._line.ask(f"listen {host} {port}")
        if isinstance(found, str):
            raise ConfigError(
                f"listen: nothing can listen on {host} port {port} ({found}); "
                "choose another port, or an address of this machine, such as 0.0.0.0 for all of them"
            )
        self._listened = found
        return found

    def listening(self) -> tuple[str, int] | None:
        """Return host and port where other machines reach the server; None where they cannot."""
        found = self._line.ask("listening?")
        return None if isinstance(found, str) else found

    def deafen(self) -> None:
        """Let other machines in no more; their connections end."""
        self._listened = None
        self._line.ask("deaf")

    # -- the end

    def close(self) -> None:
        """Say goodbye. The last user's stops the server, and this returns when its data are written.

        Idempotent; called at the interpreter's exit where it was not called before.
        """
        atexit.unregister(self.close)
        if self._closed:
            return
        self._closed = True
        if self._revival is not None:
            self._revival.close()
        if self._line.is_ours and self._reviving.acquire(timeout=GOODBYE_TIMEOUT_S):
            self._reviving.release()
        self._leave()

    def _leave(self) -> None:
        if self._line.leave() and not self._place.keeper_socket.exists():
            # Nobody else uses it: all of its processes end now.
            collect(self.pid)
