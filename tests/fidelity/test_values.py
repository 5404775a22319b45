"""What the standard library and others wrap functions and values in is there as it is here."""

from __future__ import annotations

import array
import os
import re
import threading

import pytest

import nbtasks

#: Name -> a cell, and expressions that are worked out here and on a worker.
CASES = {
    "lru": (
        """
        import functools
        @functools.lru_cache(maxsize=10)
        def fib(n): return n if n<2 else fib(n-1)+fib(n-2)
        """,
        "fib(20)",
        "fib.cache_parameters()",
        "fib.__wrapped__.__name__",
        "fib.cache_info().misses > 0 if fib(5) else 0",
    ),
    "cache": (
        """
        from functools import cache
        @cache
        def sq(n): return n*n
        class N:
            def __init__(self): self.r=2
            @cache
            def area(self): return self.r**2
            @staticmethod
            @cache
            def s(x): return x+1
            @classmethod
            @cache
            def c(cls,x): return cls.__name__+str(x)
        def caller(x): return sq(x)+N().area()
        """,
        "sq(3)",
        "caller(3)",
        "N().area()",
        "N.s(1)",
        "N.c(1)",
        "N().area.__name__",
        "sq.cache_parameters()",
    ),
    "circles": (
        """
        from dataclasses import dataclass, field
        class Node:
            def __init__(self, v): self.v, self.near, self.cost = v, set(), {}
            def __hash__(self): return hash(self.v)
            def __eq__(self, other): return self.v == other.v
        one, two = Node(1), Node(2)
        for node in (one, two):
            node.near |= {one, two}
            node.cost.update({(two, 'x'): 5, one: 6, 'plain': 7})
        @dataclass(unsafe_hash=True)
        class Person:
            name: str
            friends: set = field(default_factory=set, hash=False, compare=False)
        ann, bob = Person('ann'), Person('bob')
        ann.friends |= {bob}; bob.friends |= {ann}
        """,
        "sorted(node.v for node in one.near)",
        "two in one.near and one in two.near and one in one.near",
        "[*one.cost.values(), one.cost[two, 'x'], two.cost[one]]",
        "next(iter(ann.friends)).friends == {ann}",
        "[sorted(node.v for node in each.near) for each in (one, two)]",
    ),
    "cachedprop": (
        """
        from functools import cached_property
        class CP:
            @cached_property
            def v(self): return 42
        o = CP()
        """,
        "CP().v",
        "o.v",
        "CP.v.func.__name__",
    ),
    "singledispatch": (
        """
        from functools import singledispatch, singledispatchmethod
        @singledispatch
        def show(x): return 'obj'
        @show.register
        def _(x: int): return 'int'
        @show.register(list)
        def _l(x): return 'list'
        class My: pass
        @show.register(My)
        def _m(x): return 'My'
        class SM:
            @singledispatchmethod
            def m(self, x): return 'o'
            @m.register
            def _(self, x: int): return 'i'
            @m.register
            def _(self, x: str): return 's'+self.k()
            def k(self): return 'k'
        """,
        "show(1), show([]), show({}), show(My())",
        "SM().m(1), SM().m(''), SM().m([])",
        "sorted(map(str, show.registry))",
        "show.dispatch(bool) is show.registry[int]",
    ),
    "typing": (
        """
        from typing import NewType, TypeVar, ParamSpec, Generic, Protocol
        from typing import get_type_hints, Callable, Optional, runtime_checkable
        try:
            from typing import TypeVarTuple, Unpack
            Ts = TypeVarTuple('Ts')
        except ImportError:
            Ts = None
        UserId = NewType('UserId', int)
        T = TypeVar('T'); P = ParamSpec('P'); TB=TypeVar('TB', bound=UserId)
        def uid(x: UserId) -> UserId: return UserId(x)
        def gen(x: T, f: Callable[P, T], *args: P.args) -> T: return x
        class G(Generic[T]):
            def __init__(self, v: T): self.v = v
        @runtime_checkable
        class Pr(Protocol):
            def go(self) -> int: ...
        class Im:
            def go(self): return 1
        class GP(Generic[P]): pass
        def tvt(*a: Ts): return getattr(Ts, '__name__', None)
        def paramof(): return P.__name__, P is get_type_hints(gen)['f'].__args__[0]
        """,
        "uid(3)",
        "gen(1, len)",
        "G(2).v",
        "isinstance(Im(), Pr), isinstance(1, Pr)",
        "get_type_hints(uid)['x'] is UserId",
        "paramof()",
        "tvt()",
        "UserId.__supertype__",
        "GP.__parameters__[0] is P",
        "G.__parameters__[0] is T",
    ),
    "hints": (
        """
        from __future__ import annotations
        import dataclasses
        import inspect
        import typing

        @dataclasses.dataclass
        class Config:
            other: Other = None
            number: typing.Optional[Number] = None
            others: list[Other] = None
            counted: typing.ClassVar[int] = 1

        class Other: pass
        class Derived(Config):
            config: Config
        class Row(typing.NamedTuple):
            value: Number
            next: "Row" = None
        class Kept(typing.TypedDict):
            other: Other
        Number = int

        def annotated(x: Other) -> Config: ...
        def hints(kind):
            found = typing.get_type_hints(kind)
            return {name: getattr(hint, "__name__", str(hint)) for name, hint in found.items()}
        kept = Config(others=[Other()])
        """,
        "hints(Config), hints(Derived), hints(Row), hints(Kept)",
        "typing.get_type_hints(Config)['other'] is Other",
        "hints(type(kept))",
        "[field.type for field in dataclasses.fields(Config)]",
        "typing.get_type_hints(annotated)['return'] is Config",
        "inspect.get_annotations(Derived, eval_str=True)['config'] is Config",
        "__import__('__main__').Other is Other",
    ),
    "pydantic": (
        """
        import pydantic
        from pydantic import validate_call, BaseModel, field_validator, model_validator
        from typing import Optional, List
        @validate_call
        def vc(x: int, y: str = 'a') -> int: return x+1
        class Mod(BaseModel):
            a: int
            b: Optional[List[int]] = None
            @field_validator('a')
            @classmethod
            def pos(cls, v):
                if v<0: raise ValueError('neg')
                return v
            def dbl(self): return self.a*2
        class Sub(Mod):
            m: Mod
        mod=Mod(a=3)
        def bad():
            try: Mod(a=-1)
            except pydantic.ValidationError as e: return e.error_count()
        """,
        "vc('3')",
        "Mod(a='3').a",
        "mod.dbl()",
        "bad()",
        "Sub(a=1, m=Mod(a=2)).m.a",
        "mod.model_dump()",
        "Mod(a=1)==Mod(a=1)",
    ),
    "slots": (
        """
        class S:
            __slots__ = ('a', '__weakref__')
            def __init__(self, a): self.a = a
        class S2:
            __slots__ = ('a', '__dict__')
        class S3(S):
            __slots__ = ('b',)
        s=S(1)
        import weakref
        def w(): return weakref.ref(s)() is s
        """,
        "S(2).a",
        "s.a",
        "w()",
        "[S(1)][0].a",
        "S3(1).a",
    ),
    "functools": (
        """
        import functools, operator, contextlib, types, enum, abc, re, collections
        import itertools, string, datetime, decimal, fractions, uuid, pathlib
        part = functools.partial(int, base=2)
        class PM:
            def go(self, a, b): return a+b
            inc = functools.partialmethod(go, 1)
        @functools.total_ordering
        class TO:
            def __init__(self, v): self.v=v
            def __eq__(self,o): return self.v==o.v
            def __lt__(self,o): return self.v<o.v
        @contextlib.contextmanager
        def cm():
            yield 5
        def usecm():
            with cm() as v: return v
        @cm()
        def deco(): return 3
        def d1(f):
            @functools.wraps(f)
            def w(*a): return f(*a)+1
            return w
        @d1
        @d1
        def wr(x): return x
        class prop(property):
            extra = 1
        class HP:
            @prop
            def v(self): return 7
        mc = operator.methodcaller('upper'); ag = operator.attrgetter('real'); ig=operator.itemgetter(1)
        pat = re.compile('a+')
        ns = types.SimpleNamespace(a=1)
        mp = types.MappingProxyType({'a': 1})
        class Fl(enum.Flag):
            A=1; B=2
        class Ab(abc.ABC):
            @abc.abstractmethod
            def f(self): ...
        class Im(Ab):
            def f(self): return 1
        cmp = functools.cmp_to_key(lambda a,b: b-a)
        dd = collections.defaultdict(list)
        cm2 = collections.ChainMap({'a':1}, {'b':2})
        ctr = itertools.count(5)
        cyc = itertools.cycle([1,2])
        red = functools.reduce
        """,
        "part('101')",
        "PM().inc(2)",
        "TO(1)<=TO(2), TO(3)>TO(1)",
        "usecm()",
        "deco()",
        "wr(1), wr.__wrapped__.__wrapped__(1)",
        "HP().v, type(HP.__dict__['v']).__name__",
        "mc('a'), ag(3), ig('ab')",
        "pat.match('aa').group()",
        "ns.a",
        "mp['a']",
        "Fl.A|Fl.B, (Fl.A|Fl.B) == Fl(3)",
        "Im().f()",
        "sorted([1,3,2], key=cmp)",
        "dd['x']",
        "cm2['b']",
        "mp",
        "pat",
        "wr",
        "part",
        "PM().inc.args",
    ),
    "state": (
        """
        import weakref, contextvars, threading, collections
        class Node:
            def __init__(self):
                self.cache = weakref.WeakValueDictionary()
                self.set = weakref.WeakSet()
                self.k=weakref.WeakKeyDictionary()
        node = Node()
        wv = weakref.WeakValueDictionary()
        ws = weakref.WeakSet()
        cv = contextvars.ContextVar('cv', default=3)
        tl = threading.local(); tl.x=1
        lock = threading.Lock()
        rl=threading.RLock()
        ev=threading.Event()
        sem=threading.Semaphore(2)
        cond=threading.Condition()
        def gen(): yield 1
        g = gen()
        class Holder:
            def __init__(self): self.v=1
        h=Holder()
        ref = weakref.ref(h)
        fin = None
        prox = weakref.proxy(h)
        def uselock():
            with lock: return 1
        def tlx(): return getattr(tl,'x',None)
        """,
        "len(node.cache)",
        "len(wv)",
        "len(ws)",
        "cv.get()",
        "tlx()",
        "ref() is h",
        "prox.v",
        "len(node.k)",
    ),
    "attrs": (
        """
        import attrs, attr
        @attrs.define
        class AD:
            x: int = attrs.field(validator=attrs.validators.instance_of(int), converter=int)
            y: list = attrs.Factory(list)
        @attrs.frozen
        class AF:
            x: int
        @attr.s(auto_attribs=True)
        class AO:
            x: int = 3
        @attrs.define
        class Sub(AD):
            z: int = 2
            @property
            def t(self): return self.z
            def sup(self): return super().__repr__()
        ad = AD('3')
        def bad():
            try: AD.__init__(object.__new__(AD), 'x')
            except ValueError as e: return 'VE'
        """,
        "AD(3).x",
        "ad.x",
        "AF(1)",
        "AO()",
        "Sub(1).t",
        "bad()",
        "attrs.asdict(ad)",
        "hash(AF(1))==hash(AF(1))",
        "attrs.evolve(ad,x=5).x",
        "Sub(1).sup()[:6]",
    ),
    "reg": (
        """
        REG = {}
        def register(*types):
            def deco(f):
                REG[types] = f
                def call(*a): return REG[tuple(type(x) for x in a)](*a)
                return call
            return deco
        @register(int)
        def go(x): return 'int'
        @register(str)
        def go(x): return 'str'
        """,
        "go(1), go('')",
    ),
}
#: Packages that a cell needs.
NEEDED = {"pydantic": "pydantic", "attrs": "attrs"}


