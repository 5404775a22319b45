"""A function on a worker finds the names that it finds here: in class bodies, annotations and texts, too."""

from __future__ import annotations

import textwrap

import pytest

from nbtasks.client.submitting.captures import capture_report

SOON = 60.0


def notebook(source):
    """Run source as a notebook runs a cell; returns its namespace."""
    space = {"__name__": "__main__"}
    source = textwrap.dedent(source)
    exec(compile(source, f"<cell {abs(hash(source))}>", "exec", dont_inherit=True), space)
    return space


#: Each defines f; what it returns is text, numbers and containers of them.
SAME = {
    "a dataclass": """
        from dataclasses import dataclass, field
        from typing import Optional
        LIMIT = 4
        def f():
            @dataclass
            class Q:
                v: int
                w: Optional[int] = None
                many: list = field(default_factory=list)
                most: int = LIMIT
            return repr(Q(1))
        """,
    "a class attribute of the same name": """
        n, size = 3, 5
        def f():
            class B:
                n = n
                size = size * 2
                both = n + size
            return B.n, B.size, B.both
        """,
    "a named tuple and an enum": """
        from enum import Enum
        from typing import NamedTuple
        START = 7
        def f():
            class P(NamedTuple):
                x: int
                y: int = START
            class Color(Enum):
                RED = START
                BLUE = RED + 1
            return P(1), Color.BLUE.value
        """,
    "decorators, defaults and bases of a class body": """
        import functools
        def twice(method):
            return lambda self: 2 * method(self)
        class Base:
            base = "b"
        DEFAULT = 9
        def f():
            class Thing(Base):
                @twice
                def seven(self):
                    return 7
                @staticmethod
                def least(x=DEFAULT):
                    return x
                @functools.cached_property
                def cached(self):
                    return DEFAULT + 1
            return Thing().seven(), Thing.least(), Thing().cached, Thing.base
        """,
    "a comprehension in a class body": """
        rows, by = [1, 2], 10
        def f():
            class Table:
                scaled = [by * row for row in rows]
                total = sum(scaled)
            return Table.scaled, Table.total
        """,
    "a class in a class in a function in a helper": """
        DEEP = "deep"
        def helper():
            def inner():
                class A:
                    class B:
                        value = DEEP
                return A.B.value
            return inner()
        def f():
            return helper()
        """,
    "a class body with branches": """
        FLAG, OTHER = True, 8
        def f():
            class Chosen:
                if FLAG:
                    value = OTHER
                else:
                    OTHER = 1
                    value = OTHER
                try:
                    missing
                except NameError:
                    found = OTHER
            return Chosen.value, Chosen.found
        """,
    "submodules in a class body": """
        import xml.dom.minidom
        def f():
            class Reader:
                parse = staticmethod(xml.dom.minidom.parseString)
            name = lambda: xml.dom.minidom.parseString("<a/>").documentElement.tagName
            return name(), Reader.parse("<b/>").nodeName
        """,
    "annotations that are strings": """
        import typing
        Alias = dict
        class Other: pass
        def g(a: "Alias", b: "typing.List[Other]" = None) -> "Other":
            return a
        def f():
            return [str(kind) for kind in typing.get_type_hints(g).values()]
        """,
    "annotations of the future": """
        from __future__ import annotations
        import typing
        Alias = dict
        def f():
            def g(a: Alias) -> typing.List[Alias]:
                pass
            return sorted(map(str, typing.get_type_hints(g).values()))
        """,
    "eval and exec": """
        x, y = 3, 4
        formula = "x * y"
        def f():
            space = {}
            exec("z = x + y", globals(), space)
            return eval("x + 1"), eval(formula), space["z"], eval(compile("y", "<y>", "eval"))
        """,
    "a code object": """
        rate = 5
        code = compile("rate * 2", "<code>", "eval")
        def f():
            return eval(code)
        """,
    "globals by their names": """
        x, y, z, w = 1, 2, 3, 4
        def f():
            from string import Template
            return (
                "{x:02d}".format(**globals()), "%(y)s" % globals(), globals()["z"],
                Template("$w").substitute(globals()), "nothing" in globals(),
            )
        """,
    "timeit": """
        step = 2
        def f():
            import timeit
            return timeit.timeit("step + step", number=1, globals=globals()) > 0
        """,
    "a query of a frame": """
        import pandas as pd
        limit, rate, both = 2, 10, "a > @limit"
        df = pd.DataFrame({"a": [1, 2, 3]})
        def f():
            return (
                df.query("a > @limit")["a"].tolist(), df.query(both)["a"].tolist(),
                df.eval("a * @rate").tolist(), int(pd.eval("limit + rate")),
            )
        """,
    "SQL that names a variable": """
        import inspect
        class duckdb:
            @staticmethod
            def sql(text):
                caller = inspect.currentframe().f_back
                table = text.split("from ")[1].split()[0]
                return caller.f_locals.get(table, caller.f_globals.get(table))
        table, other, question = [1, 2], [3], "SELECT * from other"
        def f():
            return duckdb.sql("select sum(a) from table"), duckdb.sql(question)
        """,
    "what a helper sets": """
        level = 2
        def rise():
            global level, news
            level += 3
            news = "yes"
        def f():
            rise()
            return level, news
        """,
}


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_a_name_is_what_it_is_here(shared_app, source):
    if "pandas" in source:
        pytest.importorskip("pandas")
    there = shared_app.task(notebook(source)["f"]).delay().get(timeout=SOON)
    assert there == notebook(source)["f"]()


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_a_dry_run_lists_no_more_than_what_travels(source):
    if "pandas" in source:
        pytest.importorskip("pandas")
    function = notebook(source)["f"]
    assert all(item.bytes is not None for item in capture_report(function))


def test_what_only_a_string_names_need_not_travel(shared_app):
    space = notebook(
        """
        import threading
        lock, here = threading.Lock(), 3
        def f():
            return eval("here"), "lock" in globals()
        """
    )
    assert shared_app.task(space["f"]).delay().get(timeout=SOON) == (3, False)
    assert [item.name for item in capture_report(space["f"])] == ["here"]


def test_what_a_class_body_has_set_before_is_not_captured(shared_app):
    space = notebook(
        """
        import threading
        size = threading.Lock()
        def f():
            class Mine:
                size = 3
                double = 2 * size
            return Mine.double
        """
    )
    assert shared_app.task(space["f"]).delay().get(timeout=SOON) == 6


def test_a_change_of_what_a_class_body_or_a_text_reads_is_sent(shared_app):
    space = notebook(
        """
        size, rate = 1, 10
        def f():
            class Net:
                layers = size
            return Net.layers, eval("rate")
        """
    )
    f = shared_app.task(space["f"])
    assert f.delay().get(timeout=SOON) == (1, 10)
    space.update(size=2)
    assert f.delay().get(timeout=SOON) == (2, 10)
    space.update(rate=20)
    assert f.delay().get(timeout=SOON) == (2, 20)
