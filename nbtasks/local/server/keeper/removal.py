"""Removes files and folders, as far as that is possible."""

from __future__ import annotations

import os


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)
    except OSError:
        return


def remove_tree(path: str) -> None:
    """Remove a folder and what is in it, as far as that is possible."""
    for base, folders, files in os.walk(path, topdown=False):
        for name in files:
            remove(os.path.join(base, name))
        for name in folders:
            try:
                os.rmdir(os.path.join(base, name))
            except OSError:
                remove(os.path.join(base, name))
    try:
        os.rmdir(path)
    except OSError:
        return