def shown(value):
    """Return a value as text, without addresses."""
    return re.sub(r"0x[0-9A-Fa-f]+", "0x", repr(value))


@pytest.mark.parametrize("name", CASES)
def test_there_as_here(shared_app, notebook, name):
    pytest.importorskip(NEEDED.get(name, "sys"))
    cell, *expressions = CASES[name]
    notebook.run(cell)
    for expression in expressions:
        notebook.run(f"def asked(): return {expression}")
        there = shared_app.task(notebook["asked"]).delay().get(timeout=30)
        assert shown(there) == shown(notebook["asked"]()), expression
        if name != "hints":
            # Here the names are looked up in the notebook itself.
            back = shared_app.task(notebook["asked"]).apply().get()
            assert shown(back) == shown(there), expression


def test_a_cache_lives_with_its_function(shared_app, notebook, ledger):
    notebook.run(
        """
        import functools

        @functools.cache
        def loaded(path):
            with open(path, "a") as file:
                file.write("x\\n")
            return [1, 2]

        def total(n):
            return sum(loaded(path)) + n
        """,
        path=ledger.path,
    )
    for _ in range(2):
        assert shared_app.task(notebook["total"]).map(range(20)).get(timeout=30) == [3 + n for n in range(20)]
    assert 1 <= len(ledger.lines()) <= 2, "once in each child"
    assert notebook["loaded"].cache_info().currsize == 0


