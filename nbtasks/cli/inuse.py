"""The embedded server of a folder, for commands that only make sense while somebody uses it."""

from __future__ import annotations

import os
from pathlib import Path

from nbtasks.core.errors import ConfigError


class NotInUse(ConfigError):
    """Nobody uses the embedded server of this folder."""


def check_in_use(broker: str | None) -> None:
    """Refuse for an embedded server that nobody uses: it would begin and end with this command.

    Raises:
        NotInUse: it is one.
    """
    from nbtasks.local import connection
    from nbtasks.local.server import embedded

    elsewhere = (connection.BROKER_VARIABLE, connection.FILE_VARIABLE, connection.CONFIG_VARIABLE)
    if broker or any(os.environ.get(name) for name in elsewhere):
        return
    lease = embedded.running()
    if lease is None:
        raise NotInUse(
            f"the embedded server of {Path.cwd()} does not run: open a notebook there and use nbtasks in it, "
            "or name the server with -b"
        )
    lease.close()
