"""docs/what-travels.md: its example prints what it says, and its table is what the comparison has found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "what-travels.md").read_text(encoding="utf-8")


def test_the_example_prints_what_the_page_says(project):
    (_, code), (_, printed) = re.findall(r"^```(\w*)\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
    (project / "example.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=project, check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == printed
