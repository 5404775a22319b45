"""What ordinary modules have at their top, and what no pickle can carry."""

import argparse
import collections
import contextvars
import functools
import itertools
import logging
import os
import queue
import re
import sqlite3
import sys
import threading
import types
import weakref
from pathlib import Path

HERE = Path(__file__).parent
TABLE = (HERE / "table.csv").read_text().split()
log = logging.getLogger(__name__)
lock = threading.RLock()
local = threading.local()
local.depth = 7
current = contextvars.ContextVar("current", default="nobody")
connection = sqlite3.connect(":memory:", check_same_thread=False)
connection.execute("create table t (a)")
connection.executemany("insert into t values (?)", [(1,), (2,), (3,)])
work = queue.Queue()
numbers = itertools.count(10)
lines = (line.upper() for line in ["a", "b", "c"])
me = sys.modules[__name__]
settings = types.SimpleNamespace(deep=types.MappingProxyType({"a": 1}))
alive = weakref.WeakValueDictionary()
out = sys.stdout
null = open(os.devnull, "w")
pattern = re.compile(r"(\d+)")
parser = argparse.ArgumentParser()
parser.add_argument("--deep", type=int, default=3)
seen = collections.Counter()
registry = {}


def register(function):
    registry[function.__name__] = function
    return function


@register
def twice(n):
    return 2 * n


@register
@functools.lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@functools.singledispatch
def kind(value):
    return "something"


@kind.register
def _(value: int):
    return "an int"


def rows():
    with lock:
        return connection.execute("select sum(a) from t").fetchone()[0]


class Guarded:
    _lock = threading.Lock()
    made = 0

    def __init__(self):
        with self._lock:
            Guarded.made += 1

    def __init_subclass__(cls, **options):
        registry["subclass " + cls.__name__] = cls


class Special(Guarded):
    pass


if __name__ == "__main__":
    raise SystemExit("this is no script here")
