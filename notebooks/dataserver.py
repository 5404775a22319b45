"""A small web server on this machine with real data files, slow and now and then unwilling, as real ones are.

The quickstart fetches from it and so needs no internet. The files are those of the `vega_datasets` package.
"""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FILES = (
    "airports.csv",
    "anscombe.json",
    "barley.json",
    "burtin.json",
    "cars.json",
    "crimea.json",
    "driving.json",
    "iowa-electricity.csv",
    "iris.json",
    "ohlc.json",
    "seattle-temps.csv",
    "seattle-weather.csv",
    "sf-temps.csv",
    "stocks.csv",
    "us-employment.csv",
    "wheat.json",
)
#: Only its files are wanted: importing it imports pandas, which takes seconds the first time.
PACKAGE = importlib.util.find_spec("vega_datasets")
TYPES = {".csv": "text/csv; charset=utf-8", ".json": "application/json"}


class DataServer:
    """Serves the files on a free port of 127.0.0.1 until `close()`.

    Every answer takes `latency_s` seconds. A path below `/unsteady/` gets a 503 the first `refusals` times.
    """

    def __init__(self, latency_s: float = 0.25, refusals: int = 2) -> None:
        self.latency_s = latency_s
        self.refusals = refusals
        if PACKAGE is None or PACKAGE.origin is None:
            raise ImportError("the quickstart's files are missing: pip install vega_datasets")
        self.folder = Path(PACKAGE.origin).parent / "_data"
        self.requests: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._http = _Http(self)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        # Behind a company's proxy, a request to this machine must not take the way through it.
        os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
        self._thread = threading.Thread(target=self._http.serve_forever, name="dataserver", daemon=True)
        self._thread.start()

    @property
    def urls(self) -> list[str]:
        """One address per file."""
        return [f"{self.url}/{name}" for name in FILES]

    def unsteady(self, name: str) -> str:
        """The address of a file that is refused at first."""
        return f"{self.url}/unsteady/{name}"

    def count(self, path: str) -> int:
        """Note one more request for a path, and return how many there have been."""
        with self._counting:
            self.requests[path] += 1
            return self.requests[path]

    def close(self) -> None:
        """Stop answering and give the port back."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, data: DataServer) -> None:
        self.data = data
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def do_GET(self) -> None:  # the name is http.server's
        data = self.server.data
        time.sleep(data.latency_s)
        name = self.path.rpartition("/")[2]
        asked = data.count(self.path)
        if name not in FILES:
            self.send_error(404, "No such file")
        elif self.path.startswith("/unsteady/") and asked <= data.refusals:
            self.send_error(503, "Too busy, come back later")
        else:
            self._send((data.folder / name).read_bytes(), TYPES[Path(name).suffix])

    def _send(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing: a notebook is no place for an access log."""
