# %%
import enum
import functools
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Generic, NamedTuple, Optional, TypeVar

SIZE = 3
T = TypeVar("T")


class Base:
    tag = "base"

    def __init__(self, x=1):
        self.x = x

    def who(self):
        return [type(self).__name__, self.x]


# %% task a_class_of_the_notebook
Base(2).who(), Base.tag, isinstance(Base(), Base)

# %% task an_instance_of_the_notebooks_class
Base(5)


# %%
class Config:
    rate = 1


def rate():
    return Config.rate


# %% task a_class_attribute_set_in_the_cell
Config.rate = 9
rate()

# %% task a_class_attribute_not_set_any_more
rate()


# %% task a_class_in_the_cell
class Local:
    size = SIZE

    def __init__(self):
        self.a = SIZE

    def double(self):
        return Local().a * 2


Local().double(), Local.size


# %% task a_subclass_in_the_cell
class Child(Base):
    def __init__(self):
        super().__init__(7)

    def who(self):
        return ["child", *super().who()]


Child().who(), issubclass(Child, Base)


# %% task a_dataclass_in_the_cell
@dataclass
class Q:
    v: int
    w: Optional[int] = None
    tags: list = field(default_factory=list)
    scale: ClassVar[int] = SIZE


q = Q(1)
q.tags.append(2)
asdict(q), q == Q(1, None, [2]), Q.scale


# %% task the_repr_of_a_dataclass
@dataclass
class Shown:
    v: int = 1


print(Shown())
repr(Shown(2))


# %% task a_named_tuple_in_the_cell
class Row(NamedTuple):
    a: int
    b: str = "b" * SIZE


Row(1)._asdict(), Row(2) == (2, "bbb")


# %% task an_enum_in_the_cell
class Color(enum.Enum):
    RED = SIZE
    BLUE = enum.auto()

    def next(self):
        return Color.BLUE


Color.RED.next().value, [c.name for c in Color], Color(3) is Color.RED


# %% task a_generic_in_the_cell
class Box(Generic[T]):
    def __init__(self, content: T):
        self.content = content


Box[int](3).content

# %% task the_same_name_in_a_class_body
n = 3


class B:
    n = n


B.n

# %% task a_class_body_that_reads_the_cell
start = 5


class Reads:
    first = start
    second = first + SIZE
    both = [start, second]

    def method(self, a=start):
        return a + start


Reads.both, Reads().method()


# %% task a_decorated_method
def loud(method):
    @functools.wraps(method)
    def wrapper(self):
        return method(self).upper()

    return wrapper


class Speaks:
    @loud
    def say(self):
        return "hi"

    @property
    def size(self):
        return SIZE

    @staticmethod
    def plain():
        return SIZE + 1

    @classmethod
    def made(cls):
        return cls().say()


Speaks().say(), Speaks().size, Speaks.plain(), Speaks.made()


# %% task a_metaclass_in_the_cell
class Meta(type):
    def __new__(mcs, name, bases, space):
        space["made"] = name.lower()
        return super().__new__(mcs, name, bases, space)


class WithMeta(metaclass=Meta):
    pass


WithMeta.made, type(WithMeta).__name__


# %% task class_qualname
class Named:
    class Inner:
        pass


Named.__name__, Named.Inner.__name__, Named.__module__


# %% task an_exception_class_in_the_cell
class Refused(Exception):
    pass


try:
    raise Refused("no", 1)
except Refused as refused:
    caught = refused.args
caught


# %% task slots_in_the_cell
class Slotted:
    __slots__ = ("a",)


s = Slotted()
s.a = SIZE
try:
    s.b = 1
except AttributeError:
    s.a += 1
s.a


# %% task counting_instances
class Counted:
    made = 0

    def __init__(self):
        Counted.made += 1


[Counted() for _ in range(SIZE)]
Counted.made


# %% task a_closure_in_a_class
def make(factor):
    class Scales:
        def times(self, a):
            return a * factor

    return Scales


make(SIZE)().times(2)


# %% task a_singleton_by_new
class Only:
    one = None

    def __new__(cls):
        if cls.one is None:
            cls.one = super().__new__(cls)
        return cls.one


Only() is Only()


# %% task attributes_by_getattr
class Dynamic:
    def __getattr__(self, name):
        return name * 2


Dynamic().ab, getattr(Dynamic(), "x"), hasattr(Dynamic(), "z")


# %% task operators_in_the_cell
class Vector:
    def __init__(self, *parts):
        self.parts = parts

    def __add__(self, other):
        return Vector(*map(sum, zip(self.parts, other.parts)))

    def __eq__(self, other):
        return self.parts == other.parts

    def __iter__(self):
        return iter(self.parts)


list(Vector(1, 2) + Vector(3, 4)), Vector(1) == Vector(1)