def test_names_of_types_come_back_as_the_same(shared_app, notebook):
    notebook.run(
        """
        from typing import NewType, ParamSpec, TypeVar
        UserId, P, T = NewType("UserId", int), ParamSpec("P"), TypeVar("T")

        def names():
            return UserId, P, T
        """
    )
    there = shared_app.task(notebook["names"]).delay().get(timeout=30)
    assert all(one is notebook[name] for one, name in zip(there, ("UserId", "P", "T"), strict=True))


def test_what_stays_says_so(shared_app, notebook, tmp_path):
    (tmp_path / "data.txt").write_text("x")
    notebook.run(
        """
        import concurrent.futures, threading
        going = (n for n in range(3))
        unfinished = concurrent.futures.Future()
        lock = threading.Lock()
        text, data = open(path), open(path, "rb")

        def uses_file():
            return text.read()
        """,
        path=str(tmp_path / "data.txt"),
    )
    said = {
        "going": "is a generator",
        "unfinished": "has not come to an end",
        "lock": "lock",
        "text": "open file.*pass its path",
        "data": "open file.*pass its path",
    }
    with notebook["text"], notebook["data"]:
        for name, words in said.items():
            with pytest.raises(nbtasks.NotPicklable, match=words):
                shared_app.task(lambda value: value).delay(notebook[name])
        with pytest.raises(nbtasks.NotPicklable, match=r"uses_file: text .*pass its path"):
            shared_app.task(notebook["uses_file"]).delay()


