"""What a function captures: each call begins with what the notebook had."""

from __future__ import annotations

import pytest

SOON = 60.0


def runs(app, function, calls=4, **options):
    """Results of a map, one entry a call, and of a second one of the same task."""
    task = app.task(function, **options)
    return [*task.map(range(calls), chunk=1).get(timeout=SOON), *task.map(range(calls)).get(timeout=SOON)]


CHANGES = {
    "list": ("acc = []", "acc.append(n); return list(acc)", [[0], [1], [2], [3]]),
    "augmented list": ("acc = [7]", "global acc; acc += [n]; return list(acc)", [[7, 0], [7, 1], [7, 2], [7, 3]]),
    "dict": ("d = {'a': 1}", "d[n] = n; d.pop('a'); return sorted(d)", [[0], [1], [2], [3]]),
    "nested": ("d = {'a': [1]}", "d['a'].append(n); return d['a']", [[1, 0], [1, 1], [1, 2], [1, 3]]),
    "set": ("s = {9}", "s.add(n); s.discard(9); return sorted(s)", [[0], [1], [2], [3]]),
    "deque": ("import collections; q = collections.deque([5], 2)", "q.append(n); return list(q)",
              [[5, 0], [5, 1], [5, 2], [5, 3]]),
    "counter": ("import collections; c = collections.Counter('ab')", "c.update('a'); return c['a']", [2] * 4),
    "defaultdict": ("import collections; c = collections.defaultdict(list)", "c[n].append(n); return dict(c)",
                    [{0: [0]}, {1: [1]}, {2: [2]}, {3: [3]}]),
    "ordered dict": ("import collections; c = collections.OrderedDict(a=1, b=2)",
                     "c.move_to_end('a'); return list(c)", [["b", "a"]] * 4),
    "bytearray": ("b = bytearray(b'x')", "b.append(65 + n); return bytes(b)", [b"xA", b"xB", b"xC", b"xD"]),
    "iterator": ("it = iter([1, 2, 3])", "return next(it)", [1] * 4),
    "reversed": ("it = reversed([1, 2, 3])", "return next(it), next(it)", [(3, 2)] * 4),
    "global number": ("k = 0", "global k; k += 1; return k", [1] * 4),
    "global that is new": ("pass", "global new\ntry: new\nexcept NameError: new = n; return n", [0, 1, 2, 3]),
    "globals()": ("k = 0", "globals()['k'] += 1; return k", [1] * 4),
    "deleted global": ("k = 5", "global k; found = k; del k; return found", [5] * 4),
    "helper's global": ("k = 0\ndef more():\n global k; k += 1", "more(); return k", [1] * 4),
    "default": ("def helper(n, seen=[]):\n seen.append(n); return list(seen)", "return helper(n)",
                [[0], [1], [2], [3]]),
    "keyword default": ("def helper(n, *, seen={}):\n seen[n] = 1; return list(seen)", "return helper(n)",
                        [[0], [1], [2], [3]]),
    "function attribute": ("def helper():\n helper.n += 1; return helper.n\nhelper.n = 0", "return helper()", [1] * 4),
    "new attribute": ("def helper():\n helper.n = getattr(helper, 'n', 0) + 1; return helper.n", "return helper()",
                      [1] * 4),
    "attribute's list": ("def helper(n):\n helper.seen.append(n); return helper.seen\nhelper.seen = []",
                         "return helper(n)", [[0], [1], [2], [3]]),
    "class attribute": ("class C:\n n = 0", "C.n += 1; return C.n", [1] * 4),
    "class attribute by cls": ("class C:\n n = 0\n def __init__(self): type(self).n += 1", "C(); return C.n", [1] * 4),
    "class list": ("class C:\n seen = []", "C.seen.append(n); return C.seen", [[0], [1], [2], [3]]),
    "patched method": ("class C:\n def f(self): return 'old'", "r = C().f(); C.f = lambda self: 'new'; return r",
                       ["old"] * 4),
    "setattr": ("class C:\n n = 0", "setattr(C, 'n', C.n + 1); setattr(C, 'm', 1); return C.n", [1] * 4),
    "instance": ("class C:\n def __init__(self): self.n = 0\none = C()", "one.n += 1; one.m = 1; return one.n",
                 [1] * 4),
    "slots": ("class C:\n __slots__ = ('n', 'm')\none = C(); one.n = 0",
              "one.n += 1; r = hasattr(one, 'm'); one.m = 1; return one.n, r", [(1, False)] * 4),
    "bound method": ("class C:\n n = 0\n def more(self): self.n += 1; return self.n\nmore = C().more", "return more()",
                     [1] * 4),
    "callable": ("class C:\n seen = []\n def __call__(self, n): self.seen.append(n); return self.seen\nf = C()",
                 "return f(n)", [[0], [1], [2], [3]]),
    "partial": ("import functools\nf = functools.partial(lambda a, n: a.append(n) or a, [])", "return f(n)",
                [[0], [1], [2], [3]]),
    "closure": ("def make():\n acc = []\n def add(n): acc.append(n); return acc\n return add\nf = make()",
                "return f(n)", [[0], [1], [2], [3]]),
    "nonlocal": ("def make():\n k = 0\n def more():\n  nonlocal k; k += 1; return k\n return more\nf = make()",
                 "return f()", [1] * 4),
    "shared cell": ("def m():\n k = 0\n def more():\n  nonlocal k; k += 1\n return more, lambda: k\nmore, get = m()",
                    "more(); return get()", [1] * 4),
    "array": ("import numpy as np; a = np.zeros(3)", "a[0] += 1; return float(a.sum())", [1.0] * 4),
    "large array": ("import numpy as np; a = np.zeros(20_000)", "a[0] += 1; return float(a.sum())", [1.0] * 4),
    "mapped array": ("import numpy as np; a = np.arange(70_000.0); b = np.zeros(20_000)",
                     "global b; a[n] = -1; b += a[0]; a.sort(); return float(a[0]), float(b[0]), float(a[50])",
                     [(-1.0, -1.0, 50.0), (-1.0, 0.0, 50.0), (-1.0, 0.0, 50.0), (-1.0, 0.0, 50.0)]),
    "array of objects": ("import numpy as np; a = np.array([[], None], dtype=object)",
                         "a[0].append(n); a[1] = n; return list(a[0])", [[0], [1], [2], [3]]),
    "frame": ("import pandas as pd; f = pd.DataFrame({'a': [1, 2]})", "f.loc[0, 'a'] += 1; return int(f.a.sum())",
              [4] * 4),
    "string buffer": ("import io; s = io.StringIO()", "s.write(str(n)); return s.getvalue()", ["0", "1", "2", "3"]),
    "tuple of lists": ("t = ([], 1)", "t[0].append(n); return t[0]", [[0], [1], [2], [3]]),
    "dict of a dataclass": ("import dataclasses\n@dataclasses.dataclass\nclass D:\n d: dict\none = D({})",
                            "one.d[n] = 1; return list(one.d)",
                            [[0], [1], [2], [3]]),
    "large defaultdict": ("import collections; d = collections.defaultdict(int, {i: i for i in range(600)})",
                          "d[n + 600]; return len(d)", [601] * 4),
    "large and an alias": ("d = {i: [i] for i in range(600)}; first = d[0]",
                           "first.append(n); return d[0][-1], d[5][0]",
                           [(0, 5), (1, 5), (2, 5), (3, 5)]),
    "large and a name that changes": ("d = list(range(600))\ndef use(d): return d[0]",
                                      "global use\ndef use(d): d.append(1); return len(d)\nreturn use(d)", [601] * 4),
    "large through a helper": ("d = [[i] for i in range(600)]\ndef use(d, n): d[n].append(n); return d[n]",
                               "return use(d, n)", [[0, 0], [1, 1], [2, 2], [3, 3]]),
    "many": ("d = {i: [] for i in range(3000)}", "d[7].append(n); d[n + 5000] = 1; return d[7], len(d)",
             [([0], 3001), ([1], 3001), ([2], 3001), ([3], 3001)]),
    "class of an instance": ("class C: pass\nclass D: pass\none = C()",
                             "r = type(one) is C; one.__class__ = D; return r", [True] * 4),
    "dict of an instance": ("class C:\n def __init__(self): self.n = 0\none = C()",
                            "one.n += 1; r = dict(one.__dict__); one.__dict__ = {'n': 5}; return r", [{"n": 1}] * 4),
    "large, or another one": ("big = list(range(1000))",
                              "(big or []).append(n); x = big or [5]; x.append(n); return len(big)", [1002] * 4),
    "large, chosen": ("big = list(range(1000))", "m = n,; max(m, big, key=len).append(n); return len(big)", [1001] * 4),
    "large, by keyword": ("big = list(range(1000))", "m = (); max(m, default=big).append(n); return len(big)",
                          [1001] * 4),
    "large, with a default": ("import collections; d = collections.defaultdict(int, {i: i for i in range(1000)})",
                              "d[n - 10]; return len(d)", [1001] * 4),
    "layout of an array": ("import numpy as np; a = np.zeros(4)",
                           "r = a.shape, a.dtype.str; a.shape = 2, 2; a.dtype = 'i8'; return r", [((4,), "<f8")] * 4),
    "layout of a large array": ("import numpy as np; b = np.zeros(100_000)",
                                "r = b.shape, b.flags.writeable; b.shape = 2, -1; b.flags.writeable = False; return r",
                                [((100_000,), True)] * 4),
    "attributes that are keys": ("class C(dict):\n def __getattr__(self, k): return self[k]\none = C(n=1)",
                                 "one['n'] += 1; return one.n", [2] * 4),
    "any attribute raises": ("class C:\n n = 0\n def __getattr__(self, k): raise RuntimeError(k)\none = C()",
                             "one.n += 1; return one.n", [1] * 4),
}  # fmt: skip


