"""What the standard library and others wrap functions and values in is there as it is here."""

from __future__ import annotations

import re

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
        def tvt(*a: Ts): return Ts.__name__
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


def test_what_stays_says_so(shared_app, notebook):
    notebook.run(
        """
        import concurrent.futures, threading
        going = (n for n in range(3))
        unfinished = concurrent.futures.Future()
        lock = threading.Lock()
        """
    )
    for name, said in [("going", "generator"), ("unfinished", "has not come to an end"), ("lock", "lock")]:
        with pytest.raises(nbtasks.NotPicklable, match=said):
            shared_app.task(lambda value: value).delay(notebook[name])
