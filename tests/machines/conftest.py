"""Machines in one network: each is a network namespace with a name, an address and a cable that can be pulled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

#: Reads one line of JSON, ``[source]``, runs it, answers with ``["ok", value]`` or ``["error", text]``.
DESK = """
import json, sys, traceback
names = {}
for line in sys.stdin:
    source = json.loads(line)[0]
    try:
        try:
            code = compile(source, "<desk>", "eval")
        except SyntaxError:
            exec(compile(source, "<desk>", "exec"), names)
            answer = ["ok", None]
        else:
            answer = ["ok", eval(code, names)]
        text = json.dumps(answer)
    except BaseException:
        text = json.dumps(["error", traceback.format_exc()])
    print(text, flush=True)
"""

#: Sets the name in its own UTS namespace, then becomes the program.
_NAMED = 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"'


class Network:
    """One switch, to which machines are connected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = f"nbt{os.getpid()}"
        self.switch = f"{self._mark}-switch"
        self.machines: list[Machine] = []
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "lan", "type", "bridge")
        ip("-n", self.switch, "link", "set", "lan", "up")

    def machine(self, name: str) -> Machine:
        """Return a new machine."""
        made = Machine(self, f"{self._mark}-{name}", name, len(self.machines) + 1)
        self.machines.append(made)
        return made

    def close(self) -> None:
        """End what still runs, and take everything apart."""
        for machine in self.machines:
            machine.close()
        ip("netns", "delete", self.switch)


class Machine:
    """A machine: its own network, host name, home and state folder. Files are those of the real machine."""

    def __init__(self, network: Network, namespace: str, name: str, number: int) -> None:
        self.name = name
        self.address = f"10.77.0.{number}"
        self.home = network.folder / name
        self.home.mkdir()
        self._namespace, self._switch, self._port = namespace, network.switch, f"port{number}"
        self._started: list[subprocess.Popen[str]] = []
        ip("netns", "add", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        ip(
            "-n",
            self._switch,
            "link",
            "add",
            self._port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            namespace,
        )
        ip("-n", namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")
        ip("-n", namespace, "route", "add", "default", "via", "10.77.0.254")
        ip("-n", self._switch, "link", "set", self._port, "master", "lan", "up")

    def pull_cable(self) -> None:
        """Cut it off: from now on packets vanish in both directions, and no connection is closed."""
        ip("-n", self._switch, "link", "set", self._port, "nomaster")

    def plug_cable(self) -> None:
        """Undo that."""
        ip("-n", self._switch, "link", "set", self._port, "master", "lan")

    def start(self, *command: str, log: str = "log", **environment: str) -> subprocess.Popen[str]:
        """Start a program; what it writes goes to a file in the home folder, if ``log`` names one."""
        output = (self.home / log).open("w") if log else subprocess.PIPE
        process = subprocess.Popen(
            self._command(command), stdin=subprocess.PIPE, stdout=output,
            stderr=output if log else None, text=True, cwd=self.home, env=self._environment(environment),
            start_new_session=True,
        )  # fmt: skip
        if log:
            output.close()
        self._started.append(process)
        return process

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            self._command(command), capture_output=True, text=True, cwd=self.home,
            env=self._environment(environment), timeout=60, check=False,
        )  # fmt: skip

    def nbtasks(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``nbtasks`` to its end."""
        return self.run(sys.executable, "-m", "nbtasks", *arguments, **environment)

    def text(self, log: str = "log") -> str:
        """Return what a program has written so far."""
        return (self.home / log).read_text()

    def close(self) -> None:
        """Plug the cable, end what still runs, take the machine apart."""
        self.plug_cable()
        for process in reversed(self._started):
            _end(process)
        ip("netns", "delete", self._namespace)

    def _command(self, command: tuple[str, ...]) -> list[str]:
        return [
            "ip",
            "netns",
            "exec",
            self._namespace,
            "unshare",
            "--uts",
            "sh",
            "-c",
            _NAMED,
            self.name,
            *command,
        ]

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        # The folder's name in NBTASKS_HOME lets the test run find what is left over.
        return {**os.environ, "HOME": str(self.home), "NBTASKS_HOME": str(self.home / "state"), **more}


class Desk:
    """A Python session on a machine, as a notebook kernel would be one."""

    def __init__(self, machine: Machine) -> None:
        self._process = machine.start(sys.executable, "-u", "-c", DESK, log="")

    def do(self, source: str) -> object:
        """Run source; return the value of an expression, of JSON types."""
        self._process.stdin.write(json.dumps([source]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the session has died"
        status, value = json.loads(line)
        assert status == "ok", value
        return value


def ip(*arguments: str) -> None:
    """Run iproute2's ip."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _why_no_namespaces() -> str | None:
    """Return why there can be no machines here; None where there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    for tool in ("ip", "unshare"):
        if shutil.which(tool) is None:
            return f"`{tool}` is missing: install iproute2 and util-linux"
    if os.getuid() != 0:
        return "only root may make network namespaces"
    name = f"nbt{os.getpid()}-probe"
    for attempt in (["ip", "netns", "add", name], ["ip", "netns", "delete", name]):
        done = subprocess.run(attempt, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode:
            return f"`{' '.join(attempt)}`: {done.stderr.strip()}"
    return None


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip where no machines can be made."""
    reason = _why_no_namespaces()
    if reason:
        pytest.skip(f"tests with several machines need network namespaces, and here there are none: {reason}")


@pytest.fixture
def network(namespaces: None, run_folder: Path) -> Iterator[Network]:
    """A network without machines."""
    made = Network(Path(tempfile.mkdtemp(prefix="n", dir=run_folder)))
    yield made
    made.close()


@pytest.fixture
def desk() -> Callable[[Machine], Desk]:
    """``desk(machine)`` starts a Python session there."""
    return Desk
