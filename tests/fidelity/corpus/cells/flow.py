# %%
import asyncio
import random
import time


async def work(n):
    await asyncio.sleep(0)
    return n * 2


# %% task top_level_await
await work(4)

# %% task gathered
await asyncio.gather(*(work(n) for n in range(3)))

# %% task async_comprehension_at_the_top
[await work(n) for n in range(3)]


# %% task async_with_and_for
class Opens:
    async def __aenter__(self):
        return "opened"

    async def __aexit__(self, *info):
        print("closed")


async def stream():
    for i in range(3):
        yield i


got = []
async with Opens() as opened:
    async for i in stream():
        got.append(i)
opened, got

# %% task a_task_of_asyncio
running = asyncio.create_task(work(3))
await running

# %% task squares for n in range(5)
n * n

# %%
pairs = [("a", 1), ("b", 2)]

# %% task pairs_of_things for name, value in pairs
print(name)
name * value

# %%
table = {"x": [1, 2], "y": [3]}

# %% task items_of_a_dict for key, values in table.items()
key, sum(values)

# %% task starred_targets for head, *tail in [(1, 2, 3), (4,)]
head, tail

# %%
offset = 100

# %% task an_item_and_the_notebook for i in range(3)
offset += i
offset

# %%
acc = []

# %% task each_call_begins_anew for i in range(4)
acc += [i]
acc

# %% task fails_for_some for d in [1, 0, 2]
10 / d


# %%
class Thing:
    def __init__(self, n):
        self.n = n


things = [Thing(1), Thing(2)]

# %% task instances_as_items for thing in things
thing.n += 1
thing, isinstance(thing, Thing)

# %% task enumerated for i, word in enumerate(["to", "be"])
f"{i}:{word}"

# %% task zipped for a, b in zip("ab", [True, None])
a, b

# %%
calls = 0


def called():
    global calls
    calls += 1
    return calls


# %% task a_helper_that_counts for i in range(4)
called(), calls


# %%
def remember(x, memory=[]):
    memory.append(x)
    return memory


# %% task a_mutable_default for i in range(3)
remember(i)

# %%
numbers = iter([10, 20, 30])

# %% task a_captured_iterator
next(numbers), next(numbers)

# %%
random.seed(4)

# %% task seeded_in_the_cell
random.seed(11)
random.random(), random.randint(0, 100)

# %% task time_passes
begun = time.monotonic()
time.sleep(0.001)
time.monotonic() > begun

# %% task a_thread
import threading

out = []
thread = threading.Thread(target=lambda: out.append(threading.current_thread().name != "MainThread"))
thread.start()
thread.join()
out

# %% task prints_in_a_thread
import threading

thread = threading.Thread(target=print, args=("from a thread",))
thread.start()
thread.join()

# %% task stdout_of_a_cell
import sys

sys.stdout.write("written\n")
sys.stdout.flush()
print("err", file=sys.stderr)

# %% task writes_bytes
import sys

try:
    sys.stdout.write(b"raw")
except TypeError:
    said = "refused"
said


# %% task a_generator_in_the_cell
def gen():
    got = yield 1
    yield got


g = gen()
next(g), g.send("x"), list(gen())

# %% task a_pool_of_threads
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(2) as pool:
    got = list(pool.map(lambda n: n + offset, range(3)))
got

# %% task a_context_manager_in_the_cell
from contextlib import contextmanager


@contextmanager
def tag(name):
    print(f"<{name}>")
    yield name
    print(f"</{name}>")


with tag("b") as b:
    print(b)
b

# %% task a_decorator_in_the_cell
import functools


def twice(f):
    @functools.wraps(f)
    def wrapper(*a):
        return f(f(*a))

    return wrapper


@twice
@functools.lru_cache
def inc(a):
    return a + 1


inc(1), inc.__name__

# %%
import functools


@functools.lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


# %% task a_cached_function_of_the_notebook
fib(30)

# %%
registry = {}


def register(f):
    registry[f.__name__] = f
    return f


@register
def hello():
    return "hello"


# %% task a_register_of_the_notebook
@register
def bye():
    return "bye"


{name: f() for name, f in registry.items()}, registry["hello"] is hello

# %% task warns
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("careful")
[str(w.message) for w in caught]

# %% task logs
import logging

logging.getLogger("cell").level, logging.getLogger("cell").name

# %% task a_database
import sqlite3

with sqlite3.connect(":memory:") as db:
    db.execute("create table t (a)")
    db.executemany("insert into t values (?)", [(i,) for i in range(3)])
    rows = db.execute("select sum(a) from t").fetchall()
rows

# %% task files
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "a.txt"
    path.write_text("äö")
    text = path.read_text()
text

# %% task last_error_is_a_group
raise ExceptionGroup("several", [ValueError("a"), TypeError("b")])

# %% task a_returned_lambda
lambda a: a + offset

# %% task a_returned_generator
(i for i in range(3))

# %% task quits
raise SystemExit(3)

# %% task interrupts_itself
raise KeyboardInterrupt

# %% task reads_the_keyboard
input("name? ")

# %% task asks_the_kernel
get_ipython().execution_count > 0

# %% task what_is_displayed
from IPython.display import display

display("shown")
