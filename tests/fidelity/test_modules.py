"""Local modules: they travel as their source and run once for each version, as an import does, whatever is in them."""

from __future__ import annotations

import importlib
import sys

import pytest

SOON = 60.0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """``folder("pack.mod", source)`` writes a module where the notebook, and nobody else, finds it."""
    place = tmp_path / "beside"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    written = set()

    def write(name, source):
        file = place / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        written.add(name.partition(".")[0])
        importlib.invalidate_caches()
        return file

    write.place = place
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in written]:
        del sys.modules[name]


@pytest.fixture
def there(shared_app, notebook):
    """``there("expression")`` is a function's value on a worker, made of the notebook's names."""

    def run(source, *args):
        notebook.run(source if "def f" in source else f"def f():\n    return {source}")
        return shared_app.task(notebook["f"]).delay(*args).get(timeout=SOON)

    return run


#: What people write at the top of their modules; ``f(4)`` is 8 in each.
CONTENTS = {
    "lock": "import threading\n_lock = threading.Lock()\ndef f(n):\n    with _lock: return 2 * n",
    "rlock": "import threading\n_lock = threading.RLock()\ndef f(n): return 2 * n",
    "local": "import threading\nlocal = threading.local()\nlocal.x = 2\ndef f(n): return local.x * n",
    "condition": "import threading\nready = threading.Condition()\ndef f(n): return 2 * n",
    "event": "import threading\nready = threading.Event()\ndef f(n): return 2 * n",
    "logger": "import logging\nlog = logging.getLogger(__name__)\nlog.addHandler(logging.NullHandler())\n"
    "def f(n):\n    log.debug('x'); return 2 * n",
    "handler": "import logging, sys\nhandler = logging.StreamHandler(sys.stderr)\ndef f(n): return 2 * n",
    "contextvar": "from contextvars import ContextVar\nrate = ContextVar('rate', default=2)\n"
    "def f(n): return rate.get() * n",
    "connection": "import sqlite3\ndb = sqlite3.connect(':memory:', check_same_thread=False)\n"
    "def f(n): return db.execute('select 2 * ?', (n,)).fetchone()[0]",
    "socket": "import socket\nsock = socket.socket()\ndef f(n): return 2 * n",
    "file": "import os\nnull = open(os.devnull, 'w')\ndef f(n):\n    null.write('x'); return 2 * n",
    "generator": "numbers = (n for n in range(100))\ndef f(n): return 2 * n",
    "pool": "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\n"
    "def f(n): return pool.submit(lambda: 2 * n).result()",
    "queue": "import queue\njobs = queue.Queue()\ndef f(n):\n    jobs.put(n); return 2 * jobs.get()",
    "cache": "from functools import lru_cache\n@lru_cache\ndef f(n): return 2 * n",
    "singledispatch": "from functools import singledispatch\n@singledispatch\ndef f(n): return 0\n"
    "@f.register\ndef _(n: int): return 2 * n",
    "partial": "from functools import partial\nimport operator\nf = partial(operator.mul, 2)",
    "lambda": "f = lambda n: 2 * n",
    "weak": "import weakref\nclass A: pass\nkept = weakref.WeakValueDictionary(); a = A(); kept[1] = a\n"
    "def f(n): return 2 * n if kept[1] is a else 0",
    "dataclass": "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n"
    "    x: int\n    y: 'int' = 2\ndef f(n): return P(n).x * P(n).y",
    "enum": "import enum\nclass C(enum.Enum):\n    TWO = 2\ndef f(n): return C.TWO.value * n",
    "abstract": "import abc\nclass B(abc.ABC):\n    @abc.abstractmethod\n    def go(self): ...\nclass D(B):\n"
    "    def go(self): return 2\ndef f(n): return D().go() * n",
    "register": "known = {}\nclass Base:\n    def __init_subclass__(cls):\n        assert cls.__name__ not in known\n"
    "        known[cls.__name__] = cls\nclass Two(Base): value = 2\ndef f(n): return known['Two'].value * n",
    "metaclass": "class M(type):\n    made = []\n    def __new__(m, *a):\n        c = super().__new__(m, *a)\n"
    "        M.made.append(c); return c\nclass A(metaclass=M): pass\ndef f(n): return n * 2 * len(M.made)",
    "counter": "calls = 0\ndef f(n):\n    global calls\n    calls += 1\n    return 2 * n",
    "wrapped": "import functools, threading\n_lock = threading.Lock()\ndef locked(g):\n    @functools.wraps(g)\n"
    "    def inner(*a):\n        with _lock: return g(*a)\n    return inner\n@locked\ndef f(n): return 2 * n",
    "itself": "import sys\nme = sys.modules[__name__]\ndef f(n): return me.two() * n\ndef two(): return 2",
    "file_name": "from pathlib import Path\nHERE = Path(__file__).parent\n"
    "def f(n): return int((HERE / 'two.txt').read_text()) * n",
    "resources": "from importlib import resources\ndef f(n):\n"
    "    return int(resources.files(__package__ or __name__).joinpath('x').name == 'x') * 2 * n\n"
    "f = lambda n: 2 * n",
    "attribute": "def __getattr__(name):\n    if name == 'late': return 2\n    raise AttributeError(name)\n"
    "import sys\ndef f(n): return sys.modules[__name__].late * n",
    "exec": "exec('def f(n): return 2 * n')",
    "typing": "from typing import Generic, NamedTuple, TypeVar, TypedDict\nT = TypeVar('T')\n"
    "class G(Generic[T]): pass\nclass N(NamedTuple):\n    x: int = 2\nclass D(TypedDict):\n    x: int\n"
    "def f(n): return N().x * n",
    "main": "def f(n): return 2 * n\nif __name__ == '__main__':\n    raise SystemExit('not here')",
    "exception": "class Bad(Exception):\n    lock = __import__('threading').Lock()\ndef f(n):\n    try: raise Bad(n)\n"
    "    except Bad as e: return 2 * e.args[0]",
    "thread": "import threading\nseen = []\nthread = threading.Thread(target=seen.append, args=(2,)); thread.start()\n"
    "def f(n):\n    thread.join(); return seen[0] * n",
    "registered": "import copyreg, atexit\natexit.register(print, end='')\ndef f(n): return 2 * n",
}


