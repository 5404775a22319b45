"""Whether code is seen to only read a variable; what it is not seen to do, it may do."""

import random

import pytest

from nbtasks.wire.reading import only_reads

READING = """
d[x] | x in d | len(d) | d.get(x, 1) | [y for y in d] | sum(d[i] for i in x) | {k: v for k, v in d.items()} | d[x + 1]
d[str(x)] | d[:3] | d[x:x+2] | d[x, 1] | sorted(d, key=len) | random.choice(d) | (lambda: d[x])() | d[x].upper()
max(d.values()) | 'a' if d else 'b' | f'{d}' | d[x] + d[x] | d == x | list(zip(d, x)) | g(d[x]) | not d | x[d[x]]
any(y > 3 for y in d) | d[x] if x in d else None | id(d) | g(x)
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


def answer(body):
    """Of a function with a global, and of one with a closure."""
    space = {"random": random, "d": []}
    exec(f"def f(x):\n    {body}\ndef g(x): pass", space)
    found = {only_reads([space["f"].__code__], "d", space)}
    if "global" not in body:
        outside = f"def outer(d):\n    def f(x):\n        {body}\n    return f"
        exec(outside.replace("d |= x", "").replace("d += [x]", ""), space)
        found.add(only_reads([space["outer"]([]).__code__], "d", space))
    return found


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
