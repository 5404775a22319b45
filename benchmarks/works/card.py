"""What the live card costs a map in a real kernel, and what it sends."""

from __future__ import annotations

import json
import os
import queue
import statistics
import time
from pathlib import Path

from .base import Measured, Work, WrongResults

PREPARE = """
%load_ext nbtasks
import json, time
from nbtasks import App
app = App("bench")
app.start_workers(2)

@app.task
def noop(x):
    return x

def timed(n, quiet):
    begun = time.perf_counter()
    results = noop.map(range(n), quiet=quiet).get()
    seconds = time.perf_counter() - begun
    assert results == list(range(n))
    print(json.dumps(seconds))

_ = noop.map(range(1000), quiet=True).get()
"""
CELL_S = 120
#: Seconds after the cell's end in which the card must have told its last state.
LAST_STATE_S = 30


class Card(Work):
    """A map with its live card against the same map without, turn by turn, in an IPython kernel."""

    name = "card"
    title = "map with its live card, time against none"
    unit = "× as long"
    higher_is_better = False
    only = ("nbtasks",)
    starts = False
    limit_s = 400.0

    def measure(self, peer, meter, quick):
        n, turns = (10_000, 3) if quick else (100_000, 5)
        kernel = Kernel(Path(peer.setting.folder))
        try:
            kernel.run(PREPARE)
            with meter.span() as span:
                pairs = [(kernel.timed(n, quiet=True), kernel.shown(n)) for _ in range(turns)]
            kernel.run("app.close()")
        finally:
            kernel.stop()
        return figures(n * turns * 2, span, pairs)


def figures(calls, span, pairs):
    """Return the medians of both kinds of runs, and what the cards have sent at most."""
    bare_s = statistics.median(bare.seconds for bare, _ in pairs)
    shown_s = statistics.median(shown.seconds for _, shown in pairs)
    details = {
        "bare_s": bare_s,
        "with_card_s": shown_s,
        "messages_per_s": max(shown.messages_per_s for _, shown in pairs),
        "bytes_per_map": max(shown.bytes for _, shown in pairs),
    }
    return Measured(shown_s / bare_s, calls, span.cpu, details)


class Ran:
    """What one cell has sent: how much, and what its outputs said at last."""

    def __init__(self):
        self.messages = 0
        self.bytes = 0
        self.printed = ""
        self.last_text = ""
        self._begun = time.perf_counter()
        self._last_at = self._begun

    @property
    def seconds(self):
        return json.loads(self.printed)

    @property
    def messages_per_s(self):
        return self.messages / max(self._last_at - self._begun, 1.0)

    def add(self, content, buffers):
        """Take a message to an output into account."""
        self.messages += 1
        self.bytes += len(json.dumps(content, default=str)) + sum(len(part) for part in buffers)
        self.last_text = _data(content).get("text/plain", self.last_text)
        self._last_at = time.perf_counter()


def _data(content):
    """Return what a message shows; a page that keeps the notebook's file gets that as a message to its widget."""
    told = content.get("data", {})
    return told["content"].get("data", {}) if told.get("method") == "custom" else told


class Kernel:
    """A real IPython kernel of this environment, with a front end that listens.

    As JupyterLab's, it has a shell beside the one in which a cell blocks, greets each card there, and keeps its saved
    forms.
    """

    def __init__(self, folder: Path) -> None:
        from jupyter_client.manager import KernelManager

        self.home = folder
        os.environ["IPYTHONDIR"] = str(folder / "ipython")
        os.environ["NBTASKS_HOME"] = str(folder)
        self._manager = KernelManager()
        self._manager.start_kernel(cwd=str(folder))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self._subshell = self._make_subshell()

    def _make_subshell(self):
        session, control = self._client.session, self._client.control_channel
        control.send(session.msg("create_subshell_request"))
        return control.get_msg(timeout=60)["content"].get("subshell_id")

    def _greet(self, model):
        content = {"comm_id": model, "data": {"method": "custom", "content": {"t": "hello", "keeps": True}}}
        message = self._client.session.msg("comm_msg", content)
        message["header"]["subshell_id"] = self._subshell
        self._client.shell_channel.send(message)

    @property
    def pid(self):
        return self._manager.provisioner.pid

    def timed(self, n, quiet):
        return self.run(f"timed({n}, {quiet})")

    def shown(self, n):
        """Run a map with its card, and wait for the card's last state; it may come after the cell's end."""
        ran = self.timed(n, quiet=False)
        while f"{n:,}" not in ran.last_text or ": done, " not in ran.last_text:
            try:
                self._note(ran, self._next(LAST_STATE_S), "")
            except queue.Empty:
                raise WrongResults(f"the card's last state was lost; it said {ran.last_text!r}") from None
        return ran

    def run(self, code):
        """Run a cell as a notebook with a person before it does."""
        ran = Ran()
        request = self._client.execute(code, allow_stdin=True)
        while not self._note(ran, self._next(CELL_S), request):
            pass
        return ran

    def _next(self, patience_s):
        return self._client.get_iopub_msg(timeout=patience_s)

    def _note(self, ran, message, request):
        """Take a message into account, and tell whether it says that the cell is over."""
        kind, content = message["msg_type"], message["content"]
        if kind == "error":
            raise WrongResults(f"{content['ename']}: {content['evalue']}")
        if kind == "status":
            return content["execution_state"] == "idle" and message["parent_header"].get("msg_id") == request
        if kind == "stream":
            ran.printed += content["text"]
        elif kind != "execute_input":
            if kind == "comm_open":
                self._greet(content["comm_id"])
            ran.add(content, message["buffers"])
        return False

    def stop(self):
        self._client.stop_channels()
        self._manager.shutdown_kernel()
