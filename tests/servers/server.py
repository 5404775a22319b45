"""What all servers of the tests have: a folder, a guard, a start that waits, and ends of several kinds."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache import Missing
from .debian import libraries
from .guard import below

if TYPE_CHECKING:
    from typing_extensions import Self

SHORT_TEMP = Path(os.environ.get("NBTASKS_TEST_TMP", "/tmp"))
#: Whom servers run as where the tests run as root, which most of them refuse.
SERVANT = "nobody"
#: A busy machine takes its time.
_START_S = 90.0
_END_S = 60.0


class Server:
    """One server with its data, in a folder of its own. What serves says how, in ``command``, ``prepare``, ``ask``.

    Args:
        root: the folder that its packages were unpacked in.
        disk_mb: have its data on a disk of this size, which can be filled.
        folder: to be made for it, by this name.
    """

    #: The signal that stops it in good order.
    stops_on = signal.SIGTERM
    #: Whether it runs as another user where the tests run as root.
    served = True
    #: The signal on which it cleans up after itself and is gone; None: nothing is left when it is killed.
    ends_on: int | None = None

    def __init__(self, root: Path, disk_mb: int | None = None, folder: Path | None = None) -> None:
        self.root = root
        if self.served:
            _check_reach(root)
        prefix = f"nbt-{type(self).__name__.lower()}-"
        self.folder = folder or Path(tempfile.mkdtemp(prefix=prefix, dir=SHORT_TEMP))
        self.folder.mkdir(mode=0o700, exist_ok=folder is None)
        #: Where its data lie.
        self.disk = self.folder / "disk"
        self.log = self.folder / "log"
        self.port = free_port()
        self._marks = _marks()
        if folder is not None:
            # Others may go on with it when this process of the run looks for what it has left over.
            self._marks["NBTASKS_HOME"] = str(folder)
        self.pid: int | None = None
        (self.folder / "users").touch()
        self.disk.mkdir()
        self.log.touch()
        for path in (self.folder, self.disk, self.log):
            give(path)
        self.users = hold(self.folder)
        self._guard: subprocess.Popen[str] | None = self._start_guard(disk_mb)

    # --- what differs -------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make its data folder, before it is started for the first time."""

    def command(self) -> list[str]:
        """Return how it is started."""
        raise NotImplementedError

    def ask(self) -> None:
        """Ask it for a sign of life, and raise what there is to raise."""
        with socket.create_connection(("127.0.0.1", self.port), 5):
            pass

    def environment(self) -> dict[str, str]:
        """Return what it and its tools are started with."""
        places = [str(self.root / place) for place in ("usr/bin", "usr/sbin")]
        return {
            **self._marks,
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "LD_LIBRARY_PATH": libraries(self.root),
            "PATH": os.pathsep.join([*places, "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
            "TMPDIR": str(self.folder),
        }

    # --- its life -----------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it, with the data that it has, and return when it answers."""
        self.launch()
        self.await_ready()
        return self

    def launch(self) -> None:
        """Start it."""
        made = self.folder / "prepared"
        if not made.exists():
            self.prepare()
            made.touch()
        self.pid = self._do(start=self.command(), ending=self.ends_on, **self._around())

    def await_ready(self) -> None:
        """Return when it answers."""
        end = time.monotonic() + _START_S
        while True:
            try:
                self.ask()
                return
            except Exception as error:  # noqa: BLE001  # each client has its own errors
                said = f"{type(error).__name__}: {error}"
            assert self.running, f"{self} ended while it started:\n{self.tail()}"
            assert time.monotonic() < end, f"{self} does not answer ({said}):\n{self.tail()}"
            time.sleep(0.01)

    @property
    def running(self) -> bool:
        """Whether its process is there; that of a shared one always is."""
        return self._guard is None or (self.pid is not None and self._do(status=0) is None)

    def stop(self) -> None:
        """Stop it in good order."""
        self.end(self.stops_on)

    def end(self, number: int) -> None:
        """Send it a signal on which it ends, and wait for that."""
        if self.pid is None:
            return
        os.kill(self.pid, number)
        end = time.monotonic() + _END_S
        while self.running:
            assert time.monotonic() < end, f"{self} did not end on signal {number}:\n{self.tail()}"
            time.sleep(0.01)
        self.kill()

    def kill(self) -> None:
        """Kill it and all its processes, as a power failure does; what the system holds for it is written."""
        self._do(kill=0)
        self.pid = None

    def restart(self) -> None:
        """Stop it and start it with its data."""
        self.stop()
        self.start()

    def lose_all(self) -> None:
        """Throw away the data of a server that does not run: it is started empty."""
        shutil.rmtree(self.disk)
        self.disk.mkdir()
        give(self.disk)
        (self.folder / "prepared").unlink(missing_ok=True)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still with all its processes, as a machine does that swaps: connections stay, nothing is answered."""
        # A process that one of them has just started is missed the first time.
        for _ in range(2):
            self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it for good; its folder goes."""
        guard = self.leave()
        assert guard is not None
        guard.wait(_END_S)

    def leave(self) -> subprocess.Popen[str] | None:
        """Use it no longer; its guard ends it when nobody does."""
        self.users.close()
        guard, self._guard = self._guard, None
        if guard is not None:
            for pipe in (guard.stdin, guard.stdout):
                assert pipe is not None
                pipe.close()
        return guard

    def join(self, users: Any) -> None:
        """Use what another process has started, for which ``hold`` has returned a file."""
        self.users = users

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "users": None, "_guard": None}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self.folder}>"

    # --- what tests look at and break ------------------------------------------------------------------------------

    def tail(self, size: int = 3000) -> str:
        """Return the end of what it has written to its log."""
        return self.log.read_text(errors="replace")[-size:]

    def run(self, *command: str) -> None:
        """Run one of its tools to its end, as the server's user, with its environment."""
        status = self._do(run=list(command), **self._around())
        assert status == 0, f"{command} failed ({status}):\n{self.tail()}"

    def fill_disk(self) -> None:
        """Fill its disk: no byte more can be written. For a server with ``disk_mb``."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            # The last pieces are smaller than a page.
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)) == size:
                        pass

    def free_disk(self) -> None:
        """Give the disk its room again."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        # The disk is mounted where the guard is, not here.
        assert self._guard is not None
        return Path(f"/proc/{self._guard.pid}/root{self.disk}/ballast")

    # --- the guard ------------------------------------------------------------------------------------------------

    def _start_guard(self, disk_mb: int | None) -> subprocess.Popen[str]:
        uid, gid = (servant() if self.served else None) or (None, None)
        told = {"folder": str(self.folder), "uid": uid, "gid": gid, "disk_mb": disk_mb}
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), json.dumps(told)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env=self._marks,
        )  # fmt: skip
        assert guard.stdout is not None
        said = json.loads(guard.stdout.readline())
        if "error" in said:
            guard.communicate()
            self.users.close()
            shutil.rmtree(self.folder)
            raise Missing(f"a small disk cannot be mounted here: {said['error']}")
        return guard

    def _do(self, **asked: Any) -> Any:
        assert self._guard is not None, (
            "a shared server is not stopped, killed or paused: start one for the test"
        )
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._guard.stdin.write(json.dumps(asked) + "\n")
        self._guard.stdin.flush()
        line = self._guard.stdout.readline()
        assert line, f"the guard of {self} has died"
        said = json.loads(line)
        assert "error" not in said, f"{asked}: {said['error']}"
        return said["answer"]

    def _around(self) -> dict[str, Any]:
        return {"environment": self.environment(), "output": str(self.log)}

    def _signal(self, number: int) -> None:
        assert self._guard is not None
        for pid in below(self._guard.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _marks() -> dict[str, str]:
    """Return the variables by which it is found who started what is left over."""
    return {name: os.environ[name] for name in ("NBTASKS_HOME", "PYTEST_CURRENT_TEST") if name in os.environ}


def servant() -> tuple[int, int] | None:
    """Return the user and group that servers run as; None: those of the tests."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam(SERVANT)
    return user.pw_uid, user.pw_gid


def _check_reach(root: Path) -> None:
    if servant() is None:
        return
    for folder in root.parents:
        if not folder.stat().st_mode & 0o001:
            raise Missing(
                f"servers run as {SERVANT} here, who may not enter {folder}: let NBTASKS_TEST_CACHE name a folder "
                "that everybody may enter"
            )


def give(path: Path) -> None:
    """Give a file or folder to the user that servers run as."""
    user = servant()
    if user is not None:
        os.chown(path, *user)


def hold(folder: Path) -> Any:
    """Count this process among the users of the server in a folder, until the file is closed or the process dies."""
    users = (folder / "users").open("r+b")
    # Of this process alone: a child that it has forked does not count.
    fcntl.lockf(users, fcntl.LOCK_SH)
    return users


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on, nor gets for a connection while the server is away."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
