"""The embedded server of a folder, for commands that only make sense while somebody uses it."""

from __future__ import annotations

import os
from pathlib import Path

from nbtasks.core.errors import ConfigError


class NotInUse(ConfigError):
    """Nobody uses the embedded server of this folder."""


def check_in_use(broker: str | None) -> None:
    """Refuse for an embedded server that nobody uses, or its file that is not there: it would begin with this command.

    Raises:
        NotInUse: it is one.
    """
    from nbtasks.local import connection
    from nbtasks.local.server import brokerfile, embedded

    elsewhere = (connection.BROKER_VARIABLE, connection.FILE_VARIABLE, connection.CONFIG_VARIABLE)
    if broker or any(os.environ.get(name) for name in elsewhere):
        return
    if brokerfile.is_wanted():
        if not brokerfile.is_there():
            raise NotInUse(
                f"nobody has used nbtasks in {Path.cwd()} yet: open a notebook there and use nbtasks in it, or name "
                "the broker with -b"
            )
        return
    lease = embedded.running()
    if lease is None:
        raise NotInUse(
            f"the embedded server of {Path.cwd()} does not run: open a notebook there and use nbtasks in it, "
            "or name the server with -b"
        )
    lease.close()
