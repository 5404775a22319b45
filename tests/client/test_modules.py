"""Modules that lie next to the notebook: no worker could import them, so they travel with the task."""

from __future__ import annotations

import importlib
import sys

import pytest

from nbtasks.client.submitting.captures import capture_report, local_modules

SOON = 60.0


@pytest.fixture
def folder(tmp_path, monkeypatch, written_modules):
    """``folder(name, source)`` writes a module next to the notebook."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, source):
        file = tmp_path / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        # Two versions written within a second must not share a cached compilation.
        file.write_text(source + f"\n# {len(source)} {len(written_modules)}\n")
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        written_modules.add(name.partition(".")[0])
        importlib.invalidate_caches()

    return write


def cell(source, **names):
    """Run source as a notebook runs a cell."""
    space = {"__name__": "__main__", **names}
    exec(compile(source, "<cell>", "exec"), space)
    return space


def result(app, space):
    """What ``f`` gives on a worker."""
    return app.task(space["f"]).delay().get(timeout=SOON)


def test_a_function_from_a_module(shared_app, folder):
    folder("mod_a", "def g(): return 'one'")
    assert result(shared_app, cell("from mod_a import g\ndef f(): return g()")) == "one"


def test_a_module_by_its_name(shared_app, folder):
    folder("mod_b", "value = 'one'\ndef g(): return value")
    assert result(shared_app, cell("import mod_b\ndef f(): return mod_b.g(), mod_b.value")) == ("one", "one")


def test_an_import_in_the_body(shared_app, folder):
    folder("mod_c", "def g(): return 'one'")
    assert result(shared_app, cell("def f():\n    import mod_c\n    return mod_c.g()")) == "one"


def test_a_from_import_in_the_body(shared_app, folder):
    folder("mod_d", "def g(): return 'one'")
    assert result(shared_app, cell("def f():\n    from mod_d import g\n    return g()")) == "one"


def test_modules_that_import_each_other(shared_app, folder):
    folder("mod_low", "def base(): return 20")
    folder("mod_high", "from mod_low import base\nimport mod_low\ndef g(): return base() + mod_low.base()")
    assert result(shared_app, cell("from mod_high import g\ndef f(): return g()")) == 40
    assert result(shared_app, cell("def f():\n    import mod_high\n    return mod_high.g()")) == 40


def test_a_package_with_relative_imports(shared_app, folder):
    folder("pack.__init__", "from .one import g")
    folder("pack.one", "from .two import base\ndef g(): return base + 1")
    folder("pack.two", "base = 41")
    assert result(shared_app, cell("def f():\n    from pack import g\n    return g()")) == 42
    assert result(shared_app, cell("def f():\n    import pack.two\n    return pack.two.base")) == 41
    assert result(shared_app, cell("import pack\ndef f(): return pack.g()")) == 42


def test_a_class_of_a_module(shared_app, folder):
    folder(
        "mod_e",
        "class Point:\n    def __init__(self, x): self.x = x\n    def double(self): return Point(self.x * 2)",
    )
    assert result(shared_app, cell("from mod_e import Point\ndef f(): return Point(4).double().x")) == 8


def test_an_instance_of_a_modules_class_as_argument_and_result(shared_app, folder):
    folder("mod_f", "class Point:\n    def __init__(self, x): self.x = x")
    space = cell("from mod_f import Point\ndef move(p): return Point(p.x + 1)")
    moved = shared_app.task(space["move"]).delay(space["Point"](1)).get(timeout=SOON)
    assert moved.x == 2
    assert isinstance(moved, space["Point"])


def test_a_function_of_a_module_as_argument(shared_app, folder):
    folder("mod_g", "def g(x): return x + 1")
    space = cell("from mod_g import g\ndef call(h, x): return h(x)")
    assert shared_app.task(space["call"]).delay(space["g"], 1).get(timeout=SOON) == 2


def test_a_module_class_as_result_only(shared_app, folder):
    folder("mod_h", "class Point:\n    def __init__(self, x): self.x = x")
    space = cell("from mod_h import Point\ndef make(x): return Point(x)")
    assert shared_app.task(space["make"]).delay(4).get(timeout=SOON).x == 4


def test_a_task_that_is_defined_in_a_module(shared_app, folder):
    folder("mod_g", "from nbtasks import task\nbase = 5\n@task\ndef g(x): return x + base")
    module = importlib.import_module("mod_g")
    assert module.g.delay(1).get(timeout=SOON) == 6


def test_a_module_is_sent_again_after_it_was_reloaded(shared_app, folder):
    folder("mod_h", "def g(): return 'one'")
    space = cell(
        "import mod_h\nfrom mod_h import g\ndef f(): return mod_h.g()\ndef h():\n    import mod_h\n    return mod_h.g()"
    )
    body = shared_app.task(space["h"])
    task = shared_app.task(space["f"])
    assert task.map(range(4)[:0]).get(timeout=SOON) == []
    assert [task.delay().get(timeout=SOON), body.delay().get(timeout=SOON)] == ["one", "one"]
    folder("mod_h", "def g(): return 'the second'")
    importlib.reload(space["mod_h"])
    assert [task.delay().get(timeout=SOON), body.delay().get(timeout=SOON)] == ["the second", "the second"]


def test_the_traceback_shows_the_modules_own_lines(shared_app, folder):
    folder("mod_i", "def g():\n    raise ValueError('deep')")
    handle = shared_app.task(cell("def f():\n    import mod_i\n    return mod_i.g()")["f"]).delay()
    with pytest.raises(ValueError, match="deep"):
        handle.get(timeout=SOON)
    assert "raise ValueError('deep')" in handle.traceback


def test_a_module_with_an_error_fails_the_call_and_not_the_worker(shared_app, folder):
    folder("mod_j", "raise RuntimeError('at import')")
    handle = shared_app.task(cell("def f():\n    import mod_j")["f"]).delay()
    with pytest.raises(RuntimeError, match="at import"):
        handle.get(timeout=SOON)
    assert shared_app.task(len).delay("a").get(timeout=SOON) == 1


def test_the_preview_names_what_travels(folder):
    folder("mod_k", "def g(): return 1")
    space = cell(
        "import json\nfrom mod_k import g\ntable = list(range(1000))\ndef f(): return g(), table, json",
    )
    report = {item.name: item for item in capture_report(space["f"], (b"x" * 100,))}
    assert set(report) == {"g", "table", "json", "argument 0"}
    assert report["table"].bytes > 2000
    assert report["json"].bytes == 0
    assert local_modules(space["f"]) == ["mod_k"]
    assert local_modules(space["f"], include=["mod_k"]) == []


def test_the_preview_says_what_cannot_travel():
    import threading

    space = cell("def f(): return lock", lock=threading.Lock())
    (item,) = capture_report(space["f"])
    assert (item.name, item.bytes) == ("lock", None)
    assert "cannot travel" in item.problem
