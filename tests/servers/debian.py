"""Debian's packages, unpacked into the cache: nothing is installed, and no rights are needed.

Packages are named without a version, with all that they need beyond the smallest Debian; which version comes is said by
the lists of this machine.
"""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path

from .cache import CACHE, Missing, locked, once, run


def unpacked(name: str, *packages: str) -> Path:
    """Return the folder of the cache that holds these packages as ``/`` would; fetched where they are not yet there.

    Raises:
        Missing: they cannot be had.
    """
    # Another list is another folder: what lies there is never added to.
    root = CACHE / f"{name}-{zlib.crc32(' '.join(sorted(packages)).encode()):08x}"

    def fetch(folder: Path) -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise Missing(f"{packages[0]} is fetched with apt-get and dpkg-deb, which are not here")
        download(packages, folder)
        for package in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", str(package), str(folder)], folder)
            package.unlink()

    once(root, fetch)
    return root


def libraries(root: Path) -> str:
    """Return what LD_LIBRARY_PATH has to be for the programs in a folder."""
    return os.pathsep.join(sorted({str(path.parent) for path in root.glob("usr/lib/*-linux-gnu*/*.so*")}))


def download(packages: tuple[str, ...], folder: Path) -> None:
    """Fetch packages into a folder, as files.

    Raises:
        Missing: that cannot be done.
    """
    try:
        run(["apt-get", "download", *packages], folder)
    except Missing:
        # There are no lists, or they name versions that are no longer kept. Lists of our own need no rights.
        state = CACHE / "apt"
        own = ["-o", f"Dir::State={state}", "-o", f"Dir::Cache={state}"]
        own += ["-o", "Dir::State::status=/var/lib/dpkg/status"]
        with locked("apt"):
            (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
            run(["apt-get", *own, "update"], folder)
            run(["apt-get", *own, "download", *packages], folder)
