"""A class belongs to the submit that it went with; to read a result changes nothing here."""

from __future__ import annotations

import gc

import pytest

SOON = 60.0


def get(task, *args):
    return task.delay(*args).get(timeout=SOON)


# --- what a submit captured is what all its calls see


def test_a_class_that_is_changed_and_changed_back(shared_app, notebook):
    notebook.run(
        """
        class Config:
            rate = 1
            def double(self): return 2 * self.rate

        class Sub(Config):
            more = 10

        def read(): return Config.rate, Sub.rate, Sub.more, Sub().double()
        """
    )
    config, sub, task = notebook["Config"], notebook["Sub"], shared_app.task(notebook["read"])
    seen = [get(task)]
    config.rate = 2
    seen.append(get(task))
    config.rate, sub.more = 1, 11
    seen.append(get(task))
    sub.more = 10
    before, config.double = config.double, lambda self: -1
    seen.append(get(task))
    config.double = before
    sub.rate = 7
    seen.append(get(task))
    del sub.rate
    seen.append(get(task))
    assert seen == [
        (1, 1, 10, 2), (2, 2, 10, 4), (1, 1, 11, 2), (1, 1, 10, -1), (1, 7, 10, 14), (1, 1, 10, 2)
    ]  # fmt: skip


def test_a_class_that_is_changed_while_a_map_runs(shared_app, notebook, tmp_path):
    notebook.run(
        """
        import os, time
        class C:
            k = 'A'

        def slow(x, go):
            while not os.path.exists(go): time.sleep(0.01)
            return C.k

        def quick(): return C.k

        def read(one): return one.k
        """
    )
    kind, go = notebook["C"], tmp_path / "go"
    batch = shared_app.task(notebook["slow"]).starmap([(n, str(go)) for n in range(6)], chunk=1)
    instance = kind()
    kind.k = "B"
    others = [shared_app.task(notebook["quick"]).delay() for _ in range(4)]
    argument = shared_app.task(notebook["read"]).delay(instance)
    go.touch()
    assert batch.get(timeout=SOON) == ["A"] * 6
    assert [other.get(timeout=SOON) for other in others] == ["B"] * 4
    assert argument.get(timeout=SOON) == "B"


def test_classes_of_arguments_are_those_of_the_function(shared_app, notebook):
    notebook.run(
        """
        import enum
        class Color(enum.Enum):
            RED = 1
            GREEN = 2

        class Base: pass
        class Item(Base):
            def __init__(self, v): self.v = v

        kept = Item(0)
        favourite = Color.RED

        def same(item, color):
            return (isinstance(item, Item), type(item) is Item is type(kept), isinstance(item, Base),
                    color is Color.RED is favourite, Color(1) is color, Color['RED'] is color)

        def only_given(items):
            return type(items[0]) is type(items[1]), items[0].v, type(items[0]).tag
        """
    )
    item, color = notebook["Item"], notebook["Color"]
    assert (
        shared_app.task(notebook["same"]).starmap([(item(1), color.RED)] * 3, chunk=1).get(timeout=SOON)
        == [(True,) * 6] * 3
    )
    # A class that only the arguments have is as it was when they were sent.
    task, seen = shared_app.task(notebook["only_given"]), []
    for tag in ("a", "b", "a"):
        item.tag = tag
        seen.append(get(task, [item(1), item(2)]))
    assert seen == [(True, 1, "a"), (True, 1, "b"), (True, 1, "a")]


# --- to read a result changes nothing


def test_reading_results_leaves_the_classes_of_the_notebook_alone(shared_app, notebook):
    notebook.run(
        """
        import enum
        from dataclasses import dataclass
        def norm(v): return v / 10

        class Row:
            count = 0
            seen = []
            def __init__(self, v): self.v = v
            def score(self): return norm(self.v)

        @dataclass
        class Data:
            v: float
            def score(self): return norm(self.v)

        class Color(enum.Enum):
            RED = 1.0
            def score(self): return norm(self.value)

        class Oops(Exception):
            def score(self): return norm(1.0)

        def make(v): return [Row(v), Data(v), Color.RED, Oops('x')]
        def fail(): raise Oops('y')
        """
    )
    names = ("Row", "Data", "Color", "Oops")
    kinds = [notebook[name] for name in names]
    make, fail = shared_app.task(notebook["make"]), shared_app.task(notebook["fail"])
    pending = make.map([1.0, 1.0]), fail.delay()
    notebook["Row"].count = 8
    notebook["Row"].seen.append(1)
    seen, before = notebook["Row"].seen, [dict(vars(kind)) for kind in kinds]
    rows = [item for one in pending[0].get(timeout=SOON) for item in one]
    with pytest.raises(notebook["Oops"]):
        pending[1].get(timeout=SOON)
    with pytest.raises(notebook["Oops"]):
        fail.apply().get()
    rows += [*make.apply((1.0,)).get(), notebook["Color"].RED]
    assert [type(row) for row in rows[:4]] == kinds
    assert [dict(vars(kind)) for kind in kinds] == before
    assert (notebook["Row"].count, notebook["Row"].seen) == (8, [1])
    assert notebook["Row"].seen is seen
    assert rows[2] is rows[6] is notebook["Color"].RED
    notebook.run("def norm(v): return v * 1000")
    assert {row.score() for row in rows} == {1000.0}
    assert notebook["Row"].score.__globals__ is vars(notebook.module)
    # A later task has the new helper as well.
    assert [type(one).score(one) for one in get(make, 1.0)] == [1000.0] * 4
    assert get(shared_app.task(lambda row=rows[0]: row.score())) == 1000.0


