"""What every test shares: its own state folder, an App with real workers, waiting, a look for leftovers.

Tests drive the public surface against the real embedded server and real worker processes; nothing is faked.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbtasks import App

pytest_plugins = ["tests.servers.fixtures"]

# A server's socket lies below the state folder, and its path may have 104 bytes: tmp_path is too long for it.
SHORT_TEMP = Path(os.environ.get("NBTASKS_TEST_TMP", "/tmp"))

#: What is found first by the processes that tests start.
IN_WORKERS = Path(__file__).parent / "in_workers"
# Left out there, and so here: it takes two seconds to import.
sys.modules.setdefault("rfc3987_syntax", None)

#: Begun first: a file that takes minutes would have one process work on alone at the end.
SLOWEST = (
    "docs/test_guide.py",
    "browser/",
    "fidelity/test_comparison.py",
    "cli/test_config.py",
    "docs/",
    "jupyter/test_unwatched.py",
    "client/test_forks.py",
    "client/test_app.py",
    "worker/test_deaths.py",
    "chaos/",
    "worker/test_stops.py",
    "cli/",
    "jupyter/",
    "journeys/",
)

# After a kernel was killed its server lingers, ten minutes for a user, seconds for a test run.
LINGER_S = 4.0

# What a developer may have set for themselves must not reach the tests.
FOREIGN_SETTINGS = (
    "JPY_SESSION_NAME",
    "MPLBACKEND",
    "CELERY_BROKER_READ_URL",
    "CELERY_BROKER_URL",
    "CELERY_BROKER_WRITE_URL",
    "CELERY_RESULT_BACKEND",
    "CELERY_CONFIG_MODULE",
    "NBTASKS_BACKEND",
    "NBTASKS_BROKER",
    "NBTASKS_CONFIG_MODULE",
    "NBTASKS_CONNECTION_FILE",
    "NBTASKS_INTERACTIVE",
    "NBTASKS_KEY",
    "NBTASKS_NAMESPACE",
    "NBTASKS_SERVER_BINARY",
    "NBTASKS_WAIT",
    # Each process would compile anew what it imports.
    "PYTHONDONTWRITEBYTECODE",
    # IPython would put the packages of another environment before those that are tested.
    "VIRTUAL_ENV",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest files first; within a file all stays as it is."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    path = item.path.relative_to(Path(__file__).parent).as_posix()
    return next((at for at, slow in enumerate(SLOWEST) if path.startswith(slow)), len(SLOWEST))


class Eventually(Protocol):
    """The shape of the ``eventually`` fixture, for annotations."""

    def __call__(self, probe: Callable[[], Any], what: str = ..., *, within: float = ...) -> Any: ...


def wait_until(probe: Callable[[], Any], what: str = "", *, within: float = 60.0) -> Any:
    """Call ``probe`` until it returns something true and return that; fail with ``what`` when time is up."""
    end = time.monotonic() + within
    pause = 0.005
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not within {within:g} s: {what or probe!r} (last seen: {value!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """``eventually(lambda: condition, "what should happen", within=60)`` instead of a sleep."""
    return wait_until


@pytest.fixture(scope="session")
def packages() -> Callable[..., str]:
    """``packages("ipykernel==6.31.0", deps=False)`` returns a folder for PYTHONPATH with what is not always installed.

    It is installed once and kept in ``build/``. For long tests only, as it takes a network.
    """

    def folder(*names: str, deps: bool = True) -> str:
        found = (
            Path(__file__).parents[1]
            / "build"
            / "packages"
            / "-".join(name.replace("==", "-") for name in names)
        )
        if not (found / ".complete").exists():
            installer = shutil.which("uv")
            command = [installer, "pip", "install", "-q", "--python", sys.executable] if installer else [
                sys.executable, "-m", "pip", "install", "-q",
            ]  # fmt: skip
            command += ["--target", str(found), *([] if deps else ["--no-deps"]), *names]
            subprocess.run(command, check=True, timeout=300)
            (found / ".complete").touch()
        return str(found)

    return folder


# --- the run's own corner of the machine --------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def stop_button_works() -> None:
    """Listen to SIGINT where the run was started with it ignored, as a shell starts what runs in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def run_folder() -> Iterator[Path]:
    """One short folder per test process: all state folders lie in it, so its name finds what is left over."""
    folder = Path(tempfile.mkdtemp(prefix="nbt-", dir=SHORT_TEMP))
    with pytest.MonkeyPatch.context() as patch:
        for name in FOREIGN_SETTINGS:
            patch.delenv(name, raising=False)
        patch.setenv("PYTHONPATH", str(IN_WORKERS), prepend=os.pathsep)
        patch.setenv("NBTASKS_HOME", str(folder / "home"))
        patch.setenv("NBTASKS_LINGER", str(LINGER_S))
        yield folder
        _close_apps()
        left = _wait_for_leftovers(folder, within=LINGER_S + 10)
    shutil.rmtree(folder, ignore_errors=True)
    _free_memory(folder)
    if left:
        pytest.fail("processes of this test run are still alive:\n" + "\n".join(left))


