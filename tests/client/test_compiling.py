"""Compositions become plans: against a small evaluator that reads them from left to right, and never makes a plan."""

from __future__ import annotations

import json
import pickle
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks import chain, chord, group, signature, task
from nbtasks.client.canvas.compiling import Given
from nbtasks.core.plan import CallRange

_HERE = sys.modules[__name__]


@pytest.fixture(scope="module", autouse=True)
def importable():
    """Have this module be found by its name: what tasks of it are pickled by."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, __name__, _HERE)
        yield


@task
def f(*args):
    return f"f({','.join(map(str, args))})"


@task
def g(*args):
    return f"g({','.join(map(str, args))})"


#: A composition as data: ("call", task, own, immutable), ("chain" or "|", parts), ("group", parts),
#: ("chord", group, body), ("rows", n, steps): a group of n chains that are alike.
calls = st.tuples(st.just("call"), st.sampled_from([f, g]), st.sampled_from([(), (1,)]), st.booleans())


def larger(parts):
    groups = st.tuples(st.just("group"), st.lists(parts, max_size=3))
    rows = st.tuples(st.just("rows"), st.integers(0, 3), st.lists(calls, min_size=1, max_size=3))
    chains = st.tuples(st.sampled_from(["chain", "|"]), st.lists(parts, min_size=2, max_size=4))
    return groups | rows | chains | st.tuples(st.just("chord"), groups | rows, parts)


compositions = st.recursive(calls, larger, max_leaves=8)


def built(spec):
    """The composition."""
    kind, *rest = spec
    if kind == "call":
        a_task, own, immutable = rest
        return a_task.signature(own, immutable=immutable)
    if kind == "chord":
        return chord(built(rest[0]), built(rest[1]))
    if kind == "rows":
        return group(chain(*map(built, rest[1])) for _ in range(rest[0]))
    parts = list(map(built, rest[0]))
    if kind == "|":
        joined = parts[0]
        for part in parts[1:]:
            joined = joined | part
        return joined
    return chain(*parts) if kind == "chain" else group(parts)


def is_empty(spec):
    if spec[0] == "rows":
        return not spec[1]
    return (
        spec[0] == "group"
        and all(is_empty(part) for part in spec[1] if part[0] in {"group", "rows"})
        and all(part[0] in {"group", "rows"} for part in spec[1])
    )


def read(spec, before):
    """(is a list, value) of what it gives; ``before`` is the same of what came before it, or None."""
    kind, *rest = spec
    if kind == "call":
        a_task, own, immutable = rest
        return False, a_task(*(() if immutable or before is None else (before[1],)), *own)
    if kind == "chord":
        return read(("chain", [rest[0], rest[1]]), before)
    if kind == "rows":
        row = rest[1][0] if len(rest[1]) == 1 else ("chain", rest[1])
        return read(("group", [row] * rest[0]), before)
    if kind == "group":
        values = []
        for part in rest[0]:
            is_list, value = read(part, before)
            values += value if is_list and part[0] in {"group", "rows"} else [value]
        return True, values
    for step in rest[0]:
        # An empty group is left out, but where it is the beginning.
        if before is None or not is_empty(step):
            before = read(step, before)
    return before


def run(composition, *args):
    """What its plan gives."""
    compiled, ended = composition.compiled(Given(args)), []

    def values(of):
        found = []
        for part in of:
            is_range = isinstance(part, CallRange)
            found += ended[part.node][part.first :][: part.count] if is_range else [values(part)]
        return found

    for node, step in zip(compiled.plan.nodes, compiled.steps, strict=True):
        ended.append([])
        for index, (own, kwargs) in enumerate(step.calls):
            handed = []
            for edge in node.ins:
                got = values(edge.of)[index : index + 1] if edge.each else values(edge.of)
                handed += {"one": got, "list": [got], "after": []}[edge.kind]
            ended[-1].append(step.task(*handed, *own, **kwargs))
    found = values(compiled.plan.result)
    return found if compiled.plan.of_many else found[0]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(compositions)
def test_a_plan_gives_what_reading_from_left_to_right_gives(spec):
    assert run(built(spec)) == read(spec, None)[1]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(compositions, compositions)
def test_a_value_from_before_reaches_all_that_begins(first, spec):
    assert run(built(first) | built(spec)) == read(("chain", [first, spec]), None)[1]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(compositions.filter(lambda spec: not _begins_empty(spec)))
def test_arguments_of_the_submit_reach_all_that_begins(spec):
    assert run(built(spec), 7) == read(spec, (False, 7))[1]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(compositions)
def test_what_travels_as_a_dict_or_a_pickle_comes_back_as_it_was(spec):
    composition = built(spec)
    assert run(signature(json.loads(json.dumps(dict(composition))))) == run(composition)
    assert pickle.loads(pickle.dumps(composition)) == composition
    assert composition.clone() == composition


def _begins_empty(spec):
    """Whether it begins with an empty group, which passes on what came before, but no arguments."""
    if spec[0] in {"chain", "|"}:
        return _begins_empty(spec[1][0])
    if spec[0] == "chord":
        return _begins_empty(spec[1])
    if spec[0] == "group":
        return not spec[1] or any(map(_begins_empty, spec[1]))
    return is_empty(spec)


def shape(composition):
    """For each node its number of calls, and what it needs: kind, nodes, and whether call by call."""
    plan = composition.compiled(Given()).plan
    return [
        (node.count, *((edge.kind, node.waits_for, edge.each) for edge in node.ins)) for node in plan.nodes
    ]


def test_equal_calls_are_one_batch_and_equal_chains_a_batch_for_each_step():
    assert shape(group(f.s(n) for n in range(1000))) == [(1000,)]
    assert shape(group(f.s(n) | g.si() | f.s() for n in range(1000)) | g.s()) == [
        (1000,),
        (1000, ("after", [0], True)),
        (1000, ("one", [1], True)),
        (1, ("list", [2], False)),
    ]
    assert shape(group([f.s(1), f.s(2), g.s(3), f.s(4), f.s(5).set(queue="io")])) == [(2,), (1,), (1,), (1,)]


def test_what_stands_beside_a_chain_does_not_come_back_to_it():
    callback, errback = g.s(1), f.s(2)
    first = f.s(0)
    first.link(callback)
    whole = (first | g.s()).on_error(errback)
    assert shape(whole) == [
        (1,),
        (1, ("one", [0], False)),
        (1, ("one", [0], False)),
        (1, ("error-id", [0, 2], False)),
    ]


def test_a_million_calls_are_no_million_signatures():
    large = group(f.s(n) for n in range(50_000))
    assert len(large) == 50_000
    assert large._tasks is None
    assert repr(large) == f"group({__name__}.f(0), ... 50,000 in all)"
