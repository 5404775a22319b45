"""The folder that keeps what tests fetch, or make in a long time: Debian's packages, programs out of wheels."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

#: Servers do not run as root, and other users cannot enter root's home.
_DEFAULT = Path("/var/cache") if os.geteuid() == 0 and Path("/var/cache").is_dir() else Path.home() / ".cache"
CACHE = Path(os.environ.get("NBTASKS_TEST_CACHE", _DEFAULT / "nbtasks-tests"))
_FETCH_S = 300.0


class Missing(Exception):
    """A program that cannot be had here; says why."""


def once(root: Path, fetch: Callable[[Path], None]) -> None:
    """Fill a folder of the cache, by one test process at a time; a half-filled one is never seen."""
    with locked(root.name):
        if root.exists():
            return
        folder = Path(tempfile.mkdtemp(prefix="new-", dir=CACHE))
        try:
            fetch(folder)
            folder.chmod(0o755)
            folder.rename(root)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def template(root: Path, made: Callable[[Path], AbstractContextManager[Path]]) -> Path:
    """Return a data folder to be copied, which has never been used; it is made once, for that takes seconds.

    Args:
        root: the folder with the server's program.
        made: yields a data folder for the time of a block.
    """

    def make(folder: Path) -> None:
        with made(root) as data:
            shutil.copytree(data, folder, dirs_exist_ok=True)
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)

    place = CACHE / f"{root.name}-template"
    once(place, make)
    return place


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one test process of this machine at a time into the block."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list[str], folder: Path) -> None:
    """Run a command in a folder.

    Raises:
        Missing: it cannot be run, or has failed.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_FETCH_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]} could not be run: {error}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Missing(f"{' '.join(command[:4])} ... failed: {last}")