def test_ordinary_contents_of_a_module(folder, there, notebook):
    (folder.place / "two.txt").write_text("2")
    for name, source in CONTENTS.items():
        folder(f"has_{name}", source)
    names = list(CONTENTS)
    notebook.run("\n".join(f"import has_{name}" for name in names))
    calls = ", ".join(f"{name!r}: (has_{name}.f(4), has_{name}.__name__)" for name in names)
    assert there(f"{{{calls}}}") == {name: (8, f"has_{name}") for name in names}
    # Taken out of the module; and one by one, so that none rests on another.
    notebook.run("\n".join(f"from has_{name} import f as f_{name}" for name in names))
    assert there("[" + ", ".join(f"f_{name}(4)" for name in names) + "]") == [8] * len(names)


def test_an_edit_and_back_and_those_who_import_what_was_edited(folder, there, shared_app, notebook):
    folder("cfg", "VALUE = 1")
    folder("rates", "def factor(): return 2")
    folder("shop", "from rates import factor\ndef total(n): return n * factor()")
    folder("pk.__init__", "from . import sub")
    folder("pk.sub", "def value(): return 'old'")
    notebook.run("def helper():\n    import rates\n    return rates.factor()")
    one = """
    def f():
        import cfg, shop, pk, pk.sub
        return cfg.VALUE, shop.total(10), pk.sub.value(), helper()
    """
    notebook.run(one)
    task = shared_app.task(notebook["f"])
    assert task.delay().get(timeout=SOON) == (1, 20, "old", 2)
    folder("cfg", "VALUE = 5")
    assert task.delay().get(timeout=SOON) == (5, 20, "old", 2)
    folder("rates", "def factor(): return 3")
    folder("pk.sub", "def value(): return 'new'")
    assert task.delay().get(timeout=SOON) == (5, 30, "new", 3)
    folder("cfg", "VALUE = 1")
    folder("rates", "def factor(): return 2")
    assert task.delay().get(timeout=SOON) == (1, 20, "new", 2)


