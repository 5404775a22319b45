"""A disk that can be filled, without rights: a test runs again in a process that sees one in place of a folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Says where it is, in the process that has one.
_INSIDE = "NBTASKS_TEST_SMALL_DISK"
_MOUNT = 'mount -t tmpfs -o size="$1"m none "$0" && shift && exec "$@"'


def small_disk(request: pytest.FixtureRequest, folder: Path, megabytes: int) -> Path | None:
    """Return an empty disk; None where the test has been run on one, so that there is nothing left to do.

    Args:
        folder: an empty one of the test's own.
    """
    inside = os.environ.get(_INSIDE)
    if inside is not None:
        return Path(inside)
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    before = ["unshare", *rights, "--mount", "sh", "-c", _MOUNT, str(folder), str(megabytes)]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    # Not a process of the run that tests are spread over; and where workers find things, pytest is another one.
    around = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") and name != "PYTHONPATH"
    }
    done = subprocess.run(
        [
            *before, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "long or not long",
            f"--basetemp={folder.parent / 'inside'}", request.node.nodeid,
        ],
        env={**around, _INSIDE: str(folder)}, cwd=request.config.rootpath, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert "1 passed" in done.stdout
    return None


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No byte more can be written to a disk, as long as the block runs."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        # The last pieces are smaller than a page.
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    try:
        yield
    finally:
        ballast.unlink()
