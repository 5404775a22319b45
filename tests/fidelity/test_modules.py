"""Local modules: they travel as their source and run once for each version, as an import does, whatever is in them."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import types
import zipfile

import pytest

import nbtasks
from nbtasks.jupyter.magics.dryrun import dry_run

SOON = 60.0


@pytest.fixture
def folder(tmp_path, monkeypatch, written_modules):
    """``folder("pack.mod", source)`` writes a module where the notebook, and nobody else, finds it."""
    place = tmp_path / "beside"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))

    def write(name, source):
        file = place / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        written_modules.add(name.partition(".")[0])
        importlib.invalidate_caches()
        return file

    write.place = place
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return write


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


def test_classes_of_modules_that_only_arguments_bring(folder, shared_app, notebook):
    folder(
        "shapes",
        "import math\nclass Circle:\n    def __init__(self, r): self.r = r\n"
        "    def area(self):\n        import areas\n        return areas.of(self.r)\n"
        "    def __eq__(self, o): return type(o) is Circle and o.r == self.r\n    __hash__ = None\n"
        "def process(x):\n    from shapes import Circle\n    return isinstance(x, Circle)",
    )
    folder("areas", "def of(r): return 3 * r * r")
    folder(
        "colors",
        "import enum\nclass Color(enum.Enum):\n    RED = 1\n    def is_red(self):\n        return self is Color.RED",
    )
    folder("late", "class Late:\n    word = 'late'")
    notebook.run(
        """
        def area(c): return c.area()
        def same(c): return c
        def word(x): return getattr(x, "word", x)
        def many(x):
            import shapes
            return shapes.process(x), isinstance(x, shapes.Circle)
        """
    )
    shapes, colors, late = map(importlib.import_module, ("shapes", "colors", "late"))
    task = {name: shared_app.task(notebook[name]) for name in ("area", "same", "word", "many")}
    assert task["area"].map([shapes.Circle(1), shapes.Circle(2)]).get(timeout=SOON) == [3, 12]
    assert task["area"].delay(shapes.Circle(3)).get(timeout=SOON) == 27
    # Shared by all calls of a map, in a keyword, in a container.
    back = task["same"].delay({"c": [shapes.Circle(4)]}).get(timeout=SOON)
    assert back == {"c": [shapes.Circle(4)]}
    assert type(back["c"][0]) is shapes.Circle
    assert task["same"].delay(colors.Color.RED).get(timeout=SOON) is colors.Color.RED
    assert task["same"].apply_async(kwargs={"c": shapes.Circle}).get(timeout=SOON) is shapes.Circle
    assert task["many"].delay(shapes.Circle(2)).get(timeout=SOON) == (True, True)
    items = [1, "a", None, *range(40), late.Late()]
    assert task["word"].map(items, chunk=1).get(timeout=SOON) == [*items[:-1], "late"]
    assert task["word"].map(iter(items), max_parallel=4).get(timeout=SOON) == [*items[:-1], "late"]
    folder("areas", "def of(r): return 4 * r * r")
    assert task["area"].map([shapes.Circle(1), shapes.Circle(2)]).get(timeout=SOON) == [4, 16]


def test_a_folder_that_is_added_later_and_a_file_that_comes_later(
    folder, shared_app, notebook, tmp_path, monkeypatch
):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "added.py").write_text("x = 'added'")
    notebook.run(
        "def f():\n    import added\n    return added.x\ndef g():\n    import comes\n    return comes.x"
    )
    f, g = shared_app.task(notebook["f"]), shared_app.task(notebook["g"])
    for task in (f, g):
        with pytest.raises(ModuleNotFoundError):
            task.delay().get(timeout=SOON)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "lib")])
    folder("comes", "x = 'come'")
    assert (f.delay().get(timeout=SOON), g.delay().get(timeout=SOON)) == ("added", "come")


def test_two_projects_share_a_worker(shared_app, notebook, tmp_path, monkeypatch):
    notebook.run("def f():\n    import helpers\n    return helpers.name(), helpers.__file__")
    files = []
    for project in ("a", "b"):
        (tmp_path / project).mkdir()
        file = tmp_path / project / "helpers.py"
        file.write_text(f"import time\nseen = []\ndef name():\n    seen.append(1); return {project!r}")
        files.append(str(file))
    calls = []
    for number in range(12):
        monkeypatch.setattr(sys, "path", [str(tmp_path / "ab"[number % 2]), *sys.path])
        calls.append(shared_app.task(notebook["f"]).delay())
        monkeypatch.undo()
        monkeypatch.setitem(sys.modules, "__main__", notebook.module)
    found = [call.get(timeout=SOON) for call in calls]
    assert found == [("ab"[number % 2], files[number % 2]) for number in range(12)]


def test_modules_of_notebooks_and_archives_and_of_nothing(
    folder, shared_app, notebook, tmp_path, monkeypatch
):
    cells = ["import json\n%matplotlib inline\n", "RATE = 2\n", "def f(n):\n    return RATE * n"]
    book = tmp_path / "book.ipynb"
    book.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))
    module = types.ModuleType("book")
    module.__file__ = str(book)
    exec("\n".join(cells).replace("%", "# "), vars(module))
    monkeypatch.setitem(sys.modules, "book", module)
    archive = tmp_path / "lib.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zmod.py", "import zlow\ndef f(n): return zlow.TWO * n")
        file.writestr("zlow.py", "TWO = 2")
    monkeypatch.setattr(sys, "path", [*sys.path, str(archive)])
    made = types.ModuleType("made")
    exec("def f(n): return 2 * n\nclass C: two = 2", vars(made))
    monkeypatch.setitem(sys.modules, "made", made)
    notebook.run(
        "import book, made\nfrom made import C\n"
        "def f(n):\n    import zmod\n    return book.f(n), zmod.f(n), made.f(n), C.two * n"
    )
    assert shared_app.task(notebook["f"]).delay(4).get(timeout=SOON) == (8, 8, 8, 8)


def test_what_stands_beside_a_module(folder, there, notebook):
    file = folder(
        "data",
        "from pathlib import Path\nfrom importlib import resources\nimport inspect\n"
        "def f():\n    text = (Path(__file__).parent / 'x.txt').read_text()\n"
        "    return text, __file__, __spec__.origin, inspect.getsource(f).splitlines()[0]",
    )
    (folder.place / "x.txt").write_text("beside")
    folder(
        "held.__init__",
        "from importlib import resources\ndef f():\n"
        "    return (resources.files('held') / 'y.txt').read_text(), __path__",
    )
    (folder.place / "held" / "y.txt").write_text("in it")
    folder("plugins.one", "x = 'one'")
    notebook.run("import data, held")
    assert there("data.f()") == ("beside", str(file), str(file), "def f():")
    assert there("held.f()") == ("in it", [str(folder.place / "held")])
    # By a name that nobody can foresee; and it is as the file is now.
    source = (
        "def f():\n    import importlib\n    return importlib.import_module('.'.join(['plugins', 'one'])).x"
    )
    assert there(source) == "one"
    folder("plugins.one", "x = 'two, changed'")
    assert there(source) == "two, changed"


def test_a_mark_stays_the_one_object(folder, shared_app, notebook):
    """Values that say something by being that object: in modules beside the notebook and in installed ones."""
    folder(
        "marks",
        "class Missing:\n    def __repr__(self): return 'MISSING'\n    def __bool__(self): return False\n"
        "MISSING = Missing()\ndef given(x=MISSING): return x is not MISSING",
    )
    notebook.run(
        """
        import dataclasses
        from dataclasses import KW_ONLY, MISSING as NOTHING, dataclass, fields
        from marks import MISSING, Missing, given
        other = Missing()

        def f(x):
            @dataclass
            class Q:
                a: int
                _: KW_ONLY
                b: int = 2
            none = [field.name for field in fields(Q) if field.default is NOTHING]
            return none, given(MISSING), given(x), given(other), dataclasses.MISSING is NOTHING

        def same(x):
            return x
        """
    )
    task = shared_app.task(notebook["f"])
    assert task.delay(notebook["MISSING"]).get(timeout=SOON) == notebook["f"](notebook["MISSING"])
    assert (
        shared_app.task(notebook["same"]).delay(notebook["MISSING"]).get(timeout=SOON) is notebook["MISSING"]
    )


@pytest.mark.parametrize("name", ["redis", "socket"])
def test_a_file_beside_a_script_that_hides_a_module_is_named(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("x = 1")
    script = tmp_path / "script.py"
    script.write_text("import nbtasks\nnbtasks.App")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {tmp_path / name}.py hides the module '{name}'")
    assert last.endswith("Rename the file")


def test_what_the_app_includes_is_the_workers_own(home, notebook, tmp_path, monkeypatch, capsys):
    (tmp_path / "own.py").write_text(
        "import os\nfirst = os.getpid()\ndef f(): return os.getpid() == first, 'old'"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with nbtasks.App("own", include=["own"]) as app:
        app.start_workers(1)
        notebook.run("import own\ndef f(): return own.f()\ndef g():\n    from own import f\n    return f()")
        (tmp_path / "own.py").write_text("raise RuntimeError('nobody runs this')")
        # It ran in the process that children are forked from.
        assert app.task(notebook["f"]).delay().get(timeout=SOON) == (False, "old")
        assert app.task(notebook["g"]).delay().get(timeout=SOON) == (False, "old")
        dry_run(None, app.task(notebook["f"]), (), {}, fan_out=False)
        assert "Nothing was submitted." in (printed := capsys.readouterr().out)
        assert "travel along" not in printed
    monkeypatch.delitem(sys.modules, "own")


def test_a_module_that_cannot_be_run(folder, shared_app, notebook):
    folder(
        "broken",
        f"x = 1\ndef f(): return x\nif __import__('os').getpid() != {os.getpid()}:\n    x = 1 / 0",
    )
    notebook.run("import broken\ndef f(): return broken.f()\ndef g():\n    import broken")
    with pytest.raises(ImportError, match=r"local module 'broken'.*line 4.*ZeroDivisionError") as info:
        shared_app.task(notebook["f"]).delay().get(timeout=SOON)
    assert type(info.value.__cause__) is ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        shared_app.task(notebook["g"]).delay().get(timeout=SOON)
    folder("broken", "x = 1\ndef f(: return x")
    with pytest.raises(
        ImportError, match=r"local module 'broken'.*SyntaxError: .*line 2.*: mend it, and submit again"
    ):
        shared_app.task(notebook["f"]).delay().get(timeout=SOON)


def test_calls_side_by_side_have_each_its_version(folder, shared_app, notebook, tmp_path):
    source = """
        import asyncio
        async def f(name, others):
            import step
            open(others + name, "w").close()
            import os
            while len([n for n in os.listdir(os.path.dirname(others)) if n.startswith("go")]) < 4:
                await asyncio.sleep(0.005)
            import step as again
            from later import x
            return step.V, again.V, again.here(), x(), step.P(1)
        """
    notebook.run(source)
    calls, right = [], []
    for version in ("v1", "v2", "v3", "v4"):
        folder(
            "step",
            f"V = {version!r}\ndef here():\n    import later\n    return later.X\nclass P:\n"
            "    def __init__(self, x): self.x = x",
        )
        folder("later", f"X = {version!r}\ndef x(): return X")
        calls.append(shared_app.task(notebook["f"]).delay(version, str(tmp_path / "go")))
        right.append((version,) * 4)
    step = importlib.import_module("step")
    found = [call.get(timeout=SOON) for call in calls]
    assert [one[:4] for one in found] == right
    assert {type(one[4]) for one in found} == {step.P}


def test_modules_that_bear_standard_names(folder, shared_app, notebook, monkeypatch):
    """They are found by the user's own code, as here, and by nobody else."""
    for name in ("secrets", "graphlib", "redis"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    folder("secrets", "TOKEN = 'mine'\nclass Kept:\n    def __init__(self, x): self.x = x")
    folder("graphlib", "import secrets\ndef f(): return 'mine, ' + secrets.TOKEN")
    folder("redis", "def f(): return 'my redis'")
    folder("uses", "def f():\n    import graphlib, redis\n    return graphlib.f(), redis.f()")
    notebook.run(
        """
        import secrets, uses
        from secrets import Kept
        def f(kept):
            import importlib, redis, secrets as again
            return secrets.TOKEN, again.TOKEN, uses.f(), redis.f(), isinstance(kept, again.Kept), Kept(kept.x + 1)
        def g():
            import uuid, tempfile, random
            return len(str(uuid.uuid4())), random.random() < 1, tempfile.gettempdir() != ""
        """
    )
    kept = notebook["Kept"](1)
    for _ in range(2):
        *found, back = shared_app.task(notebook["f"]).delay(kept).get(timeout=SOON)
        assert found == ["mine", "mine", ("mine, mine", "my redis"), "my redis", True]
        assert (type(back), back.x) == (notebook["Kept"], 2)
        assert shared_app.task(notebook["g"]).delay().get(timeout=SOON) == (36, True, True)


def test_a_register_that_is_kept_in_another_module(folder, shared_app, notebook):
    """Only what was edited would be run again, and the register knows it already: so all of it is run anew."""
    folder(
        "register",
        "known = {}\ndef add(f):\n    if f.__name__ in known: raise KeyError('twice')\n"
        "    known[f.__name__] = f\n    return f",
    )
    folder("plugin", "import register\n@register.add\ndef go(): return 'old'")
    notebook.run("import plugin, register\ndef f(): return plugin.go(), register.known['go']()")
    task = shared_app.task(notebook["f"])
    assert task.map(range(0)).get(timeout=SOON) == []
    for version in ("old", "new", "old", "newest"):
        folder("plugin", f"import register\n@register.add\ndef go(): return {version!r}")
        assert [task.delay().get(timeout=SOON) for _ in range(4)] == [(version, version)] * 4


def test_a_module_that_waits_for_a_task_of_its_own(folder, shared_app, notebook, monkeypatch):
    folder(
        "waits",
        "import nbtasks\n@nbtasks.task\ndef f(x): return x\n"
        "if not nbtasks.__dict__.get('_told'): f.delay(1).get(timeout=50)",
    )
    monkeypatch.setattr(nbtasks, "_told", True, raising=False)
    module = importlib.import_module("waits")
    with pytest.raises(ImportError, match=r"WouldDeadlock.*waits for a result while a worker imports it"):
        shared_app.task(module.f).delay(1).get(timeout=SOON)


def test_modules_that_are_something_else(folder, there, notebook):
    folder(
        "proxy",
        "import sys, types\nclass M(types.ModuleType):\n    def hi(self): return 'hi'\n"
        "m = M(__name__); m.__file__ = __file__; sys.modules[__name__] = m",
    )
    folder(
        "lazy.__init__",
        "import importlib\ndef __getattr__(name):\n    return importlib.import_module('.' + name, __name__)",
    )
    folder("lazy.deep", "def f(): return 'deep'")
    folder(
        "plug.__init__",
        "import importlib, pkgutil\n"
        "found = [importlib.import_module(f'{__name__}.{m.name}').x for m in pkgutil.iter_modules(__path__)]",
    )
    folder("plug.a", "x = 'a'")
    notebook.run("import lazy, plug, proxy")
    assert there("proxy.hi(), lazy.deep.f(), plug.found") == ("hi", "deep", ["a"])


DATABASE = """
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker
engine = create_engine("sqlite://")
Session = sessionmaker(engine)
class Base(DeclarativeBase): pass
"""
TABLES = """
from database import Base, engine
from sqlalchemy.orm import Mapped, mapped_column
class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    def hello(self): return {word!r} + self.name
Base.metadata.create_all(engine)
"""


@pytest.mark.long
def test_sqlalchemy_models(folder, shared_app, notebook):
    pytest.importorskip("sqlalchemy")
    folder("database", DATABASE)
    folder("tables", TABLES.format(word="old "))
    notebook.run(
        """
        import database
        from tables import User
        def f(name):
            with database.Session() as session:
                session.add(User(name=name))
                return session.query(User).filter_by(name=name).first().hello()
        def same(user): return user
        """
    )
    user = shared_app.task(notebook["same"]).delay(notebook["User"](name="me")).get(timeout=SOON)
    assert (type(user), user.name) == (notebook["User"], "me")
    for number, word in enumerate(("old ", "new ", "old ")):
        folder("tables", TABLES.format(word=word))
        assert shared_app.task(notebook["f"]).delay(f"n{number}").get(timeout=SOON) == f"{word}n{number}"


ITEM = """
from django.db import models
class Item(models.Model):
    name = models.CharField(max_length=9)
    class Meta: app_label = "shop"
    def hello(self): return {word!r} + self.name
"""


def test_django_models(folder, shared_app, notebook):
    pytest.importorskip("django")
    folder("shop.__init__", "")
    folder("shop.models", ITEM.format(word="old "))
    notebook.run(
        """
        import django
        from django.conf import settings
        settings.configure(INSTALLED_APPS=["shop"], DEFAULT_AUTO_FIELD="django.db.models.AutoField")
        django.setup()
        from shop.models import Item
        def f(item): return item.hello(), Item(name="x").hello(), type(item) is Item
        """
    )
    for word in ("old ", "new "):
        folder("shop.models", ITEM.format(word=word))
        found = shared_app.task(notebook["f"]).delay(notebook["Item"](name="me")).get(timeout=SOON)
        assert found == (f"{word}me", f"{word}x", True)


def test_what_stands_in_a_module_and_can_only_be_made_there(folder, shared_app, notebook):
    """``from db import engine``: it is the module's own there, as it is here, wherever it is captured or passed."""
    folder(
        "db",
        "import threading\nMARK, LOCK = object(), threading.Lock()\nclass Engine:\n"
        "    def __init__(self): self.lock, self.calls = threading.Lock(), 0\n"
        "    def go(self):\n        with self.lock: self.calls += 1\n        return 5\n"
        "engine = Engine()\ngo = engine.go\n"
        "from contextvars import ContextVar\nNOW = ContextVar('NOW', default=7)\nlocal = threading.local()\n"
        "def seen(): return NOW.get(), local.x\n"
        "def knows(*them): return [one in (MARK, LOCK, engine) for one in them]",
    )
    folder(
        "parts", "from db import engine\nclass Uses:\n    engine = engine\nuses = Uses(); uses.mine = engine"
    )
    notebook.run(
        "from db import MARK, LOCK, engine, go\nfrom parts import uses\nheld = {'x': [engine]}\n"
        "def f():\n    from db import knows\n"
        "    return knows(MARK, LOCK, engine, held['x'][0], uses.mine), engine.go(), go()\n"
        "def g(one, other):\n    from db import knows\n    return knows(one, *other)\n"
        "import threading\nmine = threading.Lock()\ndef h(): return engine, mine\n"
        "from db import NOW, local, seen\ndef k():\n    NOW.set(9)\n    local.x = 1\n    return seen()"
    )
    for _ in range(2):
        assert shared_app.task(notebook["f"]).delay().get(timeout=SOON) == ([True] * 5, 5, 5)
    assert shared_app.task(notebook["k"]).delay().get(timeout=SOON) == (9, 1)
    engine = notebook["engine"]
    assert shared_app.task(notebook["g"]).delay(engine, [notebook["MARK"]]).get(timeout=SOON) == [True, True]
    with pytest.raises(nbtasks.NotPicklable, match=r"^h: mine \(lock\)"):
        shared_app.task(notebook["h"]).delay()


def test_a_module_whose_file_is_gone_runs_as_it_does_here(folder, shared_app, notebook):
    file = folder("gone", "import threading\nlock = threading.Lock()\ndef g(): return 4")
    notebook.run("import gone\ndef f(): return gone.g()\ndef h(): return gone.g() + 1")
    assert shared_app.task(notebook["f"]).delay().get(timeout=SOON) == 4
    file.unlink()
    assert shared_app.task(notebook["f"]).delay().get(timeout=SOON) == 4
    assert shared_app.task(notebook["h"]).delay().get(timeout=SOON) == 5


def test_data_inside_an_archive(shared_app, notebook, tmp_path, monkeypatch):
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for folder in ("zipped", "zipped/below"):
            file.writestr(f"{folder}/__init__.py", "import threading\nlock = threading.Lock()")
            file.writestr(f"{folder}/words.txt", f"in {folder}")
    monkeypatch.syspath_prepend(str(archive))
    notebook.run(
        "import pkgutil, zipped.below\nfrom importlib.resources import files\ndef f():\n"
        "    return [(pkgutil.get_data(one, 'words.txt').decode(), (files(one) / 'words.txt').read_text())\n"
        "        for one in (zipped.__name__, zipped.below.__name__)]"
    )
    try:
        found = shared_app.task(notebook["f"]).delay().get(timeout=SOON)
        assert found == notebook["f"]() == [("in zipped",) * 2, ("in zipped/below",) * 2]
    finally:
        for name in ("zipped", "zipped.below"):
            sys.modules.pop(name, None)