def test_a_version_runs_once(folder, shared_app, notebook, ledger):
    once = f"with open({ledger.path!r}, 'a') as file: print(__name__, file=file)\n"
    folder("base", once + "x = 1")
    folder("user", once + "import base\ndef f(n):\n    import os\n    return os.getpid(), base.x + n")
    notebook.run(
        "import user\ndef f(n): return user.f(n)\ndef g(n):\n    from user import f\n    return f(n)"
    )
    ledger._file.write_text("")

    def both():
        found = [shared_app.task(notebook[name]).map(range(8)).get(timeout=SOON) for name in "fg"]
        return {pid for some in found for pid, _ in some}

    children = both() | both()
    lines = sorted(ledger.lines())
    assert lines.count("base") == lines.count("user") == len(children)
    folder("user", once + "import base\ndef f(n):\n    import os\n    return os.getpid(), base.x - n")
    again = both()
    assert sorted(ledger.lines()).count("base") == len(children | again)
    assert sorted(ledger.lines()).count("user") == len(children) + len(again)


def test_a_map_keeps_its_version_while_a_newer_one_is_submitted(folder, shared_app, notebook, gate):
    folder("step", "def one(n): return ('old', n)")
    notebook.run(
        """
        import os, time
        def f(n, path=None):
            while path and not os.path.exists(path):
                time.sleep(0.01)
            import step
            return step.one(n)
        """
    )
    task = shared_app.task(notebook["f"])
    running = task.starmap([(n, gate.path) for n in range(6)], chunk=1)
    folder("step", "def one(n): return ('new', n)")
    newer = task.map(range(6), chunk=1)
    gate.open()
    assert running.get(timeout=SOON) == [("old", n) for n in range(6)]
    assert newer.get(timeout=SOON) == [("new", n) for n in range(6)]


def test_imports_that_are_not_in_the_tasks_own_code(folder, shared_app, notebook):
    for name in ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"):
        folder(name, f"def f(): return {name!r}")
    folder(
        "deco",
        "import functools\ndef plain(g):\n    @functools.wraps(g)\n    def inner(*a):\n        import m4\n"
        "        return m4.f(), g(*a)\n    return inner",
    )
    folder("pp.__init__", "")
    folder(
        "pp.a",
        "def go():\n    from .b import g\n    return g()\nasync def later():\n    from . import c\n    return c.x",
    )
    folder("pp.b", "def g(): return 'pp.b'")
    folder("pp.c", "x = 'pp.c'")
    folder("spaced.tool", "def f(): return 'spaced'")
    notebook.run(
        """
        import functools, importlib
        from deco import plain
        import pp.a
        def helper():
            import m1
            return m1.f()
        class K:
            def method(self):
                import m2
                return m2.f()
            @staticmethod
            def static():
                from m3 import f
                return f()
        @plain
        def decorated():
            def inner():
                import m5
                return m5.f()
            return inner()
        part = functools.partial(lambda: __import__("m6").f())
        def f():
            import asyncio
            from spaced.tool import f
            return [helper(), K().method(), K.static(), decorated(), part(), importlib.import_module("m7").f(), f(),
                    pp.a.go(), asyncio.run(pp.a.later())]
        """
    )
    right = ["m1", "m2", "m3", ("m4", "m5"), "m6", "m7", "spaced", "pp.b", "pp.c"]
    assert shared_app.task(notebook["f"]).delay().get(timeout=SOON) == right


def test_modules_that_know_each_other(folder, there, notebook):
    folder("mod_a", "import mod_b\ndef a(): return 'a' + mod_b.b()\ndef end(): return '.'")
    folder("mod_b", "import mod_a\ndef b(): return 'b' + mod_a.end()")
    folder("know.__init__", "from .core import go")
    folder("know.core", "import know\ndef go(): return know.__name__")
    notebook.run("import mod_a, know")
    assert there("mod_a.a(), know.go(), know.core.go()") == ("ab.", "know", "know")
