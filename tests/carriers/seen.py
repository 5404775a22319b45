"""What tests of carriers look at: how often calls ran, and where they go."""

from __future__ import annotations

import os
import secrets
import time

from nbtasks.core.address import PYTHON
from nbtasks.wire.signing import key_id


def numbers_of(app, folder, seconds=0.0):
    """Return a task that leaves a file for each time that it runs."""

    @app.task(retries=0)
    def number(n):
        (folder / f"{n}-{os.getpid()}-{secrets.token_hex(4)}").touch()
        time.sleep(seconds)
        return n

    return number


def runs(folder):
    """Return how often each call ran."""
    found = {}
    for path in folder.iterdir():
        n = int(path.name.partition("-")[0])
        found[n] = found.get(n, 0) + 1
    return found


def address_of(app):
    """Where its calls go."""
    return f"default@{PYTHON}.{key_id(app.connection.keys[0])}"
