"""Classes of the notebook: attributes, inheritance, registers, descriptors, metaclasses, dataclasses, enums."""

import abc
import collections
import enum
import functools
import typing
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, Generic, NamedTuple, NewType, Optional, Protocol, TypedDict, TypeVar

from notebook import item

T = TypeVar("T")
UserId = NewType("UserId", int)
SIZE = 4


class Config:
    rate = 1
    names = ["a"]
    size = SIZE


@item
def class_attributes():
    return Config.rate, Config.names, Config.size


@item
def class_attributes_changed_by_the_call():
    Config.rate += 1
    Config.names.append("b")
    return Config.rate, Config.names


class Base:
    def __init__(self, x=1):
        self.x = x

    def who(self):
        return [f"Base {self.x}"]

    @classmethod
    def made(cls, x):
        return cls(x)

    @staticmethod
    def plain(x):
        return x, __class__.__name__


class Child(Base):
    def __init__(self, x=2):
        super().__init__(x)
        self.kind = __class__.__name__

    def who(self):
        return ["Child", *super().who(), self.kind]


class Other(Base):
    def who(self):
        return ["Other", *super().who()]


class Diamond(Child, Other):
    def who(self):
        return ["Diamond", *super().who()]


@item
def super_without_arguments():
    return Diamond(5).who(), [c.__name__ for c in Diamond.__mro__]


@item
def class_methods_and_static_methods():
    return Diamond.made(3), Base.plain(1), type(Child.made(1)) is Child


@item
def isinstance_and_issubclass():
    return isinstance(Diamond(), Base), issubclass(Child, Base), type(Child()) is Child, isinstance(1, Base)


captured_child = Child(9)


@item
def a_captured_instance():
    captured_child.x += 1
    return captured_child, isinstance(captured_child, Child), captured_child.who()


@item
def an_instance_comes_back():
    return Child(7)


@item
def a_class_comes_back():
    return Child, Config, [Base, int]


class Counted:
    made = 0
    all = []

    def __init__(self):
        type(self).made += 1
        Counted.all.append(self)


@item
def a_class_that_counts():
    Counted()
    Counted()
    return Counted.made, len(Counted.all)


plugins = {}


class Plugin:
    def __init_subclass__(cls, /, name=None, **rest):
        super().__init_subclass__(**rest)
        if name in plugins:
            raise ValueError("registered already")
        plugins[name] = cls


class Csv(Plugin, name="csv"):
    ending = ".csv"


class Json(Plugin, name="json"):
    ending = ".json"


@item
def subclasses_register_themselves():
    return {name: (cls.ending, cls is {"csv": Csv, "json": Json}[name]) for name, cls in plugins.items()}


@item
def a_register_finds_its_class():
    return plugins["csv"](), type(plugins["json"]()) is Json


made_by_meta = []


class Meta(type):
    def __new__(mcs, name, bases, space, **options):
        made_by_meta.append(name)
        cls = super().__new__(mcs, name, bases, space)
        cls.fields = [key for key, part in space.items() if isinstance(part, Field)]
        cls.options = options
        return cls

    def __getitem__(cls, key):
        return cls.__name__, key

    def __call__(cls, *args):
        made = super().__call__(*args)
        made.called = True
        return made

    def __contains__(cls, key):
        return key in cls.fields


class Field:
    def __init__(self, default):
        self.default = default

    def __set_name__(self, owner, name):
        self.name = name
        self.owner = owner

    def __get__(self, instance, owner):
        return self if instance is None else vars(instance).get(self.name, self.default)

    def __set__(self, instance, value):
        vars(instance)[self.name] = value * 2


class Model(metaclass=Meta, strict=True):
    a = Field(1)
    b = Field("x")


@item
def a_metaclass():
    return made_by_meta, Model.fields, Model.options, Model["k"], "a" in Model, type(Model) is Meta


@item
def descriptors():
    model = Model()
    model.b = "y"
    return model.a, model.b, Model.a.name, Model.a.owner is Model, model.called


@item
def an_instance_of_a_class_with_a_metaclass():
    return Model()


class Single(type):
    instances = {}

    def __call__(cls, *args):
        if cls not in cls.instances:
            cls.instances[cls] = super().__call__(*args)
        return cls.instances[cls]


class Only(metaclass=Single):
    pass


