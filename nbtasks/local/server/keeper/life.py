"""The life of an embedded server: its runs between which it has forgotten nothing.

Calls that must not run twice may be started only where the server is known to remember who took them. A life goes on
over an orderly stop: everything was written, the server has ended by itself, and its files are still the very ones. It
ends with all else, such as a crash, a file that was cut, or data from a backup.

A life has a random name. It is part of the name of the server's configuration file, which is empty: so whoever asks
the server for its facts is told, from the first moment on, and nobody who writes to it can change that
(``broker/server.py`` knows the pattern). Used by the keeper: standard library only.
"""

from __future__ import annotations

import os

#: Left by an orderly stop: the life's name, and how the data's files stood. Taken by the next start.
MARK_FILE = "stopped"
PREFIX, SUFFIX = "life-", ".conf"


class Life:
    """The life of the server of one folder: begin a run, end it."""

    def __init__(self, folder: str, data: str) -> None:
        self.folder = folder
        self.data = data
        self._mark = os.path.join(folder, MARK_FILE)
        self._name = ""
        self._stood = ""

    def begin(self) -> str:
        """Return the configuration file for a run that begins: in the same life as the last one, or in a new one.

        Raises:
            OSError: this machine refuses the file.
        """
        name, _, stood = self._take_mark().partition("\n")
        goes_on = bool(stood) and stood == standing(self.data)
        self._name = name if goes_on else os.urandom(16).hex()
        self._stood = stood if goes_on else ""
        return self._configuration()

    def end(self, written: bool) -> None:
        """Note that a run has ended by itself.

        Args:
            written: it is known that all it did is in its files.

        Raises:
            OSError: the note cannot be written. The next run begins a new life.
        """
        stands = standing(self.data)
        # One that was stopped while it still read its data has taken nothing, and written nothing.
        if not written and stands != self._stood:
            return
        with open(self._mark + ".part", "wb") as file:
            file.write(os.fsencode(f"{self._name}\n{stands}"))
        os.replace(self._mark + ".part", self._mark)

    def _take_mark(self) -> str:
        """Return the mark of the last run, for once: when this run ends in a crash, there is none."""
        try:
            with open(self._mark, "rb") as file:
                text = os.fsdecode(file.read())
            os.unlink(self._mark)
            # After a power failure it must not be back, for then it would vouch for this run as well.
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError:
            return ""
        return text

    def _configuration(self) -> str:
        path = os.path.join(self.folder, f"{PREFIX}{self._name}{SUFFIX}")
        for name in os.listdir(self.folder):
            if name.startswith(PREFIX) and name.endswith(SUFFIX):
                os.unlink(os.path.join(self.folder, name))
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        return path


def standing(data: str) -> str:
    """Return how a server's files stand: a copy, or what was written, cut or put back meanwhile, stands differently."""
    lines = []
    for base, _, files in os.walk(data):
        for name in files:
            facts = os.stat(os.path.join(base, name))
            lines.append(f"{name} {facts.st_ino} {facts.st_size} {facts.st_ctime_ns}")
    return "\n".join(sorted(lines))
