# %%
data = [1, 2, 3]

# %% task a_sum
sum(data)

# %%
x = 5

# %% task reads_then_assigns
x = x + 1
x

# %%
n = 0

# %% task augmented
n += 2
n *= 3
n

# %%
rows = ["a", "b"]

# %% task appends
rows.append("c")
rows

# %% task prints_and_gives
for row in ["p", "q"]:
    print("row", row)
len("pq")

# %% task only_prints
print("one")
print("two", end="")

# %% task nothing_at_all
pass

# %% task none_at_the_end
None

# %% task a_semicolon
value = 4
value + 1

# %% task a_docstring_first
"""Says what it does."""
3

# %% task several_expressions
1
"two"
3.0

# %% task a_conditional_end
flag = True
if flag:
    "not shown"

# %% task a_loop_at_the_end
for i in range(3):
    i

# %% task a_while_with_else
k = 0
while k < 3:
    k += 1
else:
    k = "done"
k

# %% task deleted_names
temporary = 1
del temporary
"temporary" in dir()

# %%
limit = 3

# %% task comprehensions
[a * limit for a in range(limit) if a], {a: b for a, b in zip("xy", range(limit))}, {c % 2 for c in range(5)}

# %% task nested_comprehensions
[[a * b for b in range(limit)] for a in range(limit)]

# %% task a_generator_expression
sum(a for a in range(limit)), any(a > 1 for a in range(limit))

