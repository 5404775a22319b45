"""The file that local workers write to: private, of limited size."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from nbtasks.core.errors import ConfigError
from nbtasks.local import hindrance
from nbtasks.local.folder import private_folder, state_folder

LOG_MAX_BYTES = 8 << 20
LOG_KEPT_BYTES = 256 << 10
#: Files of earlier kernels that are left for a look back.
OLD_LOGS = 20

_numbers = itertools.count(1)


class WorkerLog:
    """A log file of this process's local workers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls) -> WorkerLog:
        """Return a new, empty log in the state folder.

        Raises:
            ConfigError: the state folder cannot be used.
        """
        folder = private_folder(state_folder() / "logs")
        _remove_old(folder)
        log = cls(folder / f"workers-{os.getpid()}-{next(_numbers)}.log")
        try:
            os.close(os.open(log.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        except OSError as error:
            raise ConfigError(f"the workers' log cannot be written: {hindrance.explain(error)}") from error
        return log

    def open(self) -> int:
        """Return a descriptor that appends to the log."""
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def size(self) -> int:
        """Return the log's length in bytes, a mark for :meth:`tail`."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def tail(self, lines: int = 20, since: int = 0) -> str:
        """Return the last lines, of what was written after the mark ``since``."""
        try:
            with self.path.open("rb") as file:
                end = os.fstat(file.fileno()).st_size
                # Shorter than the mark: it was trimmed in between.
                file.seek(max(since if since <= end else 0, end - 65536))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def trim(self) -> None:
        """Cut the log down to its last part where it has grown too large; its writers just go on."""
        if self.size() <= LOG_MAX_BYTES:
            return
        with self.path.open("r+b") as file:
            file.seek(-LOG_KEPT_BYTES, os.SEEK_END)
            kept = file.read()
            file.truncate(0)
            file.seek(0)
            file.write(b"[the beginning was removed: the log was too large]\n" + kept.partition(b"\n")[2])


def _remove_old(folder: Path) -> None:
    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0

    for path in sorted(folder.glob("workers-*.log"), key=age)[:-OLD_LOGS]:
        path.unlink(missing_ok=True)
