"""Clocks that can be set while a program runs, by Debian's libfaketime; its steady clocks go on as they do.

Nothing is installed: the library is unpacked into the cache folder on first use, as the servers are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.servers.debian import unpacked

#: Python from 3.11 on sleeps until a moment of the steady clock, which the library reckons by the clock that is set and
#: then refuses. So its sleep is another one in programs that have such a clock.
_SITE = """
import select, time

def sleep(seconds):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)

time.sleep = sleep
"""


def library() -> Path:
    """Return the library; fetched where it has to be.

    Raises:
        Missing: it cannot be had.
    """
    root = unpacked("faketime", "libfaketime")
    return next(root.glob("usr/lib/*/faketime/libfaketimeMT.so.1"))


@dataclass(frozen=True)
class Clock:
    """The clock of some programs, in a folder of its own."""

    folder: Path

    def __post_init__(self) -> None:
        site = self.folder / "site"
        site.mkdir(parents=True)
        (site / "sitecustomize.py").write_text(_SITE)
        self.set(0.0)

    def set(self, ahead_s: float) -> None:
        """Set it so many seconds ahead of the machine's, now."""
        new = self.folder / "new"
        new.write_text(f"{ahead_s:+.3f}\n")
        # At once: a file that is half-written would be no time.
        new.replace(self.folder / "ahead")

    @property
    def environment(self) -> dict[str, str]:
        """What a program is started with to have it."""
        path = [str(self.folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "ahead"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": os.pathsep.join(path),
        }
