"""Kinds of classes that a notebook may have: what a task makes of them there is right, and comes back as its own."""

from __future__ import annotations

import pytest

SOON = 60.0

#: Cells with a task, and what says whether its result is right; the latter runs in the notebook.
KINDS = {
    "namedtuple fn": """
        import collections
        P = collections.namedtuple('P', 'a b')

        def task():
            return P(1, 2)

        def right(result):
            return type(result) is P
        """,
    "enum functional": """
        import enum
        C = enum.Enum('C', 'A B')

        def task():
            return C.A

        def right(result):
            return result is C.A
        """,
    "make_dataclass": """
        import dataclasses
        D = dataclasses.make_dataclass('D', ['a'])

        def task():
            return D(1)

        def right(result):
            return result == D(1)
        """,
    "type()": """
        T = type('T', (), {'x': 1})

        def task():
            return T()

        def right(result):
            return type(result) is T
        """,
    "result class": """
        class A:
            x = 1

        def task():
            return A

        def right(result):
            return result is A
        """,
    "result method": """
        class A:

            def m(self):
                return 5
        a = A()

        def task():
            return a.m

        def right(result):
            return result() == 5 and type(result.__self__) is A
        """,
    "weakset": """
        import weakref

        class A:
            all = weakref.WeakSet()

            def __init__(s):
                A.all.add(s)

        def task():
            a = A()
            return len(A.all)

        def right(result):
            return result == 1
        """,
    "super": """
        class A:

            def f(self):
                return 1

        class B(A):

            def f(self):
                return super().f() + 1

            @classmethod
            def c(cls):
                return cls

            @staticmethod
            def s():
                return __class__

        def task():
            return (B().f(), B.c() is B, B.s() is B)

        def right(result):
            return result == (2, True, True)
        """,
    "init_subclass slots multi": """
        class A:
            __slots__ = ()

            def __init_subclass__(c):
                raise ValueError

        class B:
            __slots__ = ('b',)
        C = None
        try:

            class C(B):
                pass
        except ValueError:
            pass

        def task():
            return C().__class__ is C

        def right(result):
            return result
        """,
    "subclasshook": """
        import abc

        class H(abc.ABC):

            @classmethod
            def __subclasshook__(c, o):
                return hasattr(o, 'zz')

        class Z:
            zz = 1

        def task():
            return (isinstance(Z(), H), isinstance(3, H))

        def right(result):
            return result == (True, False)
        """,
    "class_getitem": """
        class A:

            def __class_getitem__(c, i):
                return (c, i)

        def task():
            return A[3]

        def right(result):
            return result == (A, 3)
        """,
    "userdict": """
        import collections

        class U(collections.UserDict):

            def g(self):
                return 1

        def task():
            u = U(a=1)
            return (u, u.g())

        def right(result):
            return result[0] == {'a': 1} and type(result[0]) is U
        """,
    "meta call": """
        class M(type):
            inst = {}

            def __call__(c, *a):
                if c not in M.inst:
                    M.inst[c] = super().__call__(*a)
                return M.inst[c]

        class S(metaclass=M):

            def __init__(s):
                s.v = 1
        s = S()

        def task():
            return (S() is s, len(M.inst))

        def right(result):
            return result == (True, 1)
        """,
    "nested enum": """
        import enum

        class A:

            class K(enum.Enum):
                X = 1
            k = K.X

        def task():
            return (A.k, A.K.X is A.k)

        def right(result):
            return result == (A.K.X, True)
        """,
    "flag iter": """
        import enum

        class F(enum.IntFlag):
            A = 1
            B = 2

        def task():
            return (F(3), F.A | F.B is F(3), F(8 | 1))

        def right(result):
            return result[0] is F(3)
        """,
    "unhashable enum": """
        import enum

        class E(enum.Enum):
            A = [1]
            B = {'x': 1}

        def task():
            return (E.A, E([1]) is E.A)

        def right(result):
            return result == (E.A, True)
        """,
    "enum new": """
        import enum

        class Co(bytes, enum.Enum):

            def __new__(c, v, l):
                o = bytes.__new__(c, [v])
                o._value_ = v
                o.l = l
                return o
            A = (0, 'a')
            B = (1, 'b')

        def task():
            return (Co.A, Co(1).l, Co.B[0])

        def right(result):
            return result == (Co.A, 'b', 1)
        """,
    "date enum": """
        import enum, datetime

        class D(datetime.date, enum.Enum):
            X = (2020, 1, 2)

        def task():
            return (D.X, D.X.year)

        def right(result):
            return result[0] is D.X and result[1] == 2020
        """,
    "dataclass enum": """
        import enum, dataclasses

        @dataclasses.dataclass
        class M:
            a: int
            b: int

        class E(M, enum.Enum):
            X = (1, 2)

        def task():
            return (E.X, E.X.a + E.X.b)

        def right(result):
            return result[0] is E.X and result[1] == 3
        """,
    "metaclass of enum": """
        import enum

        class ME(enum.EnumMeta):

            def __getitem__(c, k):
                return super().__getitem__(k.upper())

        class E(enum.Enum, metaclass=ME):
            A = 1

        def task():
            return E['a'] is E.A

        def right(result):
            return result
        """,
    "dc inherit slots": """
        import dataclasses

        @dataclasses.dataclass(slots=True)
        class A:
            a: int = 1

        @dataclasses.dataclass(slots=True)
        class B(A):
            b: int = 2

        def task():
            return B(3)

        def right(result):
            return result == B(3) and (not hasattr(result, '__dict__'))
        """,
    "dc frozen slots weakref": """
        import dataclasses, sys
        kw = {'weakref_slot': True} if sys.version_info >= (3, 11) else {}

        @dataclasses.dataclass(frozen=True, slots=True, **kw)
        class A:
            a: int = 1
            l: list = dataclasses.field(default_factory=list)

        def task():
            return A(3)

        def right(result):
            return result == A(3)
        """,
    "protocol": """
        import typing

        class P(typing.Protocol):
            x: int

            def f(self) -> int:
                ...

        class I(P):
            x = 1

            def f(self):
                return 2

        def task():
            return (I().f(), I.__mro__[1] is P)

        def right(result):
            return result == (2, True)
        """,
    "descriptor": """
        class D:

            def __set_name__(s, o, n):
                s.n = n
                o.reg = getattr(o, 'reg', []) + [n]

            def __get__(s, i, o):
                return s.n

        class A:
            x = D()
            y = D()

        def task():
            return (A.x, A.reg)

        def right(result):
            return result == ('x', ['x', 'y'])
        """,
    "attr order": """
        class A:
            z = 1
            a = 2
            m = 3

        def task():
            return [k for k in vars(A) if not k.startswith('__')]

        def right(result):
            return result == ['z', 'a', 'm']
        """,
    "typed dict": """
        import typing

        class T(typing.TypedDict):
            a: int

        def task():
            return (T(a=1), T.__annotations__, T.__required_keys__)

        def right(result):
            return result[0] == {'a': 1}
        """,
    "vars private": """
        class A:
            __x = 1

            def g(self):
                return self.__x

        def task():
            A._A__x = 5
            return A().g()

        def right(result):
            return result == 5 and A().g() == 1
        """,
    "closure class": """
        def make(n):

            class K:
                v = n

                def f(self):
                    return n + K.v
            return K
        K = make(3)

        def task():
            return K().f()

        def right(result):
            return result == 6
        """,
    "two of one name": """
        class A:
            v = 1
        B = A

        class A:
            v = 2

        def task():
            return (B.v, A.v, B(), A())

        def right(result):
            return result[:2] == (1, 2) and type(result[2]) is B and (type(result[3]) is A)
        """,
    "mro": """
        class A:
            pass

        class B(A):
            pass

        class C(A):
            pass

        class D(B, C):

            def __init_subclass__(c):
                pass

        class E(D):
            pass

        def task():
            return [k.__name__ for k in E.__mro__]

        def right(result):
            return result == ['E', 'D', 'B', 'C', 'A', 'object']
        """,
    "subclasses": """
        class A:
            pass

        class B(A):
            pass

        class C(A):
            pass
        keep = (B, C)

        def task():
            return (sorted((k.__name__ for k in A.__subclasses__())), keep)

        def right(result):
            return result[0] == ['B', 'C']
        """,
    "int subclass init_subclass": """
        class Base(int):

            def __init_subclass__(c, **k):
                raise ValueError
        T = type.__new__

        def task():
            return Base(3) + 1

        def right(result):
            return result == 4
        """,
    "exc init_subclass": """
        reg = []

        class Base(Exception):

            def __init_subclass__(c, **k):
                reg.append(c.__name__)

        class E1(Base):
            pass

        def task():
            return (reg, E1('x').args, E1('y'))

        def right(result):
            return result[0] == ['E1'] and type(result[2]) is E1 and (reg == ['E1'])
        """,
    "docstring": """
        class A:
            "hello"

            def f(self):
                "there"

        def task():
            return (A.__doc__, A.f.__doc__, A.__qualname__, A.__module__, A.f.__qualname__)

        def right(result):
            return result == ('hello', 'there', 'A', '__main__', 'A.f')
        """,
    "del attr": """
        class A:
            x = 1

        def task():
            del A.x
            return hasattr(A, 'x')

        def right(result):
            return result is False and A.x == 1
        """,
    "instances in class": """
        class A:
            items = []

            def __init__(s, n):
                s.n = n
                A.items.append(s)
        x = A(1)
        y = A(2)

        def task():
            A(3)
            return ([i.n for i in A.items], A.items[0] is x)

        def right(result):
            return result == ([1, 2, 3], True) and len(A.items) == 2
        """,
    "graph": """
        class N:

            def __init__(s):
                s.o = None
        a = N()
        b = N()
        a.o = b
        b.o = a

        def task():
            a.o.o.z = 1
            return (a.o.o is a, hasattr(b, 'z'))

        def right(result):
            return result == (True, False) and (not hasattr(a, 'z'))
        """,
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_classes(shared_app, notebook, kind):
    notebook.run(KINDS[kind])
    task, right = shared_app.task(notebook["task"]), notebook["right"]
    results = [task.apply().get(), *(task.delay().get(timeout=SOON) for _ in range(3))]
    assert [right(result) for result in results] == [True] * 4