def test_an_old_result_belongs_to_the_old_class(shared_app, notebook):
    cell = """
        class Row:
            version = {}
            def __init__(self, v): self.v = v
        def make(v): return Row(v)
        """
    notebook.run(cell.format(1))
    old, pending = notebook["Row"], shared_app.task(notebook["make"]).delay(1)
    notebook.run(cell.format(2))
    new = notebook["Row"]
    row = pending.get(timeout=SOON)
    assert type(row) is old is not new
    assert (row.version, get(shared_app.task(notebook["make"]), 1).version) == (1, 2)


def test_a_class_that_a_task_makes(shared_app, notebook):
    notebook.run(
        """
        class Base:
            made = []
            def __init_subclass__(cls, **kw): Base.made.append(cls.__name__)

        def make(v):
            class Local(Base):
                def __init__(self, v): self.v = v
                def twice(self): return 2 * self.v
            return [Local(v), Local(v + 1)], list(Base.made), Local
        """
    )
    (one, other), made, local = get(shared_app.task(notebook["make"]), 3)
    assert (one.twice(), other.twice(), made) == (6, 8, ["Local"])
    assert type(one) is type(other) is local
    # Nothing was registered by reading it.
    assert isinstance(one, notebook["Base"])
    assert notebook["Base"].made == []


# --- registers, __init_subclass__ and metaclasses


def test_registers_arrive_as_they_were(shared_app, notebook):
    notebook.run(
        """
        class Base:
            registry = {}
            def __init_subclass__(cls, name, **kw):
                super().__init_subclass__(**kw)
                if name in Base.registry: raise ValueError('registered already')
                Base.registry[name] = cls

        class One(Base, name='one'): pass
        class Two(One, name='two'): __slots__ = ('a',)

        class Meta(type):
            made = []
            def __new__(meta, name, bases, space, flag=False):
                kind = super().__new__(meta, name, bases, space)
                kind.flag = flag
                return kind
            def __init__(kind, name, bases, space, flag=False):
                super().__init__(name, bases, space)
                Meta.made.append(kind)
            def __setattr__(kind, name, value):
                if name != 'flag': raise AttributeError('frozen')
                super().__setattr__(name, value)

        class Third(metaclass=Meta, flag=True): n = 3

        decorated, by_dict = [], {}
        def register(kind):
            decorated.append(kind)
            by_dict[kind.__name__] = kind
            return kind

        @register
        class Fourth: pass

        class Field:
            owners = []
            def __set_name__(self, owner, name):
                self.name = name
                Field.owners.append((owner.__name__, name))
            def __get__(self, one, owner=None): return self.name

        class Fifth:
            a = Field()
            b = Field()

        def look():
            return (list(Base.registry) == ['one', 'two'] and Base.registry['one'] is One,
                    Base.registry['two'] is Two and Two.__mro__ == (Two, One, Base, object),
                    Meta.made == [Third] and Third.flag and Third.n == 3,
                    decorated == [Fourth] and by_dict['Fourth'] is Fourth,
                    Field.owners == [('Fifth', 'a'), ('Fifth', 'b')] and (Fifth.a, Fifth.b) == ('a', 'b'))

        def later():
            class Six(Base, name='six'): pass
            return list(Base.registry), Base.registry['six'] is Six

        def give(): return One(), Two(), Third(), Fourth()
        """
    )
    look = shared_app.task(notebook["look"])
    for _ in range(3):
        assert get(look) == (True,) * 5
    assert look.apply().get() == (True,) * 5
    # A subclass that the task itself defines is registered; in that call.
    for _ in range(3):
        assert get(shared_app.task(notebook["later"])) == (["one", "two", "six"], True)
    given = get(shared_app.task(notebook["give"]))
    assert [type(one) for one in given] == [notebook[name] for name in ("One", "Two", "Third", "Fourth")]
    assert list(notebook["Base"].registry) == ["one", "two"]
    assert notebook["Meta"].made == [notebook["Third"]]
    assert notebook["decorated"] == [notebook["Fourth"]]