the_only = Only()


@item
def a_singleton():
    return Only() is the_only, Only() is Only()


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...

    @property
    @abc.abstractmethod
    def sides(self): ...


class Square(Shape):
    sides = 4

    def area(self):
        return 4


@Shape.register
class Blob:
    pass


@item
def abstract_classes():
    try:
        Shape()
    except TypeError as error:
        refused = str(error)
    return (
        refused,
        Square().area(),
        isinstance(Square(), Shape),
        isinstance(Blob(), Shape),
        issubclass(int, Shape),
    )


class Sized(Protocol):
    def __len__(self): ...


@typing.runtime_checkable
class Named(Protocol):
    name: str


@item
def protocols():
    return isinstance(Model.a, Named), isinstance(3, Named)


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list = field(default_factory=list)
    scale: ClassVar[float] = 2.0

    def __post_init__(self):
        self.sum = self.x + self.y


@dataclass(frozen=True, order=True)
class Version:
    major: int
    minor: int = field(default=0, compare=True)
    note: str = field(default="", compare=False, repr=False)


@dataclass(slots=True, kw_only=True)
class Slotted:
    a: int
    b: "Optional[Slotted]" = None


@item
def dataclasses_here_and_there():
    p, q = Point(1, 2), Point(1, 2)
    p.tags.append("p")
    return p, q, p == q, asdict(replace(p, x=5)), Point.scale, repr(p)


@item
def frozen_and_ordered():
    try:
        Version(1).major = 2
    except Exception as error:
        refused = type(error).__name__, str(error)
    return (
        refused,
        sorted([Version(2), Version(1, 5)]),
        {Version(1): "a"}[Version(1)],
        hash(Version(1)) == hash(Version(1)),
    )


@item
def slots():
    return Slotted(a=1, b=Slotted(a=2)), Slotted.__slots__


class Weak:
    __slots__ = ("__weakref__", "a")


@item
def slots_with_weak_references():
    import weakref

    weak = Weak()
    weak.a = 1
    return weakref.ref(weak)().a, weak


class Temperature:
    def __init__(self, celsius):
        self._celsius = celsius

    @property
    def fahrenheit(self):
        """In degrees."""
        return self._celsius * 9 / 5 + 32

    @fahrenheit.setter
    def fahrenheit(self, value):
        self._celsius = (value - 32) * 5 / 9

    @functools.cached_property
    def kelvin(self):
        return self._celsius + 273.15


@item
def properties():
    t = Temperature(100)
    before = t.fahrenheit
    t.fahrenheit = 32
    return before, t._celsius, Temperature.fahrenheit.__doc__


@item
def cached_properties():
    t = Temperature(0)
    return t.kelvin, vars(t), t.kelvin is t.kelvin


class Paint(enum.Enum):
    RED = "r"
    GREEN = "g"
    ALIAS = "r"

    @property
    def nice(self):
        return self.name.title() + LIMITS[self]

    @classmethod
    def first(cls):
        return next(iter(cls))


LIMITS = {Paint.RED: "!", Paint.GREEN: "?"}