def test_hints_of_an_arguments_class(shared_app, notebook):
    cell, *_ = CASES["hints"]
    notebook.run(cell)
    task = shared_app.task(lambda value: sorted(__import__("typing").get_type_hints(type(value))))
    assert task.delay(notebook["kept"]).get(timeout=30) == ["counted", "number", "other", "others"]


def test_views_of_memory_arrive_as_such(shared_app):
    task = shared_app.task(
        lambda view: (type(view).__name__, view.readonly, view.format, view.tolist(), view)
    )
    for view in (
        memoryview(b"ab"),
        memoryview(bytearray(b"ab")),
        memoryview(array.array("d", [1, 2])),
        memoryview(bytes(range(6))).cast("B", (2, 3)),
        memoryview(bytes(range(6)))[::2],
        memoryview(b""),
    ):
        *there, back = task.delay(view).get(timeout=30)
        assert there == ["memoryview", view.readonly, view.format, view.tolist()]
        assert back == view


def test_a_large_argument_that_stands_twice_is_one_object(shared_app):
    large = list(range(400_000))
    task = shared_app.task(lambda one, other, n: (one is other, one is not n, len(one)))
    assert task.starmap([(large, large, n) for n in range(3)]).get(timeout=60) == [(True, True, 400_000)] * 3