# --- all sorts of classes


def test_all_sorts_of_classes_work_there_and_come_back(shared_app, notebook):
    notebook.run(
        """
        import abc, collections, enum, functools, typing, weakref
        from dataclasses import dataclass, field, fields

        class Outer:
            "Says what it is."
            class Inner:
                def me(self): return type(self).__qualname__

        class Weak:
            __slots__ = ('a', '__weakref__')
        class Private:
            __slots__ = ('__p', 'q')
            def __init__(self): self.__p = 3
            def get(self): return self.__p
        class Single:
            __slots__ = 'only'
        class More(Single):
            __slots__ = ('b', '__dict__')

        @dataclass(frozen=True, slots=True)
        class Point:
            x: int
            y: int = 0
        Point.ORIGIN = Point(0)
        @dataclass
        class Data:
            a: int
            b: list = field(default_factory=list)

        T = typing.TypeVar('T')
        class Box(typing.Generic[T]):
            def __init__(self, v): self.v = v
        class IntBox(Box[int]): pass
        @typing.runtime_checkable
        class Has(typing.Protocol):
            def f(self): ...
        class Pair(typing.NamedTuple):
            a: int
            b: str = 'x'
        class Typed(typing.TypedDict, total=False):
            a: int
        class Abstract(abc.ABC):
            @abc.abstractmethod
            def f(self): ...
        class Concrete(Abstract):
            def f(self): return super().__doc__
        @Abstract.register
        class Virtual: pass

        class Planet(enum.Enum):
            EARTH = (6.0, 2.0)
            HOME = (6.0, 2.0)
            def __init__(self, mass, radius): self.mass, self.radius = mass, radius
            @property
            def g(self): return self.mass / self.radius
        class Num(enum.IntEnum):
            A = 1
            B = 2
        class Perm(enum.Flag):
            R = 1
            W = 2
            X = 4
        BOTH = Perm.R | Perm.W
        class Text(str, enum.Enum):
            A = 'a'

        class Lone:
            _one, made = None, 0
            def __new__(cls):
                if cls._one is None:
                    cls._one = super().__new__(cls)
                    cls.made += 1
                return cls._one
        lone = Lone()

        @functools.total_ordering
        class Ordered:
            def __init__(self, v): self.v = v
            def __lt__(self, other): return self.v < other.v
            def __eq__(self, other): return self.v == other.v
        class State:
            def __init__(self, v): self.v = v
            def __getstate__(self): return [self.v]
            def __setstate__(self, state): self.v = state[0]
        State.default = State(5)
        class Made:
            all = []
            def __init__(self, v): self.v = v
            def __reduce__(self): return Made, (self.v,)
        Made.all += [Made(1), Made(2)]
        class Text2(str): pass
        class Numbers(list):
            def total(self): return sum(self)

        def weak():
            one = Weak()
            one.a = 1
            weakref.ref(one)
            return one
        def more():
            one = More()
            one.only, one.b, one.c = 1, 2, 3
            return one

        def check(weak, private, more, point, data, box, pair, planet, num, both, text, one, state, made, numbers):
            def said(name, yes): return None if yes else name
            return [name for name in (
                said('nested', Outer.Inner().me() == 'Outer.Inner' and Outer.__doc__ == 'Says what it is.'),
                said('weak', weak.a == 1 and weakref.ref(weak)() is weak and not hasattr(weak, '__dict__')),
                said('private', private.get() == 3),
                said('more', (more.only, more.b, more.c) == (1, 2, 3)),
                said('point', point == Point(1, 2) and Point.ORIGIN == Point(0) and not hasattr(point, '__dict__')),
                said('data', data == Data(1, [2]) and [f.name for f in fields(Data)] == ['a', 'b']),
                said('box', box.v == 1 and IntBox.__orig_bases__ == (Box[int],) and isinstance(box, Box)),
                said('protocol', isinstance(Concrete(), Has) and not isinstance(3, Has)),
                said('pair', pair == (1, 'x') and pair._replace(a=2).a == 2 and type(pair) is Pair),
                said('typed', Typed(a=1) == {'a': 1} and not Typed.__total__),
                said('abc', Concrete().f() is None and issubclass(Virtual, Abstract)
                     and Abstract.__abstractmethods__ == {'f'}),
                said('planet', planet is Planet.EARTH is Planet.HOME and planet.g == 3 and len(Planet) == 1),
                said('num', num is Num.B and num + 1 == 3 and list(Num) == [Num.A, Num.B]),
                said('flag', both is BOTH is (Perm.R | Perm.W) and Perm.X not in both and ~Perm.R == Perm.W | Perm.X),
                said('text', text is Text.A and text == 'a'),
                said('lone', one is Lone() is lone and Lone.made == 1),
                said('ordered', Ordered(1) <= Ordered(2) and Ordered(3) > Ordered(2)),
                said('state', state.v == 7 and State.default.v == 5),
                said('made', made.v == 7 and [m.v for m in Made.all] == [1, 2] and type(made) is Made),
                said('numbers', numbers.total() == 6 and type(numbers) is Numbers),
            ) if name]

        def give():
            return (weak(), Private(), more(), Point(1, 2), Data(1, [2]), IntBox(1), Pair(1), Planet.EARTH, Num.B,
                    Perm.R | Perm.W, Text.A, Lone(), State(7), Made(7), Numbers([1, 2, 3]))
        """
    )
    check, give = shared_app.task(notebook["check"]), shared_app.task(notebook["give"])
    values = notebook["give"]()
    assert notebook["check"](*values) == []
    assert get(check, *values) == []
    back = get(give)
    assert [type(value) for value in back] == [type(value) for value in values]
    assert notebook["check"](*back) == []


