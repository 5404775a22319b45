"""Instances, members and classes of the notebook and of the modules beside it."""

import abc
import enum
import functools
import typing
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field

import shapes
from everything import twice
from notebook import value
from shapes import Circle, Color, Disc, ShapeError


class Plain:
    shared = ["class"]

    def __init__(self, **facts):
        self.__dict__.update(facts)

    def method(self):
        return vars(self)


class WithSlots:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


class SlotsAndDict(WithSlots):
    def __init__(self, a):
        super().__init__(a)
        self.c = 3


class OnlyWeak:
    __slots__ = ("__weakref__", "a")


@dataclass
class Data:
    a: int = 1
    b: list = field(default_factory=list)
    hidden: str = field(default="h", repr=False, compare=False)


@dataclass(frozen=True)
class Frozen:
    a: tuple = ()


@dataclass(slots=True)
class DataSlots:
    a: int
    b: "DataSlots | None" = None


@dataclass(frozen=True, slots=True, order=True)
class FrozenSlots:
    a: int
    b: float = 0.5


class Grade(enum.Enum):
    GOOD = 1
    BAD = "bad"

    def better(self):
        return Grade.GOOD


class Flags(enum.Flag):
    A = enum.auto()
    B = enum.auto()


class Number(enum.IntEnum):
    ONE = 1


class Word(str, enum.Enum):
    A = "a"


class Planet(enum.Enum):
    EARTH = (5.9, 6.3)

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius


class Row(typing.NamedTuple):
    a: int
    b: str = "b"


Pair = namedtuple("Pair", "left right")


class Options(typing.TypedDict):
    a: int


class Listed(list):
    pass


class Dicted(dict):
    def __init__(self, *args, note=None, **kw):
        super().__init__(*args, **kw)
        self.note = note


class Ordered(OrderedDict):
    pass


class Metres(float):
    pass


class Name(str):
    __slots__ = ()


class Whole(int):
    unit = "m"


class Tupled(tuple):
    def __new__(cls, *items):
        return super().__new__(cls, items)


class Reduced:
    def __init__(self, a, b):
        self.a, self.b = a, b

    def __reduce__(self):
        return type(self), (self.a, self.b)


class NewArgs:
    def __new__(cls, key):
        made = super().__new__(cls)
        made.key = key
        return made

    def __getnewargs__(self):
        return (self.key,)


class States:
    def __init__(self):
        self.kept = 1
        self.left_out = "made again"

    def __getstate__(self):
        return {"kept": self.kept}

    def __setstate__(self, state):
        self.__dict__.update(state, left_out="made again")


class Meta(type):
    made = []

    def __init__(cls, name, bases, space):
        super().__init__(name, bases, space)
        Meta.made.append(name)


class ByMeta(metaclass=Meta):
    x = 1


class Abstract(abc.ABC):
    @abc.abstractmethod
    def f(self): ...


class Concrete(Abstract):
    def f(self):
        return 1


class Own(Exception):
    pass


class KeywordOnly(Exception):
    def __init__(self, *, code):
        super().__init__()
        self.code = code


class CanBeCalled:
    def __call__(self, x):
        return x


class Hostile:
    def __repr__(self):
        raise RuntimeError("no repr")

    def __eq__(self, other):
        raise RuntimeError("no eq")

    __hash__ = object.__hash__

    def __len__(self):
        raise RuntimeError("no len")


class Forwards:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return f"made {name}"


class Parent:
    def __init__(self):
        self.children = [Child(self)]


class Child:
    def __init__(self, parent):
        self.parent = parent


T = typing.TypeVar("T")
UserId = typing.NewType("UserId", int)


class Box(typing.Generic[T]):
    def __init__(self, content):
        self.content = content


class CallsBack:
    def __init__(self):
        self.callback = self.go

    def go(self):
        return 1


ring = Plain(name="ring")
ring.next = ring
slots = WithSlots(1)
slots.b = slots
weak = OnlyWeak()
weak.a = [1]
both = Plain(a=1)


@functools.lru_cache(maxsize=4)
def cached(n):
    return n


@functools.singledispatch
def told(x):
    return "any"


