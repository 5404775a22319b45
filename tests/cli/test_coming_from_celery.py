"""The page for those who come from Celery: what it types in a shell; its Python runs in tests/docs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "coming-from-celery.md").read_text(encoding="utf-8")


def typed(line: str) -> list[str]:
    """Return a line of the page as arguments of the command."""
    name, *arguments = shlex.split(line)
    assert name == "nbtasks"
    return arguments


def test_the_lines_that_the_page_types_run_as_it_says(project, nbtasks, worker, eventually, monkeypatch):
    monkeypatch.setenv("NBTASKS_NAMESPACE", "t-coming")
    (source,) = re.findall(r"^%%writefile tasks\.py\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    (project / "tasks.py").write_text(source, encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    first, second, third = block.splitlines()

    before, after = first.removeprefix("nbtasks ").split(" worker ")
    running = worker(*after.split(), before=tuple(before.split()))
    assert "[tasks]\n  . tasks.say_hello\n" in running.text
    called = nbtasks(*typed(second))
    id = called.stdout.strip()
    assert (called.returncode, called.stderr) == (0, "")
    asked = nbtasks(*[id if each == "ID" else each for each in typed(third)])
    assert (asked.returncode, asked.stdout) == (0, "Hello Ann\n")
    assert f"Task tasks.say_hello[{id}] received" in running.text
    eventually(lambda: f"tasks.say_hello[{id}] succeeded in" in running.text, "the log says so")
    assert "'Hello Ann'" in running.text
