"""Where this process submits from, and whether the process that has submitted something else is still there."""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nbtasks.core import context
from nbtasks.core.plaintext import on_one_line
from nbtasks.core.submitter import Submitter
from nbtasks.local.processes.proctree import look_up

#: Programs that run notebooks and lines, and are no scripts.
_RUNNERS = frozenset({"ipykernel_launcher.py", "ipython", "ipython3", "jupyter", "-c", "-m", ""})

#: The skin says which cell runs: place (empty: as below), cell, execution.
cell_asked: list[Callable[[], tuple[str, str, str]]] = []
_process: Submitter | None = None


def submitter() -> Submitter:
    """Return who submits what is submitted now."""
    process = _process if _process is not None and _process.pid == os.getpid() else _look_at_process()
    if not cell_asked or context.serving:
        return process
    return _in_cell(process, *cell_asked[-1]())


@functools.lru_cache(maxsize=8)
def _in_cell(process: Submitter, place: str, cell: str, execution: str) -> Submitter:
    """Return who submits from a cell; a loop of calls asks for the same one again and again."""
    return replace(process, place=place or process.place, cell=cell, execution=execution)


def is_gone(one: Submitter) -> bool:
    """Whether a process of this machine has ended for sure; of others nobody here knows."""
    here = submitter()
    if one.machine != here.machine or not one.pid:
        return False
    if here.started:
        found = look_up(one.pid)
        return found is None or found.state == "Z" or found.started != one.started
    try:
        os.kill(one.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def whose_is(one: Submitter) -> str:
    """Return who has submitted something, for people; empty where this process has."""
    here = submitter()
    if here.in_one_process(one):
        return ""
    if not here.in_one_notebook(one):
        return name_of(one.place)
    return "an earlier session of this notebook" if is_gone(one) else "another session of this notebook"


def name_of(place: str) -> str:
    """Return a notebook's or script's name for people."""
    folder = place.endswith("/")
    name = on_one_line(place.replace("\\", "/").rstrip("/").rpartition("/")[2], 80) or "/"
    return "a task" if not place else f"a notebook or shell in {name}" if folder else name


def _look_at_process() -> Submitter:
    global _process
    found = look_up(os.getpid())
    _process = Submitter(
        place="" if context.serving else _place(),
        machine=_machine(),
        pid=os.getpid(),
        started=found.started if found is not None else 0,
    )
    return _process


def _place() -> str:
    notebook = os.environ.get("JPY_SESSION_NAME")
    if notebook:
        return notebook
    script = sys.argv[0] if sys.argv else ""
    if Path(script).name in _RUNNERS:
        return str(Path.cwd()).rstrip("/") + "/"
    return str(Path(script).absolute())


def _machine() -> str:
    """Return what tells this machine from others; containers of one machine have process ids of their own."""
    try:
        processes = f" {Path('/proc/self/ns/pid').stat().st_ino:x}"
    except OSError:
        processes = ""
    return socket.gethostname() + processes
