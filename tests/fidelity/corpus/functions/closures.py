"""Closures, defaults, names: what a function finds when it is called."""

import functools
import itertools
import operator

from notebook import item

limit = 10
words = ["to", "be", "or", "not"]
nothing = None


def adder(n):
    def add(x):
        return x + n

    return add


@item
def a_closure():
    return adder(3)(4)


add_five = adder(5)


@item
def a_captured_closure():
    return add_five(1), add_five.__closure__[0].cell_contents


@item
def closures_over_the_loop_variable():
    return [f() for f in [lambda: i for i in range(3)]], [f() for f in [lambda i=i: i for i in range(3)]]


late = [lambda: i for i in range(3)]
bound = [lambda i=i: i * 10 for i in range(3)]


@item
def captured_closures_of_a_loop():
    return [f() for f in late], [f() for f in bound]


def counter():
    n = 0

    def step():
        nonlocal n
        n += 1
        return n

    return step


count = counter()


@item
def a_captured_counter_begins_where_the_notebook_has_it():
    return count(), count(), count()


def pair():
    shared = []

    def put(x):
        shared.append(x)

    def get():
        return list(shared)

    return put, get


put, get = pair()


@item
def two_closures_share_their_cell():
    put(1)
    put(2)
    return get()


@item
def mutable_default(x=1, seen=[]):
    seen.append(x)
    return seen


@item
def mutable_default_of_a_helper():
    return remember("a"), remember("b")


def remember(x, memory={}):
    memory[x] = len(memory)
    return dict(memory)


@item
def keyword_only(*, a=1, b=(limit, "b"), **rest):
    return a, b, rest


def all_parameters(a, /, b, *args, c, d=4, **kw):
    return a, b, args, c, d, kw


@item
def all_kinds_of_parameters():
    first, *rest = words
    return all_parameters(1, 2, *rest, c=3, **{"e": first})


bound_half = functools.partial(all_parameters, 1, c="half")


@item
def a_partial():
    return bound_half(2, 3), bound_half.func.__name__


@item
def reduce_with_a_lambda():
    return functools.reduce(lambda a, b: a * 10 + b, range(1, limit)), functools.reduce(operator.add, words)


@item
def comprehensions_with_conditions():
    squares = {n: n * n for n in range(limit) if n % 2 if n > 2}
    return squares, {w[0] for w in words}, [(a, b) for a in range(3) for b in range(a) if a != b]


@item
def a_walrus_in_a_comprehension():
    return [y for x in range(5) if (y := x * limit) > 10], y


@item
def an_f_string_with_nested_quotes():
    d = {"a": 1.5}
    return f"{d['a']:>{limit}.2f}|{words!r:.9}|{'-'.join(w for w in words)}|{limit=}"


@item
def matched():
    def told(thing):
        match thing:
            case {"kind": "circle", "r": float(r) | int(r), **rest}:
                return "circle", r, rest
            case [first, *others] if len(others) < limit:
                return first, others
            case str() as text:
                return text.upper()
            case None | False:
                return "nothing"
        return "else"

    return [told(t) for t in ({"kind": "circle", "r": 2, "x": 0}, words, "a", None, 5)]


@item
def globals_that_are_none_or_missing():
    try:
        return nothing, missing_name
    except NameError as error:
        return nothing, str(error), error.name


hits = 0


def hit():
    global hits
    hits += 1
    return hits


@item
def a_global_that_a_helper_sets():
    return hit(), hit(), hits


@item
def a_global_that_the_function_sets():
    global fresh_global
    fresh_global = words[:1]
    return read_fresh()


def read_fresh():
    return fresh_global


@item
def globals_by_name():
    return globals()["limit"], "words" in globals()


@item
def a_name_that_shadows_a_builtin():
    return max([3, 1])


def max(values):
    return "my own", sorted(values)[-1]


@item
def even_and_odd_know_each_other():
    return is_even(10), is_odd(7)


def is_even(n):
    return n == 0 or is_odd(n - 1)


def is_odd(n):
    return n != 0 and is_even(n - 1)


def factorial(n):
    return 1 if n == 0 else n * factorial(n - 1)


@item
def recursion():
    inner = lambda n: 1 if n < 2 else n * inner(n - 1)
    return factorial(30), inner(5)


compose = lambda *fs: functools.reduce(lambda f, g: lambda x: f(g(x)), fs)
pipeline = compose(str, lambda x: x + 1, abs)


@item
def composed_lambdas():
    return pipeline(-4)


endless = itertools.count(5)
left = iter([1, 2, 3])
gathered = (word for word in words)


@item
def a_captured_counter_of_itertools():
    return next(endless), next(endless)


@item
def a_captured_iterator():
    return next(left), list(left)


table = {"plus": operator.add, "twice": lambda x: 2 * x, "self": None}
table["self"] = table


@item
def a_table_of_functions():
    return table["plus"](1, 2), table["twice"](4), table["self"]["self"] is table


def with_attributes(x):
    with_attributes.calls += 1
    return x


with_attributes.calls = 0
with_attributes.note = {"a": [1]}


@item
def attributes_of_a_function():
    with_attributes(1)
    with_attributes(2)
    return with_attributes.calls, with_attributes.note


@item
def what_a_function_says_of_itself():
    f = all_parameters
    return f.__name__, f.__qualname__, f.__module__, f.__doc__, f.__annotations__, f.__kwdefaults__, __name__


def annotated(a: "list[int]", b: int = 1, *args: str) -> "dict[str, int]":
    """Has a docstring."""
    return {}


@item
def annotations_and_docstrings():
    import inspect

    return annotated.__annotations__, annotated.__doc__, str(inspect.signature(annotated))


@item
def the_source_of_a_function():
    import inspect

    return inspect.getsource(adder)


@item
def a_slice_an_ellipsis_and_singletons():
    return words[slice(None, None, 2)], ..., NotImplemented, __debug__


@item
def a_lambda_comes_back():
    return adder(2)


@item
def exec_and_eval_with_a_space_of_their_own():
    space = {"x": 2}
    exec("y = x + 1", space)
    return eval("x * y", space), space["y"]


@item
def eval_with_names_of_the_notebook():
    return eval("limit + len(words)")


@item
def a_string_that_names_variables():
    return "{limit} {words[0]}".format(**globals())


def deeper():
    def inner():
        def innermost():
            return limit, [w for w in words if len(w) > len(min(words, key=len)) or limit]

        return innermost()

    return inner()


@item
def a_global_read_three_functions_deep():
    return deeper()


def optional(x, y=None if nothing else limit):
    return x, y


@item
def a_default_computed_once():
    return optional(1), optional.__defaults__


@item
def star_expressions():
    a, *b, c = range(limit)
    return [*words, *b[:2]], {**{"a": a}, **dict(c=c)}, (*"ab",)


@item
def chained_comparisons_and_conditions():
    return 1 < limit <= 10 != 3, (limit and words) or nothing, not nothing, limit if nothing is None else 0


@item
def deleting_names():
    x = list(words)
    del x[0]
    y = x
    del x
    try:
        return x
    except UnboundLocalError as error:
        return type(error).__name__, y


@item
def big_numbers():
    return (10**400) % 997, 2**200, -7 // 2, -7 % 3, divmod(-7, 2), round(2.5), 0.1 + 0.2


@item
def sorting_with_keys():
    return (
        sorted(words, key=len),
        sorted(words, key=lambda w: (len(w), w), reverse=True),
        min(words, key=str.lower),
    )


@item
def a_name_put_together_at_run_time():
    return eval("lim" + "it"[:2])
