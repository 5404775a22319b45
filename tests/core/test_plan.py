"""The plan of a workflow: what is no plan is refused, and what travels comes back as it was."""

from __future__ import annotations

import json

import pytest

from nbtasks import ConfigError
from nbtasks.core.plan import MOST_NODES, CallRange, Edge, Node, Plan

#: Two calls, then each of them followed by one; a list of these and of one more; an errback.
DIAMOND = Plan(
    (
        Node(2),
        Node(2, (Edge("one", (CallRange(0, 0, 2),), each=True),)),
        Node(1),
        Node(1, (Edge("list", (CallRange(2), (CallRange(1, 0, 2), ()))), Edge("one", (CallRange(0, 1),)))),
        Node(1, (Edge("error-id", (CallRange(3),)),)),
    ),
    (CallRange(3),),
)


def test_it_travels_as_json_and_comes_back_as_it_was():
    assert Plan.from_json(json.loads(json.dumps(DIAMOND.to_json()))) == DIAMOND
    many = Plan((Node(3),), (CallRange(0, 0, 2), (CallRange(0, 2),)), of_many=True)
    assert Plan.from_json(json.loads(json.dumps(many.to_json()))) == many
    empty = Plan((), (), of_many=True)
    assert Plan.from_json(empty.to_json()) == empty


def test_it_knows_who_waits_for_whom():
    assert [node.waits_for for node in DIAMOND.nodes] == [[], [0], [], [2, 1, 0], [3]]
    assert DIAMOND.followers == [[1, 3], [3], [3], [4], []]
    assert DIAMOND.downstream(1) == [3, 4]
    assert [node.each_of for node in DIAMOND.nodes] == [None, 0, None, None, None]
    assert [node.is_errback for node in DIAMOND.nodes] == [False, False, False, False, True]


ONE = (CallRange(0),)


@pytest.mark.parametrize(
    ("nodes", "result"),
    [
        ((Node(1, (Edge("one", ONE),)),), ONE),  # it needs itself
        ((Node(1, (Edge("one", (CallRange(1),)),)), Node(1)), ONE),  # a later one
        ((Node(1), Node(1, (Edge("one", (CallRange(0, 1),)),))), ONE),  # a call that is not there
        ((Node(1), Node(1, (Edge("one", (CallRange(0, -1),)),))), ONE),
        ((Node(2), Node(1, (Edge("one", (CallRange(0, 0, 2),)),))), ONE),  # two values as one
        ((Node(1), Node(1, (Edge("after", ()),))), ONE),  # nothing
        ((Node(1), Node(1, (Edge("error", (ONE,)),))), ONE),  # a list of errors
        ((Node(1), Node(1, (Edge("other", ONE),))), ONE),
        ((Node(2), Node(1, (Edge("one", (CallRange(0, 0, 1),), each=True),))), ONE),  # not all of them
        ((Node(1), Node(1, (Edge("list", ONE, each=True),))), ONE),
        ((Node(1), Node(1, (Edge("one", ONE, each=True), Edge("after", ONE)))), ONE),
        ((Node(1), *[Node(1, (Edge("one", ONE, each=True),))] * 2), ONE),  # two follow
        ((Node(1), Node(1, (Edge("error", ONE), Edge("after", ONE)))), ONE),
        ((Node(0),), ONE),
        ((Node(1),), (CallRange(1),)),
        ((Node(2),), (CallRange(0, 0, 2),)),  # a list, and not said so
        ((Node(1),), ()),
    ],
)
def test_what_is_no_plan_is_refused(nodes, result):
    with pytest.raises(ConfigError):
        Plan(nodes, result)


def test_too_many_steps_are_refused_with_what_to_do():
    with pytest.raises(ConfigError, match=r"10,000 steps at most, and this one has 10,001.*one group"):
        Plan((Node(1),) * (MOST_NODES + 1), ONE)
    assert len(Plan((Node(1),) * MOST_NODES, ONE).nodes) == MOST_NODES


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [[], []],
        [[[1]], [], 0],
        [[[1, [["one", [[0]]]]]], [[0, 0, 1]], 0],
        [[[1, []]], [["a", 0, 1]], 0],
    ],
)
def test_what_others_may_have_written_is_read_strictly(data):
    with pytest.raises(ConfigError):
        Plan.from_json(data)
