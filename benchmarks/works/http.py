"""An HTTP server on loopback that takes its time: a process of its own, HTTP/1.1 with connections that stay open."""

from __future__ import annotations

import asyncio
import subprocess
import sys

LATENCY_S = 0.05
PAGE = b"x" * 1000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain\r\n\r\n" % len(PAGE) + PAGE


class HttpServer:
    """``with HttpServer() as server: ... server.url``."""

    def __enter__(self):
        command = [sys.executable, "-m", "benchmarks.works.http"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *exc):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


async def _answer(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(LATENCY_S)
            writer.write(ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve():
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