def define(notebook, before, body, head="def task(n):"):
    notebook.run(f"{before}\npass")
    notebook.run("\n".join([head, *(f"    {line}" for line in body.split("\n"))]))
    return notebook["task"]


@pytest.mark.parametrize("name", CHANGES)
def test_each_call_begins_with_what_the_notebook_had(shared_app, notebook, name):
    before, body, expected = CHANGES[name]
    function = define(notebook, before, body)
    assert runs(shared_app, function) == [*expected, *expected]
    # As it is here: nothing came back into the notebook, and an eager run leaves it alone as well.
    assert shared_app.task(function).apply((3,)).get() == expected[3]
    assert shared_app.task(function).apply((3,)).get() == expected[3]
    assert function(0) == expected[0]


def test_retries_begin_anew(shared_app, notebook):
    function = define(
        notebook,
        "acc = []",
        "acc.append(1)\nfrom nbtasks import current_call\n"
        "if current_call().attempt < 3: raise ValueError\nreturn len(acc)",
    )
    options = {"autoretry_for": (ValueError,), "max_retries": 5, "default_retry_delay": 0.01}
    assert shared_app.task(function, **options).delay(1).get(timeout=SOON) == 1
    assert shared_app.task(function, **options).apply((1,)).get() == 1


def test_a_call_that_fails_leaves_nothing(shared_app, notebook):
    function = define(notebook, "acc = []", "acc.append(n)\nif n % 2: raise ValueError(n)\nreturn list(acc)")
    batch = shared_app.task(function).map(range(6), on_error="keep")
    found = batch.get(timeout=SOON)
    assert [found[n] for n in (0, 2, 4)] == [[0], [2], [4]]


