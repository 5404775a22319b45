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
                pairs = [(kernel.timed(n, quiet=True), kernel.timed(n, quiet=False)) for _ in range(turns)]
            kernel.run("app.close()")
        finally:
            kernel.stop()
        return self._figures(n, turns, span, pairs)

    def _figures(self, n, turns, span, pairs):
        for _, shown in pairs:
            if f"{n:,}" not in shown.last_text or "SUCCESS" not in shown.last_text:
                raise WrongResults(
                    f"the card's last state does not tell of {n} successes: {shown.last_text!r}"
                )
        bare_s = statistics.median(bare.seconds for bare, _ in pairs)
        shown_s = statistics.median(shown.seconds for _, shown in pairs)
        details = {
            "bare_s": bare_s,
            "with_card_s": shown_s,
            "messages_per_s": max(shown.messages / shown.elapsed for _, shown in pairs),
            "bytes_per_map": max(shown.bytes for _, shown in pairs),
        }
        return Measured(shown_s / bare_s, n * turns * 2, span.cpu, details)


class Ran:
    """What one cell has sent: how much, and what its outputs said at last."""

    def __init__(self):
        self.messages = 0
        self.bytes = 0
        self.printed = ""
        self.last_text = ""
        self.elapsed = 0.0

    @property
    def seconds(self):
        return json.loads(self.printed)


class Kernel:
    """A real IPython kernel of this environment, with a front end that listens."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.manager import KernelManager

        os.environ["IPYTHONDIR"] = str(folder / "ipython")
        os.environ["NBTASKS_HOME"] = str(folder)
        self._manager = KernelManager()
        self._manager.start_kernel(cwd=str(folder))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def timed(self, n, quiet):
        return self.run(f"timed({n}, {quiet})")

    def run(self, code):
        """Run a cell as a notebook with a person before it does."""
        ran, begun = Ran(), time.perf_counter()
        request = self._client.execute(code, allow_stdin=True)
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=CELL_S)
            except queue.Empty:
                raise WrongResults(f"the kernel has said nothing for {CELL_S} s") from None
            if self._note(ran, message, request):
                ran.elapsed = time.perf_counter() - begun
                return ran

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
            ran.messages += 1
            ran.bytes += len(json.dumps(content, default=str)) + sum(len(part) for part in message["buffers"])
            ran.last_text = content.get("data", {}).get("text/plain", ran.last_text)
        return False

    def stop(self):
        self._client.stop_channels()
        self._manager.shutdown_kernel()
