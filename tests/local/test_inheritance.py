"""A process that is the first one of a container inherits what has ended, and waits for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or shutil.which("unshare") is None, reason="makes a namespace"
)

USE = """
import os
from pathlib import Path
from nbtasks.local.server import embedded
assert os.getpid() == 1
for kill in (False, True):
    lease = embedded.acquire()
    if kill:
        os.killpg(lease.pid, 9)
        while lease.alive:
            pass
        assert lease.ensure()
    lease.close()
print([entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()])
"""


@needs_namespaces
def test_no_zombie_stays(project):
    command = ("unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", USE)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr:
        pytest.skip("no namespaces here")
    assert done.stdout == "['1']\n", done.stderr
