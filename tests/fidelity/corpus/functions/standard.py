"""The standard library in ordinary use."""

import array
import collections
import dataclasses
import datetime as dt
import decimal
import fractions
import io
import json
import logging
import os
import pathlib
import random
import re
import sqlite3
import statistics
import string
import sys
import tempfile
import threading
import time
import uuid
from random import choice, randint, shuffle
from random import random as rnd

from notebook import item

log = logging.getLogger(__name__)
word_pattern = re.compile(r"(?P<first>\w)\w*", re.IGNORECASE)
zone = dt.timezone(dt.timedelta(hours=2), "here")
stamp = dt.datetime(2024, 2, 29, 12, tzinfo=zone)
counts = collections.Counter("hello")
ordered = collections.OrderedDict(b=1, a=2)
defaults = collections.defaultdict(list)
recent = collections.deque([1, 2, 3], maxlen=3)
chained = collections.ChainMap({"a": 1}, {"a": 0, "b": 2})
acc = []
seeded = random.Random(7)


@item
def captured_collections():
    counts.update("lo")
    ordered.move_to_end("b")
    defaults["k"].append(1)
    recent.append(4)
    return (
        counts.most_common(2),
        list(ordered),
        dict(defaults),
        recent,
        chained["b"],
        defaults.default_factory,
    )


@item
def a_captured_list_grows():
    acc.append(len(acc))
    return acc


@item
def dates_and_times():
    return (
        stamp + dt.timedelta(days=1),
        stamp.astimezone(dt.timezone.utc),
        stamp.isoformat(),
        zone.tzname(None),
    )


@item
def time_zones():
    from zoneinfo import ZoneInfo

    berlin = dt.datetime(2024, 7, 1, tzinfo=ZoneInfo("UTC"))
    return berlin, berlin.utcoffset(), berlin.tzinfo is ZoneInfo("UTC")


@item
def decimals_and_fractions():
    with decimal.localcontext() as context:
        context.prec = 6
        return (
            decimal.Decimal(1) / 7,
            fractions.Fraction(1, 3) + 1,
            decimal.Decimal("-0"),
            decimal.Decimal("NaN"),
        )


@item
def a_decimal_context_set_for_good():
    decimal.getcontext().prec = 5
    try:
        return decimal.Decimal(2) / 3
    finally:
        decimal.getcontext().prec = 28


@item
def regular_expressions():
    return (
        word_pattern.sub(r"\g<first>.", "ab cd"),
        word_pattern.match("xy").groupdict(),
        re.split("[,;]", "a,b;c"),
        word_pattern.flags,
    )


@item
def logs_of_the_module():
    return log.name, log.isEnabledFor(logging.WARNING), log.parent.name


@item
def a_database_in_memory():
    with sqlite3.connect(":memory:") as connection:
        connection.row_factory = sqlite3.Row
        connection.create_function("twice", 1, lambda x: 2 * x)
        connection.execute("create table t (a, b)")
        connection.executemany("insert into t values (?, ?)", [(1, "x"), (2, None)])
        return [tuple(row) for row in connection.execute("select twice(a), b from t")]


@item
def files_in_a_temporary_folder():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.txt")
        path.write_text("äß\n")
        return (
            path.read_text(),
            path.suffix,
            path.stat().st_size,
            [p.name for p in pathlib.Path(folder).iterdir()],
        )


@item
def json_there_and_back():
    text = json.dumps({"a": [1, None, True], "b": "ü", "c": float("inf")}, sort_keys=True)
    return text, json.loads(text), json.dumps([stamp], default=str)


@item
def paths():
    p = pathlib.PurePosixPath("a/b.tar.gz")
    return p, p.suffixes, p.with_suffix(".x"), pathlib.Path("x") / "y"


@item
def texts():
    return (
        string.Template("$a-$b").substitute(a=1, b=2),
        "%05.1f|%-4s|%r" % (3.14159, "a", None),
        "ß".upper(),
        "\ud800",
    )


@item
def statistics_of_numbers():
    return statistics.mean([1, 2, 4]), statistics.quantiles([1, 2, 3, 4]), statistics.NormalDist(0, 1).cdf(0)


@item
def bytes_and_buffers():
    buffer = io.BytesIO(b"abc")
    buffer.seek(1)
    return (
        buffer.read(),
        bytearray(b"x"),
        array.array("d", [1.5]),
        memoryview(b"abc")[1:].tobytes(),
        b"a".hex(),
    )


@item
def identifiers():
    return uuid.UUID(int=5), uuid.uuid5(uuid.NAMESPACE_DNS, "a.b"), hash((1, 2.5))


