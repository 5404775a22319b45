"""Where the large values of a server are while it runs, and in between."""

from __future__ import annotations

import os

from .keeperlog import note
from .layout import HOME_LINK, MEMORY, VALUES_FOLDER
from .removal import remove, remove_tree


def memory_folder(folder: str) -> str | None:
    """Return the folder in memory that belongs to a server, which may not be there yet; None where that cannot be."""
    if not os.path.isdir(MEMORY):
        return None
    return os.path.join(MEMORY, f"nbtasks-{os.getuid()}", os.path.basename(folder))


def _own_memory_folder(folder: str) -> str | None:
    """Return that folder where it is there, and nobody else can have put anything into it."""
    found = memory_folder(folder)
    return found if found is not None and _is_ours(os.path.dirname(found)) and _is_ours(found) else None


def _is_ours(folder: str) -> bool:
    """Whether a folder is there, and nobody else may use it."""
    try:
        facts = os.lstat(folder)
    except OSError:
        return False
    return facts.st_uid == os.getuid() and facts.st_mode & 0o170077 == 0o040000


def keep_values(folder: str) -> None:
    """Move the large values of a server from memory to the disk: they may be wanted tomorrow, the memory is now."""
    source, target = _own_memory_folder(folder), os.path.join(folder, VALUES_FOLDER)
    if source is None:
        return
    os.makedirs(target, 0o700, exist_ok=True)
    for name in os.listdir(source):
        if name == HOME_LINK:
            continue
        try:
            _move(os.path.join(source, name), os.path.join(target, name))
        except OSError as error:
            note(f"{name} is lost: {error}")
    remove_tree(source)


def _move(source: str, target: str) -> None:
    """Move a file to another file system; at every moment one of both is whole."""
    import shutil

    shutil.copyfile(source, f"{target}.part", follow_symlinks=False)
    os.replace(f"{target}.part", target)
    remove(source)


def remove_values(folder: str) -> None:
    """Remove the large values of a server."""
    for place in (_own_memory_folder(folder), os.path.join(folder, VALUES_FOLDER)):
        if place is not None:
            remove_tree(place)


def sweep_memory(folder: str) -> None:
    """Remove the large values in memory of servers whose folder is gone, of whatever state folder they were."""
    parent = os.path.dirname(memory_folder(folder) or "")
    for name in os.listdir(parent) if parent and _is_ours(parent) else ():
        link = os.path.join(parent, name, HOME_LINK)
        if os.path.islink(link) and not os.path.exists(link):
            remove_tree(os.path.join(parent, name))
