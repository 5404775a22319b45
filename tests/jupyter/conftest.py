"""A real IPython kernel, and a screen that keeps outputs as a page would."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass
class Ran:
    """What one execution has brought."""

    status: str = ""
    ename: str = ""
    evalue: str = ""
    traceback: str = ""
    stdout: str = ""
    stderr: str = ""
    #: The display ids (or None) of the outputs that this cell has shown.
    shown: list[str | None] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    #: What `?` shows.
    page: str = ""

    @property
    def text(self) -> str:
        """The plain text of Out[n]."""
        return "" if self.result is None else str(self.result["text/plain"])


class Kernel:
    """A kernel with a front end that keeps what outputs show now, by display id."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.manager import start_new_kernel

        environment = {
            **os.environ,
            "NBTASKS_HOME": str(folder / "nbt"),
            "IPYTHONDIR": str(folder / "ipython"),
        }
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(folder), env=environment)
        self.screen: dict[str, dict[str, Any]] = {}
        self.updates: list[tuple[str, dict[str, Any]]] = []
        self.comm_messages: list[dict[str, Any]] = []
        self.printed = ""
        #: What the widgets of this page say when they begin to live; None for a page without widgets.
        self.hello: dict[str, Any] | None = {"keeps": False}
        self._known: set[str] = set()
        self._views: dict[str, dict[str, Any]] = {}

    def stop(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def run(
        self,
        code: str,
        *,
        watched: bool = True,
        within: float = 60.0,
        stop_when: Callable[[], Any] | None = None,
        cell: str = "",
    ) -> Ran:
        """Run a cell and return what it brought; the Stop button is pressed as soon as ``stop_when()`` is true.

        Args:
            cell: its id, as JupyterLab says it.
        """
        request = self._ask(code.strip("\n"), cell, watched=watched)
        ran = Ran()
        end = time.monotonic() + within
        while time.monotonic() < end:
            message = self.next_message(0.2)
            if stop_when is not None and stop_when():
                self.press_stop()
                stop_when = None
            if message is None:
                continue
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") == request:
                self._note(ran, kind, content)
                if kind == "status" and content["execution_state"] == "idle":
                    reply = self._reply(request)["content"]
                    ran.status = reply["status"]
                    ran.page = "".join(page["data"]["text/plain"] for page in reply.get("payload", []))
                    return ran
        pytest.fail(f"the cell did not end within {within:g} s: {code}")

    def _ask(self, code: str, cell: str, *, watched: bool) -> Any:
        if not cell:
            return self.client.execute(code, allow_stdin=watched)
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": watched,
            "stop_on_error": True,
        }
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell})
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def restart(self) -> None:
        """Restart the kernel as Jupyter does: it is told to end, and may put its things in order."""
        self.manager.restart_kernel()
        self.client.wait_for_ready(timeout=60)

    def press_stop(self) -> None:
        """Interrupt as Jupyter does: SIGINT to the whole process group of the kernel."""
        os.killpg(os.getpgid(self.manager.provisioner.pid), signal.SIGINT)

    def views(self) -> list[dict[str, Any]]:
        """Return the views that pages have of all cards after each of their messages so far."""
        return [message["view"] for message in self.comm_messages if "view" in message]

    def numbers(self, state: str) -> list[str]:
        """Return what all cards' messages so far say of how many calls are in a state; those of single calls do not."""
        return [part["number"] for view in self.views() for part in view["counts"] if part["state"] == state]

    def value(self, expression: str) -> str:
        """Return the repr of an expression."""
        reply = self.client.execute("", silent=True, user_expressions={"value": expression})
        value = self._reply(reply)["content"]["user_expressions"]["value"]
        assert value["status"] == "ok", value
        return str(value["data"]["text/plain"])

    def settle(self, probe: Callable[[], Any], *, within: float = 60.0) -> Any:
        """Take messages until ``probe()`` is true."""
        end = time.monotonic() + within
        while not (value := probe()):
            if time.monotonic() > end:
                pytest.fail(f"did not come about within {within:g} s; the screen: {self.texts()}")
            self.next_message(0.1)
        return value

    def texts(self) -> list[str]:
        """Return the plain text of each output with a display id, in the order in which they came."""
        return [str(data["text/plain"]) for data in self.screen.values()]

    def next_message(self, timeout: float) -> Any:
        """Return the next message after taking it into the screen; None when there was none."""
        try:
            message = self.client.get_iopub_msg(timeout=timeout)
        except queue.Empty:
            return None
        content = message["content"]
        display_id = content.get("transient", {}).get("display_id")
        if display_id is not None:
            if message["msg_type"] == "display_data":
                self._known.add(display_id)
                self.screen[display_id] = content["data"]
            assert display_id in self._known, "a page drops updates it cannot place"
            if display_id in self.screen:
                self.screen[display_id] = content["data"]
                self.updates.append((display_id, content["data"]))
        if message["msg_type"] == "stream":
            self.printed += content["text"]
        if message["msg_type"] == "comm_open" and self.hello is not None:
            self.press(content["comm_id"], {"t": "hello", **self.hello})
        if message["msg_type"] == "comm_msg":
            self._note_view(message)
            self.comm_messages.append(message)
        return message

    def _note_view(self, message: dict[str, Any]) -> None:
        """Keep what a page has of a card's view: what has not changed is not said again."""
        model, data = message["content"]["comm_id"], message["content"]["data"]
        if data.get("method") == "custom" and data["content"]["k"] == "tick":
            self._views[model] = {**self._views.get(model, {}), **data["content"]["view"]}
            message["view"] = self._views[model]

    def press(self, model: str, content: dict[str, Any]) -> None:
        """Send what a widget of the page sends to the kernel."""
        data = {"comm_id": model, "data": {"method": "custom", "content": content}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", data))

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of a kind that all cards have sent to the page so far."""
        data = (message["content"]["data"] for message in self.comm_messages)
        contents = [item["content"] for item in data if item.get("method") == "custom"]
        return [content for content in contents if content["k"] == kind]

    def _reply(self, request: str) -> Any:
        while True:
            reply = self.client.get_shell_msg(timeout=20)
            if reply["parent_header"].get("msg_id") == request:
                return reply

    def _note(self, ran: Ran, kind: str, content: dict[str, Any]) -> None:
        if kind == "stream":
            setattr(ran, content["name"], getattr(ran, content["name"]) + content["text"])
        elif kind == "display_data":
            ran.shown.append(content.get("transient", {}).get("display_id"))
            ran.data.append(content["data"])
        elif kind == "execute_result":
            ran.result = content["data"]
        elif kind == "error":
            ran.ename, ran.evalue = content["ename"], content["evalue"]
            ran.traceback = "\n".join(content["traceback"])


@pytest.fixture(scope="session")
def jupyter_loop() -> Iterator[None]:
    """jupyter_client runs in an event loop that it makes and never closes."""
    from jupyter_core.utils import ensure_event_loop

    loop = ensure_event_loop()
    yield
    # It may be another one's by then, a browser's for example, who closes it.
    if not loop.is_running():
        loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture(scope="module")
def bare_kernel(run_folder: Path, jupyter_loop: None) -> Iterator[Kernel]:
    """A kernel for a module, nothing loaded."""
    kernel = Kernel(Path(tempfile.mkdtemp(prefix="k", dir=run_folder)))
    yield kernel
    kernel.stop()


@pytest.fixture(scope="module")
def kernel(bare_kernel: Kernel) -> Kernel:
    """A kernel for a module, with the extension and two workers."""
    assert bare_kernel.run("%load_ext nbtasks").status == "ok"
    assert "2 worker processes ready" in bare_kernel.run("%workers start 2").stdout
    return bare_kernel


@pytest.fixture(autouse=True)
def _clean_screen(request: pytest.FixtureRequest) -> None:
    """What an earlier test left on the screen is not this one's."""
    if "kernel" in request.fixturenames or "bare_kernel" in request.fixturenames:
        one: Kernel = request.getfixturevalue("bare_kernel")
        while one.next_message(0.05) is not None:
            pass
        one.screen.clear()
        one.updates.clear()
        one.comm_messages.clear()
        one.hello = {"keeps": False}
        one.printed = ""