@item(differs_each_time=True)
def random_identifiers():
    return uuid.uuid4().hex


@item(differs_each_time=True)
def random_numbers_of_the_module():
    time.sleep(0.02)
    return [random.random() for _ in range(4)]


@item(differs_each_time=True)
def random_numbers_imported_by_name():
    time.sleep(0.02)
    return randint(0, 10**12), rnd(), choice(range(10**9))


@item(differs_each_time=True)
def a_helper_with_random_numbers():
    return draw()


def draw():
    time.sleep(0.02)
    numbers = list(range(50))
    shuffle(numbers)
    return numbers


@item
def random_numbers_with_a_seed_of_the_call():
    r = random.Random(3)
    random.seed(5)
    return r.random(), random.random(), r.sample(range(10), 3)


@item
def printing():
    print("a", "b", sep="-", end="!\n")
    print("to stderr", file=sys.stderr)
    sys.stdout.write("written\n")
    return print("last")


@item
def printing_unicode_and_long_lines():
    print("ü€😀", "x" * 5000)
    print(*range(300), sep="\n")


@item
def printing_without_an_end():
    print("no line end", end="")


@item
def redirected_output():
    import contextlib

    with contextlib.redirect_stdout(io.StringIO()) as caught:
        print("caught")
    print("shown")
    return caught.getvalue()


@item
def the_attributes_of_stdout():
    return sys.stdout.writable(), sys.stdout.isatty(), sys.stdout.write("ab\n")


@item
def writing_bytes_is_an_error():
    try:
        sys.stdout.write(b"raw")
    except TypeError:
        return "refused"


@item
def threads_of_the_call():
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append(n * n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


@item
def a_pool_of_threads():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda n: n + len(word_pattern.pattern), range(4)))


@item
def a_pool_of_processes():
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2, 3])


@item
def a_pool_runs_a_function_of_the_notebook():
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(squared, [1, 2, 3])


def squared(n):
    return n * n


@item
def a_subprocess():
    import subprocess

    return subprocess.run(["echo", "hello"], capture_output=True, text=True, check=True).stdout


@item
def environment_changed_by_the_call():
    os.environ["FIDELITY_SET_BY_A_CALL"] = "1"
    try:
        return os.environ["FIDELITY_SET_BY_A_CALL"], os.getenv("FIDELITY_MISSING", "none")
    finally:
        del os.environ["FIDELITY_SET_BY_A_CALL"]


@item
def times_that_pass():
    begun = time.perf_counter()
    time.sleep(0.001)
    return time.perf_counter() > begun, time.gmtime(0).tm_year


@item
def weak_references_and_copies():
    import copy
    import weakref

    node = TreeNode()
    node.me = node
    again = copy.deepcopy(node)
    return weakref.ref(node)() is node, again.me is again, again is not node


class TreeNode:
    pass


@item
def a_cycle_comes_back():
    loop = [1]
    loop.append(loop)
    node = TreeNode()
    node.me = node
    return loop, node


@item
def aliases_stay_aliases():
    shared = [0]
    both = [shared, shared]
    both[0].append(1)
    return both, {"a": shared, "b": both}


@item
def a_heap_a_bisection_and_groups():
    import bisect
    import heapq
    import itertools

    heap = [5, 1, 4]
    heapq.heapify(heap)
    grouped = {k: list(g) for k, g in itertools.groupby(sorted("banana"))}
    return heapq.heappop(heap), bisect.bisect([1, 3], 2), grouped, list(itertools.accumulate([1, 2, 3]))


@item
def a_seeded_generator_of_the_notebook_is_a_generator():
    return type(seeded).__name__, 0 <= seeded.random() < 1


@item
def dataclass_made_in_the_call():
    Made = dataclasses.make_dataclass(
        "Made", [("a", int), ("b", list, dataclasses.field(default_factory=list))]
    )
    return dataclasses.astuple(Made(1)), repr(Made(2)).rpartition(".")[2]


@item
def configuration_files():
    import configparser

    parser = configparser.ConfigParser()
    parser.read_string("[a]\nx = 1\n")
    return parser.getint("a", "x"), dict(parser["a"])


@item
def arguments_of_a_program():
    import argparse

    parser = argparse.ArgumentParser(prog="p")
    parser.add_argument("--n", type=int, default=2)
    return parser.parse_args(["--n", "3"])


@item
def compressed_and_hashed():
    import gzip
    import hashlib
    import zlib

    return gzip.decompress(gzip.compress(b"a" * 100)), hashlib.sha256(b"a").hexdigest(), zlib.crc32(b"a")