@told.register
def _told_int(x: int):
    return "int"


def with_notes(error):
    if hasattr(error, "add_note"):
        error.add_note("note")
    return error


def caused(error, cause):
    error.__cause__ = cause
    return error


class Node:
    """A node of a graph."""

    def __init__(self, label):
        self.label = label
        self.near = set()
        self.weights = {}

    def __hash__(self):
        return hash(self.label)

    def __eq__(self, other):
        return type(other) is Node and self.label == other.label


nodes = [Node(n) for n in range(3)]
for node in nodes:
    node.near.update(nodes)
    node.weights.update({other: other.label * 2 for other in reversed(nodes)})
frozen = Node("frozen")
frozen.near = frozenset({frozen})


value(
    nodes_that_know_each_other=nodes,
    a_node_of_a_frozenset=frozen,
    an_instance=Plain(a=1, b=[Plain(c=2)]),
    an_empty_instance=Plain(),
    an_instance_in_itself=ring,
    parents_and_children=Parent(),
    an_instance_twice=[both, both, {"k": both}],
    an_instance_with_slots=slots,
    slots_not_all_set=WithSlots("only a"),
    slots_and_a_dict=SlotsAndDict(2),
    slots_with_weak_references=weak,
    a_dataclass=Data(2, ["x"]),
    a_frozen_dataclass=Frozen((1, 2)),
    a_dataclass_with_slots=DataSlots(1, DataSlots(2)),
    a_frozen_dataclass_with_slots=FrozenSlots(1),
    a_set_of_frozen_dataclasses={FrozenSlots(1), FrozenSlots(2)},
    a_member=Grade.BAD,
    members_as_keys={Grade.GOOD: 1, Number.ONE: 2},
    flags_together=Flags.A | Flags.B,
    no_flags=Flags(0),
    an_int_member=Number.ONE,
    a_str_member=Word.A,
    a_member_with_its_own_init=Planet.EARTH,
    an_enum=Grade,
    a_named_tuple=Row(1),
    a_collections_named_tuple=Pair(1, Pair(2, 3)),
    a_typed_dict=Options(a=1),
    a_subclass_of_list=Listed([1, Listed()]),
    a_subclass_of_dict=Dicted({"a": 1}, note="n"),
    a_subclass_of_ordered_dict=Ordered(a=1),
    a_subclass_of_float=Metres(-0.0),
    a_subclass_of_str=Name("n"),
    a_subclass_of_int=Whole(5),
    a_subclass_of_tuple=Tupled(1, 2),
    an_instance_with_reduce=Reduced(1, [2]),
    an_instance_with_newargs=NewArgs("k"),
    an_instance_with_getstate=States(),
    an_instance_of_a_metaclass=ByMeta(),
    a_class_of_a_metaclass=ByMeta,
    an_instance_of_an_abstract_class=Concrete(),
    an_own_exception=Own("x", 1),
    an_exception_with_notes=with_notes(Own("n")),
    an_exception_with_a_cause=caused(Own("outer"), ValueError("inner")),
    an_exception_with_keywords_only=KeywordOnly(code=5),
    exceptions_in_a_list=[Own("a"), KeyError("k")],
    a_callable_instance=CanBeCalled(),
    an_instance_that_minds_everything=Hostile(),
    an_instance_that_has_all_attributes=Forwards(),
    a_generic_instance=Box([1]),
    a_generic_class=Box[int],
    an_instance_that_calls_back=CallsBack(),
    an_own_class=Plain,
    own_classes_in_a_dict={Plain: 1, Circle: 2},
    a_bound_method=ring.method,
    a_new_type=UserId,
    a_cached_function=cached,
    a_single_dispatch_function=told,
    an_instance_of_a_module=Circle(1.5, Color.BLUE, ["t"]),
    a_subclass_of_a_modules_class=Disc(2),
    a_member_of_a_module=Color.RED,
    a_class_of_a_module=Circle,
    an_exception_of_a_module=ShapeError("m", Circle(1)),
    a_function_of_a_module=twice,
    a_module_of_the_notebook=shapes,
    a_property_of_a_module=Circle.area,
    a_partial_of_a_module=functools.partial(twice, 4),
)
