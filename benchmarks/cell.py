"""One cell: one peer does one work, in the peer's own environment. Started by ``runner.py``.

It talks with the program that started it over a socket, in lines of JSON: where a measured time begins and ends
(the other side then looks at the CPU time of all processes), and at the end the figure, or what went wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
import traceback

from benchmarks import peers, works
from benchmarks.setting import Setting
from benchmarks.tasks import whoami
from benchmarks.works.base import Span

ORDER_VARIABLE = "NBTASKS_BENCH_ORDER"
READY_S = 60.0


class Meter:
    """Marks measured times, and asks the other side for the CPU that was used in them."""

    def __init__(self, connection: socket.socket, started_at: float) -> None:
        self._file = connection.makefile("rw", encoding="utf-8")
        self._started_at = started_at

    @contextlib.contextmanager
    def span(self):
        """Measure what happens inside."""
        span = Span()
        self._ask("begin")
        begun = time.perf_counter()
        yield span
        span.seconds = time.perf_counter() - begun
        span.cpu = self._ask("end")

    def since_start(self) -> float:
        """Return the seconds since this interpreter was started."""
        return time.time() - self._started_at

    def tell(self, **message) -> None:
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()

    def _ask(self, mark: str):
        self.tell(mark=mark)
        return json.loads(self._file.readline())


def main() -> None:
    order = json.loads(os.environ.pop(ORDER_VARIABLE))
    meter = Meter(socket.socket(fileno=order["descriptor"]), order["started_at"])
    try:
        measured = run(order, meter)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is this cell's outcome
        traceback.print_exc()
        meter.tell(error="".join(traceback.format_exception_only(type(error), error)).strip()[:500])
        sys.exit(1)
    meter.tell(measured=measured.to_json(), versions=versions(order["peer"]))


def run(order: dict, meter: Meter):
    work = works.find(order["work"])
    peer = peers.find(order["peer"])(Setting(**order["setting"]))
    if work.starts:
        peer.start()
    try:
        if work.starts and work.warm:
            wait_for_all(peer)
        return work.measure(peer, meter, order["quick"])
    finally:
        if work.starts:
            with contextlib.suppress(Exception):  # the figure is there, and what does not stop is killed
                peer.close()


def wait_for_all(peer) -> None:
    """Return when every worker process has run something."""
    if not peer.submits or not peer.processes:
        return
    seen: set[int] = set()
    end = time.monotonic() + READY_S
    while len(seen) < peer.processes:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(seen)} of {peer.processes} worker processes came up in {READY_S:g} s")
        seen.update(peer.map(whoami, [0.02] * 4 * peer.processes))


def versions(name: str) -> dict[str, str]:
    """Return distribution -> version of what the peer is made of."""
    from importlib.metadata import version

    return {package: version(package) for package in peers.find(name).packages}


if __name__ == "__main__":
    main()
