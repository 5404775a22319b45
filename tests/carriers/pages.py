"""A page's module, its worker and its call, on other servers than those that stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"


def run_page(name, project, urls):
    """Run what stands in the first blocks of a page, and compare what it says.

    Args:
        urls: what stands there -> what is used.
    """
    blocks = re.findall(
        r"^```(\w*)\n(.*?)^```$", (_DOCS / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    module, call = [text for language, text in blocks if language == "python"][:2]
    said = next(text for language, text in blocks if not language)
    for written, used in urls.items():
        assert repr(written).replace("'", '"') in module
        module = module.replace(f'"{written}"', repr(used))
    (project / "tasks.py").write_text(module)
    worker = subprocess.Popen(
        [sys.executable, "-m", "nbtasks", "worker", "-A", "tasks", "-c", "1"], cwd=project
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", call],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.stdout, done.stderr) == (said, "")
    finally:
        worker.terminate()
        worker.wait(120)