# %% task walrus
[half for a in range(6) if (half := a // 2)], half

# %% task lambdas
f = lambda a, b=limit: a * b
f(2), (lambda *a, **k: (a, k))(1, z=limit)


# %% task functions_in_the_cell
def outer(a):
    def inner(b):
        return a + b + limit

    return inner


outer(1)(2)


# %% task recursion_in_the_cell
def fact(a):
    return 1 if a < 2 else a * fact(a - 1)


fact(10)


# %% task two_functions_that_know_each_other
def even(a):
    return a == 0 or odd(a - 1)


def odd(a):
    return a != 0 and even(a - 1)


even(8), odd(8)


# %% task nonlocal_in_the_cell
def counting():
    total = 0

    def add(a):
        nonlocal total
        total += a
        return total

    return add


add = counting()
add(1), add(2)

# %%
total_seen = 10


def seen_total():
    return total_seen


# %% task a_global_in_a_function_of_the_cell
def set_total():
    global total_seen
    total_seen = 20


set_total()
total_seen, seen_total()

# %%
numbers = [1]


def total():
    return sum(numbers)


# %% task what_the_cell_assigns_is_what_functions_read
numbers = [10, 20]
total()

# %%
gl = 2


def setgl():
    global gl
    gl = 5


# %% task what_a_function_assigns_is_what_the_cell_reads
setgl()
gl

# %%
step = 1


def stepped(a):
    return a + step


# %% task assigned_between_two_calls
first = stepped(1)
step = 10
first, stepped(1)

# %% task a_loop_variable_that_functions_read
out = []
for step in (1, 2, 3):
    out.append(stepped(0))
out

# %%
import math
from collections import Counter, defaultdict


# %% task imports_of_the_notebook
math.floor(2.7), Counter("aab").most_common(1), defaultdict(int, a=1)

# %% task imports_in_the_cell
import json
import os.path as osp
from itertools import chain, islice as cut

json.dumps({"a": 1}), osp.basename("a/b"), list(cut(chain("ab", "cd"), 3))

# %% task a_submodule_imported_in_the_cell
import xml.dom.minidom
import collections.abc

isinstance([], collections.abc.Sequence), xml.dom.minidom.parseString("<a/>").documentElement.tagName

# %% task an_import_that_functions_use
import statistics


def middle(a):
    return statistics.median(a)


middle([1, 5, 2])

# %% task unpacking
a, (b, *c), d = 1, (2, 3, 4), 5
[*c, a], {**{"d": d}, "b": b}

# %% task swapping_and_chained_assignment
p = q = [1]
r, s = 1, 2
r, s = s, r
p is q, r, s

# %% task annotated_assignments
count: int = 3
name: str
count, "name" in dir()

# %%
size: int = 4


def hint_of(name):
    return __annotations__[name]


# %% task annotations_are_kept
speed: float = 2.5
if speed:
    depth: "a text"
(skipped): int = 3
hints = __annotations__
hints["speed"], hints["depth"], hints["size"], "skipped" in hints

# %% task annotations_that_a_helper_reads
weight: list[int] = [3]
hint_of("weight")

# %% task try_except_else_finally
try:
    int("x")
except ValueError as error:
    said = str(error)
else:
    said = "fine"
finally:
    ended = True
said, ended

# %% task the_name_of_a_caught_error_is_gone
try:
    1 / 0
except ZeroDivisionError as gone:
    pass
try:
    gone
except NameError as error:
    told = type(error).__name__
told

# %% task raises
print("before")
raise ValueError("said", 1)

# %% task raises_from
try:
    {}["k"]
except KeyError as error:
    raise RuntimeError("outer") from error

# %% task a_name_that_is_nowhere
nowhere_at_all + 1

# %% task asserts
assert limit == 4, f"limit is {limit}"

# %% task with_statements
import io
import contextlib

with contextlib.redirect_stdout(io.StringIO()) as caught, contextlib.suppress(KeyError):
    print("caught")
    {}["x"]
caught.getvalue()


# %% task match_statements
def kind(thing):
    match thing:
        case [first, *rest]:
            return first, rest
        case {"a": value, **others}:
            return value, others
        case str() | bytes():
            return "text"
        case int(number) if number > limit:
            return "large"
        case _:
            return None


[kind(t) for t in ([1, 2], {"a": 1, "b": 2}, "s", 9, 1)]

# %% task match_at_the_top
match {"k": [1, 2]}:
    case {"k": [head, *tail]}:
        matched = head, tail
matched

# %% task f_strings
width = 8
f"{limit:>{width}}|{'x' * 2}|{limit!r}|{limit=}|{[i for i in range(limit)]}"

# %% task a_string_over_lines
text = """
  one
    two
"""
text.split("\n")

# %% task a_backslash_continues
1 + 2

# %% task comments_only_between
# a comment

# another
7  # the end

# %% task unicode_names
größe = 3
größe * 2, "ß€😀"

# %% task big_output
for i in range(500):
    print(i, "x" * 40)

# %% task chained_comparison
1 < limit < 5, limit if limit else 0, not limit

# %% task sorted_with_a_key
sorted(["bb", "a", "ccc"], key=lambda w: -len(w)), max([[1], [2, 3]], key=len)

# %% task slices
word = "notebook"
word[::-1], word[1:4], [*range(10)][::3]

# %% task a_set_and_a_frozenset
{1, 2} | {2, 3}, frozenset("aa")

# %% task complex_numbers_and_bits
(1 + 2j) ** 2, 0b101 | 0x10, -7 // 2, 7 & 3, ~5

# %% task the_last_line_is_a_string
"just a text"

# %% task a_tuple_at_the_end
1, 2

# %% task a_dict_at_the_end
{"a": [1, 2], "b": {"c": None}}

# %% task a_value_printed_by_repr
print([1, "a", None, 2.5, {"k": (1,)}])
print(1, 2, sep="\t")

# %% task a_star_in_print
print(*range(5), sep=",")

# %% task dunder_name
__name__

# %% task type_of_things
type(3), type("").__name__, isinstance(True, int)

# %% task eval_of_a_local
a = 3
eval("a + 1"), eval("limit")

# %% task exec_makes_names
space = {}
exec("made = 5", space)
space["made"]

# %% task format_map_with_globals
word = "w"
"{limit}".format(limit=limit), "%(a)s" % {"a": word}

# %% task a_global_statement
global made_here
made_here = [1]
made_here
