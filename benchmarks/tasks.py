"""The functions that every peer runs. Plain functions, as a user would write them beside a notebook."""

from __future__ import annotations

import os
import time

#: One HTTP client for each process, or event loop: to make one costs 20 ms and more.
_clients = {}


def noop(x):
    return x


def length(x):
    return len(x)


def total(numbers):
    return sum(numbers)


def whoami(seconds):
    """Hold a slot for a moment and say whose it is."""
    time.sleep(seconds)
    return os.getpid()


def nap(seconds):
    time.sleep(seconds)
    return seconds


async def anap(seconds):
    import asyncio

    await asyncio.sleep(seconds)
    return seconds


def recorded(call):
    """Sleep, and write begin and end into a ledger: one line each, appended whole."""
    ledger, index, seconds = call
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    os.write(file, b"begin %d %d\n" % (index, os.getpid()))
    time.sleep(seconds)
    os.write(file, b"end %d %d\n" % (index, os.getpid()))
    os.close(file)
    return index


def grow(array):
    """Return a new array of the same size: no library can answer with the bytes that it was sent."""
    return array + 1


def look(array, index):
    return float(array[index])


def fetch(url):
    import httpx

    if "sync" not in _clients:
        _clients["sync"] = httpx.Client(limits=httpx.Limits(max_connections=None))
    return len(_clients["sync"].get(url).content)


async def afetch(url):
    import asyncio

    import httpx

    loop = id(asyncio.get_running_loop())
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient(limits=httpx.Limits(max_connections=None))
    response = await _clients[loop].get(url)
    return len(response.content)


def forget_clients():
    """Make the next fetch begin with a client that has no connections yet."""
    _clients.clear()


COROUTINES = (anap, afetch)
PLAIN = (noop, length, total, whoami, nap, recorded, grow, look, fetch)
ALL = PLAIN + COROUTINES
