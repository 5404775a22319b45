"""Folders of servers that nobody uses any more."""

from __future__ import annotations

import os
import time

from .flock import take_lock
from .keeperlog import note
from .layout import BROKER_FILE, KEEPER_LOCK, SERVER_LOCK
from .removal import remove_tree
from .valuefolders import remove_values

DATA_LIFE_S = 24 * 3600.0


def sweep(folder: str, sockets: str) -> None:
    """Remove the folders of other servers that nobody has used for DATA_LIFE_S seconds."""
    parent = os.path.dirname(folder)
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        if path != folder and os.path.isdir(path) and is_old(path):
            try:
                _sweep_one(path, os.path.join(os.path.dirname(sockets), name))
            except OSError as error:
                note(f"{path} is left as it is: {error}")


def _sweep_one(path: str, sockets: str) -> None:
    locks = [take_lock(os.path.join(path, KEEPER_LOCK))]
    if locks[0] is not None:
        locks.append(take_lock(os.path.join(path, SERVER_LOCK)))
    # Whether anybody has a broker's file open, no lock here says.
    is_file = os.path.exists(os.path.join(path, BROKER_FILE))
    if None not in locks and not is_file and is_old(path):
        remove_tree(path)
        remove_tree(sockets)
        remove_values(path)
    for lock in locks:
        if lock is not None:
            os.close(lock)


def is_old(folder: str) -> bool:
    """Whether nobody has used a server for DATA_LIFE_S seconds."""
    return time.time() - last_used(folder) > DATA_LIFE_S


def last_used(folder: str) -> float:
    """Return the epoch seconds at which the newest file of a server's folder was written."""
    newest = 0.0
    for base, _, files in os.walk(folder):
        for name in files:
            try:
                newest = max(newest, os.stat(os.path.join(base, name)).st_mtime)
            except OSError:
                continue
    return newest