def test_a_result_is_what_the_call_left(shared_app, notebook):
    """A captured object that is returned is packed before it is put back."""
    function = define(notebook, "acc = {'n': []}", "acc['n'].append(n)\nreturn acc")
    assert shared_app.task(function).map(range(3)).get(timeout=SOON) == [{"n": [n]} for n in range(3)]


def test_what_is_large_and_only_read_is_shared(shared_app, notebook):
    """It is one object for all calls of a child, whatever else they change."""
    function = define(
        notebook,
        "words = {str(n): n for n in range(20_000)}\nacc = []",
        "acc.append(words[str(n)])\nreturn acc, id(words)",
    )
    reading = define(notebook, "", "return words[str(n)], len(words), '7' in words", head="def task(n):")
    assert [found[0] for found in shared_app.task(reading).map(range(6)).get(timeout=SOON)] == list(range(6))
    # Its id is asked for: it is seen to be read nevertheless.
    found = shared_app.task(function).map(range(20)).get(timeout=SOON)
    assert [acc for acc, _ in found] == [[n] for n in range(20)]
    assert len({place for _, place in found}) <= 2


GOES_ON = {
    "a thread": "threading.Thread(target=later, daemon=True).start()",
    "a timer": "threading.Timer(0.01, later).start()",
    "a bare thread": "_thread.start_new_thread(later, ())",
    "a pool that is not waited for": "ThreadPoolExecutor(1).submit(later)",
    "a thread of a thread": "threading.Thread(target=lambda: threading.Thread(target=later).start()).start()",
    "a pool of threads": "ThreadPool(1).apply_async(later)",
}


