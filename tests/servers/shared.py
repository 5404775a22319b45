"""One server for a whole run of pytest, whatever the number of its processes: the first that needs it starts it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from .cache import locked
from .server import SHORT_TEMP, Server, hold

ServerT = TypeVar("ServerT", bound=Server)
#: Processes of pytest-xdist share theirs.
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)[:12]
_END_S = 60.0


@contextlib.contextmanager
def shared(make: Callable[[Path], ServerT]) -> Iterator[ServerT]:
    """Return the server that this run shares; its last process ends it.

    Args:
        make: makes the server, in the folder that it is given. The function's name says which one it is.
    """
    folder = SHORT_TEMP / f"nbt-{_RUN}-{make.__name__}"
    with locked(f"shared-{make.__name__}"):
        server = _join(folder) or _begin(make, folder)
    try:
        yield server
    finally:
        with locked(f"shared-{make.__name__}"):
            _leave(server)


def _join(folder: Path) -> ServerT | None:
    state = folder / "shared"
    with contextlib.suppress(FileNotFoundError):
        users = hold(folder)
        if state.exists():
            server: ServerT = pickle.loads(state.read_bytes())
            server.join(users)
            return server
        users.close()
    return None


def _begin(make: Callable[[Path], ServerT], folder: Path) -> ServerT:
    server = make(folder)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    (folder / "shared").write_bytes(pickle.dumps(server))
    return server


def _leave(server: Server) -> None:
    try:
        fcntl.lockf(server.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        last = True
    except OSError:
        last = False  # others go on
    guard = server.leave()
    if last and guard is not None:
        guard.wait(_END_S)
    elif guard is not None:
        guard.returncode = 0  # the others' now: nothing is to be warned of
    end = time.monotonic() + _END_S
    while last and server.folder.exists():
        assert time.monotonic() < end, f"{server} does not end"
        time.sleep(0.01)