class Permission(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()
    ALL = READ | WRITE

    def letters(self):
        return "".join(letter for flag, letter in LETTERS.items() if flag in self)


LETTERS = {Permission.READ: "r", Permission.WRITE: "w"}


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@item
def enums():
    return (
        Paint.RED,
        Paint("g") is Paint.GREEN,
        Paint.ALIAS is Paint.RED,
        Paint.RED.nice,
        Paint.first(),
        list(Paint),
    )


@item
def flags():
    return (
        Permission.READ | Permission.WRITE,
        Permission.ALL & Permission.READ,
        Permission.READ in Permission.ALL,
    )


@item
def int_enums():
    return Level.HIGH > Level.LOW, Level(2), Level.LOW + 1, sorted(Level, reverse=True)


class Employee(NamedTuple):
    name: str
    age: int = 30

    def older(self):
        return self._replace(age=self.age + 1)


Pair = collections.namedtuple("Pair", "a b", defaults=[2])


class Movie(TypedDict, total=False):
    title: str


@item
def named_tuples():
    return Employee("A").older(), Pair(1), Pair._fields, Employee("B") == ("B", 30), Pair(1)._asdict()


@item
def typed_dicts():
    return Movie(title="M"), Movie.__annotations__.keys(), Movie.__total__


class Stack(Generic[T]):
    def __init__(self):
        self.items: list[T] = []


@item
def generics():
    stack = Stack[int]()
    stack.items.append(1)
    return stack.items, Stack[int].__origin__ is Stack, stack


@item
def new_types():
    return UserId(5), UserId.__name__


def by_id(user: UserId) -> Optional[UserId]:
    return user


@item
def annotations_with_new_types():
    return by_id(UserId(3)), by_id.__annotations__["user"].__name__


class Node:
    next: "Optional[Node]" = None
    weight: "Weight"


class Weight:
    pass


@item
def type_hints_with_forward_references():
    hints = typing.get_type_hints(Node)
    return hints["next"] == Optional[Node], hints["weight"] is Weight


@item
def type_hints_with_names_handed_over():
    return (
        typing.get_type_hints(Node, {"Optional": Optional, "Node": Node, "Weight": Weight})["weight"]
        is Weight
    )


class Proxy:
    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        return getattr(self._target, name)


proxied = Proxy([3, 1, 2])


@item
def a_proxy():
    proxied.sort()
    return proxied._target, proxied.count(1), Proxy({"a": 1}).keys()


class Dynamic:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name.upper()

    def __setattr__(self, name, value):
        super().__setattr__(name, [value])

    def __delattr__(self, name):
        super().__setattr__("deleted", name)


@item
def attributes_made_when_asked_for():
    d = Dynamic()
    d.a = 1
    del d.b
    return d.a, d.missing, d.deleted


class Money:
    def __init__(self, amount):
        self.amount = amount

    def __add__(self, other):
        return Money(self.amount + getattr(other, "amount", other))

    __radd__ = __add__

    def __eq__(self, other):
        return isinstance(other, Money) and self.amount == other.amount

    def __hash__(self):
        return hash(self.amount)

    def __bool__(self):
        return bool(self.amount)

    def __format__(self, spec):
        return f"{self.amount:{spec or '.2f'}} EUR"

    def __contains__(self, x):
        return x < self.amount

    def __getitem__(self, i):
        return (self.amount, i)

    def __call__(self, x=0):
        return self.amount * x

    def __matmul__(self, other):
        return "matmul"


@item
def operators():
    m = Money(2)
    return (
        sum([m, Money(3)]),
        m == Money(2),
        {m: 1}[Money(2)],
        f"{m}",
        1 in m,
        m[1:2],
        m(4),
        m @ m,
        bool(Money(0)),
    )


class Ordered:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other.n

    def __eq__(self, other):
        return self.n == other.n

    __hash__ = None


Ordered = functools.total_ordering(Ordered)


@item
def total_ordering():
    return Ordered(1) <= Ordered(1), max_of([Ordered(1), Ordered(3)]).n, Ordered.__hash__


def max_of(things):
    return sorted(things)[-1]


class WithState:
    def __init__(self):
        self.data, self.open = [1], True

    def __getstate__(self):
        return {"data": self.data}

    def __setstate__(self, state):
        self.__dict__.update(state, open=False)


with_state = WithState()


@item
def an_instance_is_captured_by_its_getstate():
    return with_state.data, WithState().open


class Outer:
    class Inner:
        def __init__(self, v):
            self.v = v

    def make(self):
        return self.Inner(3)


@item
def nested_classes():
    return Outer().make(), Outer.Inner.__qualname__, type(Outer().make()) is Outer.Inner


@item
def a_class_in_the_function():
    class Local(Base):
        seen = []

        def who(self):
            return ["Local", *super().who()]

    return Local(4).who(), Local.__qualname__


@item
def a_class_made_by_type():
    Made = type("Made", (Base,), {"extra": property(lambda self: self.x + SIZE)})
    return Made(1).extra, Made.__name__


def with_repr(cls):
    cls.__repr__ = lambda self: f"<{cls.__name__} {vars(self)}>"
    cls.decorated = True
    return cls


@with_repr
class Decorated:
    def __init__(self):
        self.a = 1


@item
def a_decorated_class():
    return repr(Decorated()), Decorated.decorated


class Patched:
    def value(self):
        return 1


Patched.value = lambda self: SIZE
Patched.extra = "patched in"


@item
def a_patched_class():
    return Patched().value(), Patched.extra


class TemplateDict(dict):
    def __missing__(self, key):
        return f"<{key}>"


class Celsius(float):
    unit = "C"

    def __new__(cls, value):
        return super().__new__(cls, value + 0.5)


class Twofold(collections.namedtuple("Twofold", "one two")):
    def __new__(cls, one):
        return super().__new__(cls, one, one * 2)


class Triple(tuple):
    def __new__(cls, *parts, note=None):
        made = super().__new__(cls, parts)
        made.note = note
        return made


kept = Twofold(1), Triple(1, 2, 3, note="n"), Celsius(1)


@item
def instances_that_new_would_change():
    return kept, kept[1].note, Twofold(2)


class Wrapped:
    __slots__ = ("inner", "more")

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


wrapped_list = Wrapped([1, Wrapped({"a": 1})])


@item
def a_proxy_with_slots():
    return wrapped_list.count(1), wrapped_list, wrapped_list.inner[1].keys()


@item
def subclasses_of_builtin_types():
    missing = TemplateDict(a=1)
    missing.note = "n"
    return missing["b"], missing, "{a}".format_map(missing), Celsius(1), Celsius.unit


class Mixin:
    registry: ClassVar[dict] = {}

    @classmethod
    def add(cls, key):
        def put(function):
            cls.registry[key] = function
            return function

        return put


class Handler(Mixin):
    @Mixin.add("hello")
    def hello(self, name):
        return f"hello {name}"


@item
def methods_in_a_register():
    return {key: function(Handler(), "you") for key, function in Mixin.registry.items()}


class Lazy:
    def __class_getitem__(cls, key):
        return cls.__name__, key


@item
def class_getitem():
    return Lazy[int], Lazy[1, 2]


@item
def mro_and_dir():
    return (
        [c.__name__ for c in Child.__mro__],
        [n for n in dir(Child) if not n.startswith("_")],
        sorted(vars(Child())),
    )


@item
def bound_methods():
    methods = [Child(1).who, Base.plain, Child.made]
    return methods[0](), methods[1](2), type(methods[2](3)).__name__


child_who = captured_child.who


@item
def a_captured_bound_method():
    return child_who()[0], child_who.__self__.kind


class Meters:
    def __init__(self, n):
        self.n = n

    def __reduce__(self):
        return (Meters, (self.n,))

    def __eq__(self, other):
        return self.n == other.n

    def __hash__(self):
        return self.n


lengths = {Meters(1): "one", Meters(2): "two"}


@item
def keys_of_the_notebooks_class():
    return lengths[Meters(2)], Meters(3) in lengths, sorted(m.n for m in lengths)


T_co = TypeVar("T_co", bound=Base, covariant=True)


@item
def type_variables():
    return T.__name__, T_co.__bound__ is Base, T_co.__covariant__


def typed(x: "T") -> "T":
    return x


@item
def hints_that_name_type_variables():
    return typing.get_type_hints(typed)["x"] is T


class Chain:
    def __init__(self):
        self.parts = []

    def __enter__(self):
        self.parts.append("in")
        return self

    def __exit__(self, kind, error, trace):
        self.parts.append(kind and kind.__name__)
        return True


@item
def a_context_manager_class():
    with Chain() as chain:
        chain.parts.append("body")
        1 / 0
    return chain.parts


class Iterates:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n

    def __reversed__(self):
        return "reversed"


@item
def own_iteration():
    a, *b = Iterates(3)
    return a, b, len(Iterates(2)), reversed(Iterates(1)), list(zip(Iterates(2), "ab"))


@item
def an_own_class_pickled_in_the_call():
    import pickle

    again = pickle.loads(pickle.dumps(Child(3)))
    return again, type(again) is Child


@item
def an_own_instance_copied_in_the_call():
    import copy

    again = copy.deepcopy(Child(4))
    return again, type(again) is Child, copy.copy(Paint.RED) is Paint.RED


class Director:
    pass


Crew = list[Director]


@item
def hints_of_classes_that_are_made_in_the_call():
    class Movie(typing.TypedDict):
        director: "typing.Optional[Director]"
        crew: "Crew"

    class Scene(typing.NamedTuple):
        actor: "Director" = None

    return typing.get_type_hints(Movie), typing.get_type_hints(Scene)
