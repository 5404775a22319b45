"""Machines that refuse something: each says what is wrong, in seconds, and advises nothing that does not help."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and mounts as Linux has them")
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounts, or becomes another user")
needs_filter = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="knows the numbers of system calls there only"
)

USE = """
import sys
from nbtasks import App, NbtasksError
try:
    with App() as app:
        app.start_workers(1)
        print(app.task(abs).delay(-3).get(timeout=20))
except NbtasksError as error:
    print(type(error).__name__, error)
"""
TIGHT = str(Path(__file__).with_name("tight.py"))


def use(*before: str, home: Path, limits: dict[int, int] | None = None, **environment: str) -> str:
    """Use nbtasks in a process of its own; return what it says."""

    def tighten() -> None:
        for which, limit in (limits or {}).items():
            resource.setrlimit(which, (limit, limit))

    settings = {**os.environ, "NBTASKS_HOME": str(home), **environment}
    done = subprocess.run(
        [*(before or (sys.executable,)), "-c", USE],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={name: value for name, value in settings.items() if value},
        preexec_fn=tighten,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def said_instead(text: str, *words: str) -> None:
    assert text.startswith(("ConfigError", "WorkersError", "BrokerUnavailable")), text
    for word in words:
        assert word in text
    assert "remove the folder" not in text
    assert "end that process" not in text


@needs_filter
@pytest.mark.parametrize(
    "number",
    [
        errno.ENOLCK,
        *(pytest.param(number, marks=pytest.mark.long) for number in (errno.EOPNOTSUPP, errno.ENOSYS)),
    ],
    ids=errno.errorcode.get,
)
def test_a_file_system_without_locks(project, home, number):
    said = use(sys.executable, TIGHT, "flock", str(number), home=home)
    said_instead(said, "has no locks", "NBTASKS_HOME")


@needs_filter
def test_a_file_system_without_hard_links(project, home):
    assert use(sys.executable, TIGHT, "link,linkat", str(errno.EPERM), home=home) == "3\n"


@pytest.mark.parametrize("limit", [pytest.param(16, marks=pytest.mark.long), 32])
def test_few_descriptors(project, home, limit):
    said_instead(use(home=home, limits={resource.RLIMIT_NOFILE: limit}), f"{limit}", "ulimit -n")


@needs_root
@pytest.mark.parametrize(
    "limit", [pytest.param(n, marks=pytest.mark.long) if n != 5 else n for n in (1, 2, 3, 5, 8, 16)]
)
def test_few_processes(project, home, limit):
    other = 54321
    home.chmod(0o700)
    os.chown(home, other, other)
    # Root's interpreter may lie where nobody else can read.
    keeps = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    become = (
        "setpriv",
        "--reuid",
        str(other),
        "--regid",
        str(other),
        "--clear-groups",
        *keeps,
        sys.executable,
    )
    said_instead(use(*become, home=home, limits={resource.RLIMIT_NPROC: limit}), "ulimit -u")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("no mounts here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@needs_root
def test_a_read_only_file_system(project, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    said_instead(use(home=small_disk), "read-only", "NBTASKS_HOME")


@needs_root
def test_a_read_only_file_system_with_a_state_of_before(project, small_disk):
    assert use(home=small_disk) == "3\n"
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    said_instead(use(home=small_disk), "read-only", "NBTASKS_HOME")


@needs_root
@pytest.mark.parametrize(
    "before", [False, pytest.param(True, marks=pytest.mark.long)], ids=["first start", "later"]
)
def test_a_full_disk(project, small_disk, before):
    if before:
        assert use(home=small_disk) == "3\n"
        # The start would make room by removing it, and a little is enough.
        for mark in small_disk.rglob("stopped"):
            mark.unlink()
    with (small_disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    said = use(home=small_disk / ("." if before else "state"))
    assert "No space left" in said or "cannot write" in said
    assert "remove the folder" not in said


@needs_root
def test_neither_home_nor_user(project, home):
    keeps = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    become = ("setpriv", "--reuid", "54322", "--regid", "54322", "--clear-groups", *keeps, sys.executable)
    said = use(*become, home=Path(), NBTASKS_HOME="", HOME="", XDG_STATE_HOME="")
    said_instead(said, "no home folder", "NBTASKS_HOME")


def test_a_home_that_cannot_be_made(project, home):
    (home / "file").touch()
    said = use(home=home, NBTASKS_HOME="", XDG_STATE_HOME="", HOME=str(home / "file" / "sub"))
    said_instead(said, "cannot be made", "NBTASKS_HOME")
