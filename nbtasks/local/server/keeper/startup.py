"""Starts a keeper: the program that keeperprocess.py runs."""

from __future__ import annotations

import os
import sys

from .flock import is_same_file, take_lock
from .keeper import Keeper
from .keeperlog import limit_log
from .layout import DATA_FOLDER, KEEPER_LOCK, KEEPER_LOG, KEEPER_SOCKET
from .predecessor import stop_orphan
from .removal import remove, remove_tree
from .serverprocess import Server
from .sweep import is_old
from .unixsocket import listen
from .valuefolders import keep_values, remove_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def main() -> None:
    """Run a keeper; folder, socket folder, server binary and linger seconds are the arguments."""
    folder, sockets, binary, linger_s = sys.argv[1:5]
    try:
        leave_the_starter()
        server, lock = begin(folder, sockets, binary)
        serve(folder, sockets, lock, Keeper(folder, sockets, server, float(linger_s)))
    except BaseException:  # noqa: BLE001 - this is the top: what went wrong belongs in the log
        sys.excepthook(*sys.exc_info())
    # No interpreter shutdown: users wait for the end of their connection.
    os._exit(0)


def leave_the_starter() -> None:
    """Go on in a session of our own, as nobody's child, with nothing inherited but descriptors 0 to 2."""
    try:
        pid = os.fork()
    except OSError as error:
        confess(error, {})
        raise
    if pid:
        os._exit(0)
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    os.closerange(3, 4096)


def begin(folder: str, sockets: str, binary: str) -> tuple[Server, int]:
    """Start the server, as the only keeper of this folder; return it and the lock."""
    try:
        lock = take_lock(os.path.join(folder, KEEPER_LOCK))
        if lock is None:
            os._exit(0)
        clear_the_place(folder, sockets, lock)
        server = Server(folder, sockets, binary)
        # The slower imports happen while the server comes up.
        server.start()
    except OSError as error:
        confess(error, {})
        raise
    return server, lock


def clear_the_place(folder: str, sockets: str, lock: int) -> None:
    """Make the folder ours: no server of a killed keeper, no old data, our pid in the lock file."""
    written = os.read(lock, 32)
    stop_orphan(folder, sockets, int(written) if written.isdigit() else 0)
    if is_old(folder):
        remove_tree(os.path.join(folder, DATA_FOLDER))
        remove_values(folder)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    limit_log(os.path.join(folder, KEEPER_LOG))


def serve(folder: str, sockets: str, lock: int, keeper: Keeper) -> None:
    """Run the keeper to its end and leave nothing behind but data and logs."""
    path = os.path.join(sockets, KEEPER_SOCKET)
    try:
        wake = catch_signals(keeper)
        listener = listen(path)
        keeper.run(first_user(), wake, listener)
    except OSError as error:
        confess(error, keeper.users)
        raise
    finally:
        # Where the folder was removed and perhaps made anew, the sockets are another keeper's, and a server
        # that stops by itself would remove them.
        ours = is_same_file(lock, os.path.join(folder, KEEPER_LOCK))
        if ours:
            remove(path)
        keeper.door.stop()
        keeper.server.stop(by_force=not ours)
        if keeper.guard is not None:
            keeper.guard.dismiss()
        keep_values(folder)
        os.utime(lock)


def catch_signals(keeper: Keeper) -> int:
    """Make signals wake the keeper; return the descriptor to watch."""
    import signal

    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)

    def terminate(*_: object) -> None:
        keeper.terminated = True

    signal.signal(signal.SIGTERM, terminate)
    return reader


def first_user() -> socket.socket:
    """Return the connection inherited as descriptor 0, and free that descriptor."""
    import socket

    user = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    return user


def confess(error: OSError, users: dict[int, socket.socket]) -> None:
    """Tell users, and who has started this, what cannot be done here."""
    what = f"{error.strerror} {error.filename}" if error.filename else error.strerror
    line = f"cannot {error.errno} {what}".replace("\n", " ").encode("utf-8", "surrogateescape") + b"\n"
    for fd in users or (0,):
        try:
            os.write(fd, line)
        except OSError:
            continue