def test_third_party_classes(shared_app, notebook):
    attrs, pydantic = pytest.importorskip("attrs"), pytest.importorskip("pydantic")
    notebook.run(
        """
        from typing import Optional
        @attrs.define
        class A:
            a: int
            b: list = attrs.field(factory=list)
        class B(pydantic.BaseModel):
            a: int
            @pydantic.field_validator('a')
            def more(cls, v): return v + 1
        class C(B):
            b: Optional[B] = None
        def look(a, c):
            return a == A(1, [2]), c.a, c.b.a, isinstance(c, B), C(a=5).a, C.model_validate({'a': 1}).a, type(c) is C
        def give(): return A(1), C(a=1, b=B(a=2))
        """,
        attrs=attrs,
        pydantic=pydantic,
    )
    a, b, c = (notebook[name] for name in "ABC")
    task = shared_app.task(notebook["look"])
    assert get(task, a(1, [2]), c(a=1, b=b(a=2))) == (True, 2, 3, True, 6, 2, True)
    one, two = get(shared_app.task(notebook["give"]))
    assert (type(one), type(two), type(two.b)) == (a, c, b)
    assert c(a=5).a == 6


# --- classes of exceptions; tasks in tasks; classes that go


def test_exceptions_of_notebook_classes(shared_app, notebook):
    notebook.run(
        """
        class Oops(Exception): pass
        class Worse(Oops):
            def __init__(self, a, *, b=1):
                super().__init__(a)
                self.b = b
        tries = []
        def caught(error):
            try: raise error
            except Oops as found: return type(found) is Worse, found.b
        def retried():
            tries.append(1)
            raise Oops('again')
        """
    )
    assert get(shared_app.task(notebook["caught"]), notebook["Worse"](1, b=2)) == (True, 2)
    options = {"autoretry_for": (notebook["Oops"],), "max_retries": 2, "default_retry_delay": 0.01}
    handle = shared_app.task(notebook["retried"], **options).delay()
    with pytest.raises(notebook["Oops"]):
        handle.get(timeout=SOON)
    assert notebook["tries"] == []


def test_a_task_in_a_task_has_the_same_classes(shared_app, notebook):
    notebook.run(
        """
        class Row:
            rate = 1
            def __init__(self, v): self.v = v
        inner = app.task(lambda row: Row(row.v + 1))
        def outer(v):
            Row.rate = 5
            row = inner.delay(Row(v)).get(timeout=60)
            return type(row) is Row, row.rate, row
        """,
        app=shared_app,
    )
    same, rate, row = get(shared_app.task(notebook["outer"]), 1)
    assert (same, rate, row.v, type(row) is notebook["Row"]) == (True, 5, 2, True)
    assert notebook["Row"].rate == 1


@pytest.mark.long
def test_classes_do_not_gather(shared_app, notebook):
    """What calls and results have rebuilt goes when nobody has it any more."""
    notebook.run(
        """
        import gc
        class Gathered:
            def __init__(self, v): self.v = v
        def count(row):
            gc.collect()
            return sum(isinstance(one, type) and one.__name__ == 'Gathered' for one in gc.get_objects())
        def make(n):
            class Own: pass
            return Own()
        """
    )
    assert (
        max(
            shared_app.task(notebook["count"])
            .map([notebook["Gathered"](n) for n in range(20)])
            .get(timeout=SOON)
        )
        < 6
    )
    for _ in range(5):
        get(shared_app.task(notebook["make"]), 1)
    gc.collect()
    assert sum(isinstance(one, type) and one.__name__ == "Own" for one in gc.get_objects()) <= 1
