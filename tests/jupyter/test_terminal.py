"""A plain IPython in a terminal: one line of text for a card."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest


def session(folder, *lines):
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"]
    typed = "\n".join(["%load_ext nbtasks", "%workers start 1", *lines, "exit()", ""])
    done = subprocess.run(
        command,
        input=typed,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.long
def test_a_terminal_shows_lines(project):
    shown = session(
        project,
        "r = %task sum([1, 2])",
        "r.get()",
        "%task -b sum([3, 4])",
        "%task -b [1, 2][5]",
        "%tasks",
        "%workers",
    )
    assert re.search(r"[0-9a-f]{6} sum\(\[1, 2\]\): (waiting|done)", shown)
    assert "Out[4]: 3" in shown
    assert "Out[5]: 7" in shown
    assert re.search(r"[0-9a-f]{6} sum\(\[3, 4\]\): done, [\d.]+ s", shown)
    assert "IndexError: list index out of range" in shown
    assert re.search(r"id +task +state", shown)
    assert "of 1 slots busy" in shown
