"""Whether code is seen to only read a variable; what it is not seen to do, it may do."""

import random

import pytest

from nbtasks.wire.opened.reading import only_reads

READING = """
d[x] | x in d | len(d) | d.get(x, 1) | [y for y in d] | sum(d[i] for i in x) | {k: v for k, v in d.items()} | d[x + 1]
d[str(x)] | d[:3] | d[x:x+2] | d[x, 1] | sorted(d, key=len) | random.choice(d) | (lambda: d[x])() | d[x].upper()
max(d.values()) | 'a' if d else 'b' | f'{d}' | d[x] + d[x] | d == x | list(zip(d, x)) | not d | x[d[x]]
any(y > 3 for y in d) | d[x] if x in d else None | id(d) | g(x) | h(x, x)
"""
NOT_SURE = """
d.append(x) | g(d) | d.pop(x) | (lambda: d.update(x))() | random.shuffle(d) | [d] | x.append(d) | d.sort() | (d, x)
d.setdefault(x, 1) | globals()['d'] | d | x or d | {1: d} | g(*d) | g(k=d) | len(g(d)) | list.append(d, x) | (y := d)
print(g(d)) | d.__setitem__(1, 2) | d.clear | type(d).pop(d)
"""
READING_STATEMENTS = [
    "for y in d: print(y)",
    "if x in d: return d[x]",
    "for i, y in enumerate(d): x += y",
    "while d: x += 1",
    "for a, b in d.items(): x += a",
]
OTHER_STATEMENTS = [
    "d[x] = 1",
    "del d[x]",
    "e = d; e.append(1)",
    "for e in [d]: e.append(1)",
    "return d",
    "yield d",
    "d[x] += 1",
    "with d: pass",
    "global d; d += [x]",
    "global d; d |= x",
]


def expressions(text):
    return [one.strip() for line in text.strip().splitlines() for one in line.split(" | ")]


#: Of a container of containers.
READING_DEEP = """
d[x][0] | [y for y in d[x]] | len(d[x]) | sum(d[x]) | d.get(x)[0] | [len(v) for v in d.values()] | max(d)[0] | x in d[x]
{k: v[0] for k, v in d.items()} | d[x][1:3] | h(d, x) | h(d[x], x) | sorted(d[x]) | [b for a in d for b in a]
d[0:3][0][0] | sum(len(v) for v in d) | any(x in v for v in d.values())
"""
NOT_SURE_DEEP = """
d[x].append(1) | d[x] | d.get(x) | [y for y in d] | list(d) | max(d) | max(d, key=g) | g(d[x]) | w(d, x) | w(d[x], x)
d[0:3][0].append(1) | list(map(g, d)) | [v for k, v in d.items()] | {**d} | list(zip(d, x)) | [t for t in enumerate(d)]
d.values() | d.copy()[0].append(1) | (lambda v: v.append(1))(d[x]) | [v.append(1) for v in d] | sorted(d, key=g) | r(d)
"""
READING_DEEP_STATEMENTS = [
    "for y in d[x]: x += y",
    "for v in d:\n        for y in v: x += y",
    "e = d[x]\n    for y in e: print(y)",
    "for k, v in d.items():\n        if v: x += v[0]",
    "for i, v in enumerate(d): x += v[0]",
    "todo = [x]\n    while todo:\n        n = todo.pop()\n        for m in d[n]: todo.append(m)",
]
OTHER_DEEP_STATEMENTS = [
    "for v in d: v.append(1)",
    "e = d[x]; e.append(1)",
    "for k, v in d.items(): v[0] = 1",
    "d[x][0] = 1",
    "for i, v in enumerate(d): v.sort()",
    "e = d[x]; e += [1]",
    "for t in enumerate(d): t[1].append(1)",
    "for t in d.items(): t[1].append(1)",
    "x.e = d[x]",
    "x[0] = d[x]",
    "e = d[x]\n    def k(): e.append(1)\n    k()",
    "del d[x][0]",
    "e = f = d[x]; f.pop()",
    "for r[0] in d: pass",
    "m = d[x].append; m(1)",
    "a, *b = d; b[0].append(1)",
    "try: d[x].pop()\n    except KeyError: pass",
    "yield d[x]",
]
HELPERS = """
def g(a): a.append(1)
def h(a, b):
    for y in a: b = len(y) if b else 1
    return b in a
def w(a, b): a.append(b)
def r(a): return a
"""


def answer(body, depth=1):
    """Of a function with a global, and of one with a closure."""
    space = {"random": random, "d": []}
    exec(f"{HELPERS}\ndef f(x):\n    {body}\n", space)
    found = {only_reads([space["f"].__code__], "d", space, depth)}
    if "global" not in body:
        inner = body.replace("\n", "\n    ")
        exec(f"def outer(d):\n    def f(x):\n        {inner}\n    return f", space)
        found.add(only_reads([space["outer"]([]).__code__], "d", space, depth))
    return found


@pytest.mark.parametrize("expression", expressions(READING_DEEP))
def test_reading_of_nested_containers(expression):
    assert answer(f"return {expression}", 2) == {True}


@pytest.mark.parametrize("expression", expressions(NOT_SURE_DEEP))
def test_what_is_not_surely_reading_of_nested_containers(expression):
    assert answer(f"return {expression}", 2) == {False}


@pytest.mark.parametrize("statement", READING_DEEP_STATEMENTS)
def test_reading_statements_of_nested_containers(statement):
    assert answer(statement, 2) == {True}


@pytest.mark.parametrize("statement", OTHER_DEEP_STATEMENTS)
def test_other_statements_of_nested_containers(statement):
    assert answer(statement, 2) == {False}


@pytest.mark.parametrize("expression", expressions(READING))
def test_reading(expression):
    assert answer(f"return {expression}") == {True}


@pytest.mark.parametrize("expression", expressions(NOT_SURE))
def test_what_is_not_surely_reading(expression):
    assert answer(f"return {expression}") == {False}


@pytest.mark.parametrize("statement", READING_STATEMENTS)
def test_reading_statements(statement):
    assert answer(statement) == {True}


@pytest.mark.parametrize("statement", OTHER_STATEMENTS)
def test_other_statements(statement):
    assert answer(statement) == {False}
