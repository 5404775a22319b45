"""How other machines join an App: the file or the line that they need, and the embedded server that lets them in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbtasks.local import connection as connections
from nbtasks.local.connection import Connection

from .foundation import Foundation

if TYPE_CHECKING:
    from .invitation import Invitation


class Joinable(Foundation):
    """An App that workers and clients of other machines may share."""

    def write_connection_file(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write URL, key and namespace into a new file that only you may read.

        ``nbtasks worker --connection-file``, ``App(connection_file=...)`` and NBTASKS_CONNECTION_FILE read it. Anyone
        with it can run code on the workers and in this process.

        Args:
            replace: whether an older connection file may be replaced.

        Raises:
            ConfigError: it exists already, or cannot be written.
        """
        connections.write_connection_file(path, self._for_others() or self.connection, replace=replace)

    def invite(
        self,
        *,
        listen: str | bool = False,
        host: str | None = None,
        file: str | os.PathLike[str] | None = None,
        show: bool = False,
    ) -> Invitation:
        """Return what another machine needs to join; print it to read how.

        The key goes into a connection file beside the notebook. Only with ``show`` the invitation is a line that holds
        it, and no file is written.

        Args:
            listen: have the embedded server listen, as in ``App(listen=...)``; other servers do already.
            host: the name of this machine in the network, where the embedded server listens; None: its address.
            file: where the connection file goes; an older connection file there is replaced.
            show: show the key.

        Raises:
            ConfigError: only this machine can reach the server; or the file cannot be written.
        """
        from .invitation import invite

        self._server()
        if listen:
            self._opened.listen(listen, self.connection.address)
        connection = self._for_others(host) or self.connection
        return invite(connection, self._opened.listening, file, show)

    def uninvite(self) -> None:
        """Have the embedded server listen no more. Earlier invitations are void, also when it listens again."""
        self._server()
        self._opened.listen_no_more()

    def listening(self) -> tuple[str, int] | None:
        """Return host and port where the embedded server listens for other machines; None where it does not."""
        self._server()
        return self._opened.listening

    def _for_others(self, host: str | None = None) -> Connection | None:
        """Return the connection to the embedded server for other machines; None where it does not listen."""
        self._server()
        return self._opened.for_others(self.connection, host)