@pytest.mark.parametrize("size", [3, 100_000, 1_000_000], ids=["inline", "in the broker", "in a file"])
def test_a_result_never_changes(shared_app, size):
    handle = shared_app.task(lambda n: {"items": bytearray(n), "more": [1]}).delay(size)
    first = handle.get(timeout=30)
    first["items"][0] = 7
    first["more"].append(2)
    del first["items"][-1]
    for value in (handle.get(), handle.result, handle.get()):
        assert value == {"items": bytearray(size), "more": [1]}
    seen = []
    done = threading.Event()
    handle.then(lambda one: (one.get()["more"].append(3), seen.append(one.get()), done.set()))
    assert done.wait(30)
    assert seen[0]["more"] == [1]
    handle.forget()
    assert handle.get() == {"items": bytearray(size), "more": [1]}
    eager = shared_app.task(lambda: [1]).apply()
    eager.get().append(2)
    assert eager.get() == [1]
    group = shared_app.task(lambda n: [n]).map(range(2))
    group.get(timeout=30)[0].append(5)
    assert group.get() == [[0], [1]]
    assert [one.get() for one in group] == [[0], [1]]


@pytest.mark.parametrize("size", [100_000, 1_000_000], ids=["in the broker", "in a file"])
def test_arrays_of_a_result_are_ones_own(shared_app, size):
    numpy = pytest.importorskip("numpy")
    handle = shared_app.task(lambda n: numpy.zeros(n, dtype="uint8")).delay(size)
    handle.get(timeout=30)[:] = 1
    assert handle.get().sum() == 0
    handle.forget()
    handle.get()[:] = 1
    assert handle.get().sum() == 0


UNREADABLE = """
    class WrongReduce:
        def __reduce__(self):
            return WrongReduce, (1, 2, 3)

    class BadState:
        def __init__(self):
            self.x = 1

        def __setstate__(self, state):
            raise RuntimeError("no state")

    class Needs(Exception):
        def __init__(self, *, code):
            self.code = code

        def __reduce__(self):
            return Needs, ()

    def wrong_reduce(): return [WrongReduce()]
    def bad_state(): return BadState()
    def needs(): return {"e": Needs(code=1)}
    def good(): return [1, "a"]
"""


def test_a_result_that_cannot_be_read_again_is_its_calls_failure(shared_app, notebook):
    notebook.run(UNREADABLE)
    for name, said in [("wrong_reduce", "TypeError"), ("bad_state", "no state"), ("needs", "code")]:
        handle = shared_app.task(notebook[name]).delay()
        with pytest.raises(
            nbtasks.NotPicklable, match=f"(?s)result of call {handle.id}.*not be read again.*{said}"
        ):
            handle.get(timeout=30)
        assert handle.state == "FAILURE"
    assert shared_app.task(notebook["good"]).delay().get(timeout=30) == [1, "a"]


def test_a_result_that_only_this_process_cannot_read(shared_app, notebook):
    notebook.run(
        """
        import os

        def rebuilt(pid):
            if os.getpid() == pid:
                raise LookupError("not here")
            return Elsewhere(pid)

        class Elsewhere:
            def __init__(self, pid):
                self.pid = pid

            def __reduce__(self):
                return rebuilt, (self.pid,)

        def make(pid):
            return Elsewhere(pid)
        """
    )
    task = shared_app.task(notebook["make"])
    handle = task.delay(os.getpid())
    with pytest.raises(
        nbtasks.NotPicklable, match=f"call {handle.id} of make has succeeded.*LookupError: not here"
    ):
        handle.get(timeout=30)
    assert handle.state == "SUCCESS"
    assert isinstance(handle.result, nbtasks.NotPicklable)
    group = task.map([1, os.getpid()])
    with pytest.raises(nbtasks.NotPicklable, match=":1 of make has succeeded"):
        group.get(timeout=30)
    values = group.get(propagate=False)
    assert type(values[0]).__name__ == "Elsewhere"
    assert isinstance(values[1], nbtasks.NotPicklable)
