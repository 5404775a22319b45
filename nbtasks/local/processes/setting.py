"""The setting that workers of this machine were started in: the working folder and the environment of their starter.

They keep it. What the notebook changes later on is not there: it is named, and who asks for workers again gets new
ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

#: Variables that say nothing to a task; those of shells, terminals and Jupyter, and our own.
_OF_NO_MATTER = frozenset({"_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "PYTHONSTARTUP"})
_PREFIXES_OF_NO_MATTER = ("NBTASKS_", "JPY_", "PYDEVD_", "PYTEST_")
#: Names that are said; the others are counted.
_MOST_NAMED = 5


@dataclass(frozen=True)
class Setting:
    """A working folder, empty where it is gone, and environment variables."""

    folder: str
    variables: dict[str, str]

    def changes(self, since: Setting, apart: Iterable[str] = ()) -> str:
        """Say how this one differs from an earlier one; empty where it does not.

        Args:
            since: the earlier one.
            apart: variables that do not count.
        """
        both = self.variables.items() ^ since.variables.items()
        names = sorted({name for name, _ in both if _matters(name)}.difference(apart))
        said = []
        if self.folder != since.folder:
            said.append(f"the working folder ({self.folder}, theirs is {since.folder})")
        if names:
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            plural = "s" if len(names) > 1 else ""
            said.append(f"environment variable{plural} {', '.join(names[:_MOST_NAMED])}{more}")
        return " and ".join(said)


def setting() -> Setting:
    """Return this process's setting."""
    try:
        folder = os.getcwd()  # noqa: PTH109 - as text, which may be compared
    except OSError:
        folder = ""
    return Setting(folder, dict(os.environ))


def _matters(name: str) -> bool:
    return name not in _OF_NO_MATTER and not name.startswith(_PREFIXES_OF_NO_MATTER)