@pytest.mark.parametrize("how", GOES_ON)
def test_a_thread_that_goes_on_changes_no_other_call(shared_app, notebook, how):
    body = f"found = list(acc)\n{GOES_ON[how]}\nwhile not acc:\n    time.sleep(0.001)\nreturn found"
    before = (
        "import _thread, threading, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from multiprocessing.pool import ThreadPool\n"
        "acc = []\ndef later():\n    for _ in range(100):\n        acc.append(1)\n        time.sleep(0.005)"
    )
    function = define(notebook, before, body)
    assert shared_app.task(function).map(range(8), chunk=2).get(timeout=SOON) == [[]] * 8


STAYS_IN_THE_LOOP = {
    "a coroutine": "asyncio.create_task(again())",
    "a callback": "asyncio.get_running_loop().call_later(0.02, acc.append, 1)",
    "a callback at once": "asyncio.get_running_loop().call_soon(acc.append, 1)",
    "a thread": "asyncio.get_running_loop().run_in_executor(None, later)",
    "a coroutine with a time limit": (
        "try: await asyncio.wait_for(asyncio.to_thread(later), 0.01)\nexcept asyncio.TimeoutError: pass"
    ),
}


@pytest.mark.parametrize("how", STAYS_IN_THE_LOOP)
def test_what_a_coroutine_leaves_changes_no_other_call(shared_app, notebook, how):
    before = (
        "import asyncio, time\nacc = []\n"
        "async def again():\n    for _ in range(100):\n        acc.append(1)\n        await asyncio.sleep(0.005)\n"
        "def later():\n    for _ in range(100):\n        acc.append(1)\n        time.sleep(0.005)"
    )
    function = define(
        notebook, before, f"found = list(acc)\n{STAYS_IN_THE_LOOP[how]}\nreturn found", "async def task(n):"
    )
    task = shared_app.task(function)
    assert [task.delay(n).get(timeout=SOON) for n in range(12)] == [[]] * 12


def test_calls_side_by_side_do_not_meet(shared_app, notebook):
    """Coroutines in one loop have copies of their own."""
    function = define(
        notebook,
        "import asyncio\nacc = []\nclass C:\n    n = 0",
        "for _ in range(5):\n    acc.append(n)\n    C.n += 1\n    await asyncio.sleep(0.01)\nreturn acc, C.n",
        head="async def task(n):",
    )
    expected = [([n] * 5, 5) for n in range(30)]
    assert shared_app.task(function).map(range(30)).get(timeout=SOON) == expected
    assert shared_app.task(function).map(range(30)).get(timeout=SOON) == expected


def test_threads_side_by_side_do_not_meet(home, notebook):
    from nbtasks import App

    function = define(
        notebook,
        "from time import sleep\nacc = []\nk = 0\nclass C:\n    n = 0",
        "global k\nfor x in 1, 2, 3, 4, 5:\n  acc.append(n)\n  k += 1\n  C.n += 1\n  sleep(.01)\nreturn acc, k, C.n",
    )
    with App("test") as app:
        app.start_workers(1, pool="threads", threads=4)
        assert app.task(function).map(range(20)).get(timeout=SOON) == [([n] * 5, 5, 5) for n in range(20)]
        assert app.task(function).map(range(20)).get(timeout=SOON) == [([n] * 5, 5, 5) for n in range(20)]


@pytest.mark.parametrize("hidden", ["", "it = iter('abc')"])
def test_caches_live_as_long_as_the_function_in_a_child(shared_app, notebook, hidden):
    """Also of a function that each call opens anew, for it has something whose state nobody sees."""
    function = define(
        notebook,
        f"import functools, uuid\nit = iter('')\n{hidden}\n"
        "@functools.lru_cache\ndef once():\n    return uuid.uuid4().hex",
        "next(it, None)\nreturn once()" if hidden else "return once()",
    )
    assert len(set(shared_app.task(function).map(range(12)).get(timeout=SOON))) <= 2


def test_what_modules_keep_stays(shared_app, notebook):
    """What lives as long as the process in plain Python does so in a child."""
    function = define(
        notebook,
        "import collections.abc as abc_module",
        "abc_module.counter = getattr(abc_module, 'counter', 0) + 1\nreturn abc_module.counter",
    )
    assert max(shared_app.task(function).map(range(8)).get(timeout=SOON)) > 1


def test_what_changes_here_is_sent_again(shared_app, notebook):
    task = shared_app.task(define(notebook, "acc = [1]", "acc.append(n)\nreturn list(acc)"))
    assert task.delay(2).get(timeout=SOON) == [1, 2]
    notebook["acc"].append(5)
    assert task.delay(2).get(timeout=SOON) == [1, 5, 2]
    assert notebook["acc"] == [1, 5]