def _close_apps() -> None:
    """Close the Apps of this process that nobody closes, such as the one that tasks of no App have made.

    It ends with its process; here that goes on, and looks whether its server has ended.
    """
    current = sys.modules.get("nbtasks.client.current")
    for app in list(current._open) if current is not None else ():
        app.close(cold=True)


def _free_memory(folder: Path) -> None:
    """Remove the large values in memory of servers whose keeper was killed."""
    for link in Path("/dev/shm", f"nbtasks-{os.getuid()}").glob("*/home"):
        if str(link.readlink()).startswith(f"{folder}/"):
            shutil.rmtree(link.parent, ignore_errors=True)


@pytest.fixture
def home(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh state folder for one test: own key, own embedded server, own logs."""
    folder = Path(tempfile.mkdtemp(prefix="h", dir=run_folder))
    monkeypatch.setenv("NBTASKS_HOME", str(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a fresh state folder: what a user has who starts a new notebook."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def written_modules() -> Iterator[set[str]]:
    """Names of the top modules that a test writes: after it they are forgotten, and what they have hidden is back."""
    names: set[str] = set()
    before = dict(sys.modules)
    yield names
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items() if name.partition(".")[0] in names})


# --- Apps ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_app(run_folder: Path, request: pytest.FixtureRequest) -> Iterator[App]:
    """An App with two workers for a whole module, in a namespace of its own. For tests that kill nothing."""
    from nbtasks import App

    namespace = "t-" + request.module.__name__.rpartition(".")[2].replace("_", "-")
    with App(namespace, namespace=namespace) as app:
        app.start_workers(2)
        yield app


@pytest.fixture
def app(home: Path) -> Iterator[App]:
    """An App with two workers on a server of its own: for tests that kill, break or count things."""
    from nbtasks import App

    with App("test") as app:
        app.start_workers(2)
        yield app


@pytest.fixture
def idle_app(home: Path) -> Iterator[App]:
    """An App on a server of its own, without workers."""
    from nbtasks import App

    with App("test") as app:
        yield app


# --- what tasks and tests tell each other -----------------------------------------------------------------------


class Gate:
    """A file that holds tasks back until the test opens it. Tasks get its ``path`` and look whether it exists."""

    def __init__(self, path: Path) -> None:
        self._file = path
        self.path = str(path)

    def open(self) -> None:
        """Let the tasks go on."""
        self._file.touch()


class Ledger:
    """A file that tasks append a line to. They get its ``path``; the test reads ``lines()``."""

    def __init__(self, path: Path) -> None:
        self._file = path
        self.path = str(path)
        path.touch()

    def lines(self) -> list[str]:
        """Everything written so far."""
        return self._file.read_text().split()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate, opened at the latest when the test is over, so that no worker is left waiting."""
    made = Gate(tmp_path / "gate")
    yield made
    made.open()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path / "ledger")


# --- processes ----------------------------------------------------------------------------------------------


def processes_of(folder: Path) -> dict[int, str]:
    """Return pid -> command of what was started with a state folder or a file in ``folder`` (Linux only)."""
    found: dict[int, str] = {}
    if not sys.platform.startswith("linux"):
        return found
    mark = b"NBTASKS_HOME=" + os.fsencode(folder)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            # A server that has set its own title has overwritten its environment with it.
            ours = os.fsencode(folder) in command or mark in (entry / "environ").read_bytes()
            if ours and not _is_zombie(entry):
                found[int(entry.name)] = command.decode(errors="replace").strip()
        except OSError:
            continue  # gone in between, or another user's
    return found


def _is_zombie(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _wait_for_leftovers(folder: Path, within: float) -> list[str]:
    """Give processes that are ending their time; kill what stays, and return a line for each."""
    end = time.monotonic() + within
    while (found := processes_of(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    started = {pid: _test_that_started(pid) for pid in found}
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return [f"  {pid}, of {started[pid]}: {command}" for pid, command in found.items()]


def _test_that_started(pid: int) -> str:
    """Return the test in which a process was started, as its environment says it."""
    try:
        environment = (Path("/proc") / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return "a test that is not known"
    said = (one for one in environment if one.startswith(b"PYTEST_CURRENT_TEST="))
    return next(said, b"=a test that is not known").partition(b"=")[2].decode("utf-8", "replace")


@pytest.fixture
def processes(home: Path) -> Callable[[], dict[int, str]]:
    """``processes()`` returns pid -> command of everything this test's state folder has started."""
    return lambda: processes_of(home)
