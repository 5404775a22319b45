"""Decorators, caches, generators, context managers, coroutines."""

import asyncio
import contextlib
import functools
import types

from notebook import item


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        print(f"calling {function.__name__}")
        return function(*args, **kwargs)

    return wrapper


def repeated(times):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return [function(*args) for _ in range(times)]

        return wrapper

    return decorate


class Calls:
    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function
        self.n = 0

    def __call__(self, *args):
        self.n += 1
        return self.n, self.function(*args)

    def __get__(self, instance, owner):
        return functools.partial(self, instance)


@item
@logged
def a_decorated_function():
    return "done"


@logged
@repeated(2)
def twice_told(x):
    """Says it twice."""
    return x


@item
def stacked_decorators():
    return twice_told("a"), twice_told.__doc__, twice_told.__wrapped__.__wrapped__("b")


@Calls
def counted(x):
    return x


@item
def a_decorator_with_state():
    return counted("a"), counted("b"), counted.__name__


class HasDecorated:
    @Calls
    def method(self, x):
        return x

    @logged
    def told(self):
        return type(self).__name__


@item
def decorated_methods():
    return HasDecorated().method(1), HasDecorated().told()


memo = {}


def memoized(function):
    @functools.wraps(function)
    def wrapper(n):
        if n not in memo:
            memo[n] = function(n)
        return memo[n]

    return wrapper


@memoized
def slow_fib(n):
    return n if n < 2 else slow_fib(n - 1) + slow_fib(n - 2)


@item
def a_memo_in_a_dict():
    return slow_fib(20), len(memo)


@functools.lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@functools.cache
def cube(n, power=3):
    return n**power


@item
def cached_functions():
    return fib(30), cube(3), fib.__name__, fib.cache_parameters()["maxsize"], fib.__wrapped__(1)


class Area:
    def __init__(self, side):
        self.side = side

    @functools.lru_cache(maxsize=8)
    def area(self):
        return self.side**2


@item
def cached_methods():
    return Area(3).area(), Area.area.cache_parameters()


@functools.singledispatch
def told(value):
    return "anything"


@told.register
def _(value: int):
    return "int"


@told.register(list)
def _told_list(value):
    return ["list", *map(told, value)]


class Teller:
    @functools.singledispatchmethod
    def tell(self, value):
        return "anything"

    @tell.register
    def _(self, value: str):
        return "str"


@item
def single_dispatch():
    return told(1), told([1, "a"]), told(None), sorted(k.__name__ for k in told.registry)


@item
def single_dispatch_of_methods():
    return Teller().tell("a"), Teller().tell(1)


def numbers(n):
    for i in range(n):
        got = yield i
        if got:
            yield got
    return "end"


def delegates():
    end = yield from numbers(2)
    yield end


@item
def generators():
    g = numbers(3)
    return next(g), g.send("sent"), list(g), list(delegates())


@item
def generator_expressions():
    g = (x * y for x in range(3) for y in numbers(x))
    return list(g), sum(i for i in numbers(4)), any(i > 2 for i in numbers(5))


@contextlib.contextmanager
def tagged(name):
    print(f"<{name}>")
    try:
        yield name.upper()
    finally:
        print(f"</{name}>")


@item
def context_managers():
    with tagged("a") as a, tagged("b") as b:
        return a, b


@item
def a_context_manager_around_an_error():
    with tagged("x"):
        raise KeyError("inside")


@item
def exit_stacks_and_suppress():
    with contextlib.ExitStack() as stack, contextlib.suppress(ZeroDivisionError):
        names = [stack.enter_context(tagged(n)) for n in "pq"]
        stack.callback(print, "last")
        1 / 0
    return names


@item
async def a_coroutine():
    await asyncio.sleep(0)
    return "awaited"


async def work(n):
    await asyncio.sleep(0)
    return n * 2


async def stream(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)


class Session:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *info):
        print("closed")

    async def get(self, x):
        return await work(x)


@item
async def gathered_coroutines():
    return await asyncio.gather(*(work(n) for n in range(4)))


@item
async def async_comprehensions():
    return [i async for i in stream(3)], {i: await work(i) async for i in stream(2) if i}


@item
async def async_context_managers():
    async with Session() as session:
        return await session.get(5)


@item
async def tasks_queues_and_timeouts():
    queue = asyncio.Queue()

    async def fill():
        for i in range(3):
            await queue.put(i)

    filling = asyncio.create_task(fill())
    got = [await queue.get() for _ in range(3)]
    await filling
    try:
        await asyncio.wait_for(asyncio.sleep(5), 0.01)
    except asyncio.TimeoutError:
        got.append("timeout")
    return got


@item
def a_loop_of_its_own():
    return asyncio.run(work(4))


def decorated_coroutine(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@item
@decorated_coroutine
async def a_coroutine_behind_a_plain_wrapper():
    return await work(1)


@item
def partial_methods_and_attrgetters():
    from operator import attrgetter, itemgetter, methodcaller

    return (
        itemgetter(1, 0)("ab"),
        attrgetter("real", "imag")(1j),
        methodcaller("split", ",")("a,b"),
        functools.partial(int, base=2)("101"),
    )


@types.coroutine
def old_style():
    yield from asyncio.sleep(0).__await__()
    return "old"


@item
async def an_old_style_coroutine():
    return await old_style()


def deprecated(reason):
    def decorate(cls_or_function):
        cls_or_function.__deprecated_note__ = reason
        return cls_or_function

    return decorate


@deprecated("use the other")
def old_function():
    return old_function.__deprecated_note__


@item
def a_decorator_that_only_marks():
    return old_function()


def validated(**checks):
    def decorate(function):
        import inspect

        signature = inspect.signature(function)

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for name, check in checks.items():
                if not check(bound.arguments[name]):
                    raise ValueError(f"{name}={bound.arguments[name]!r}")
            return function(*args, **kwargs)

        return wrapper

    return decorate


@validated(n=lambda n: n > 0)
def root(n, power=2):
    return n ** (1 / power)


@item
def a_decorator_with_a_signature():
    try:
        root(-1)
    except ValueError as error:
        return root(9), str(error)


registry = {}


def route(path):
    def decorate(function):
        registry[path] = function
        return function

    return decorate


@route("/")
def index():
    return "index " + ", ".join(sorted(registry))


@item
def a_router():
    return registry["/"](), registry["/"] is index
