"""Signatures, chains, groups and chords mean what they mean in Celery, row by row; and what is put together wrongly."""

from __future__ import annotations

import json

import pytest

import nbtasks
from nbtasks import ChordError, ConfigError, chain, chord, group, signature, task, xmap, xstarmap

SOON = 60.0


@task
def add(x, y):
    return x + y


@task
def ident(*args, **kwargs):
    found = (*args, *sorted(kwargs.items()))
    return found[0] if len(found) == 1 else found


@task
def total(numbers):
    return sum(numbers)


@task
def fail(*_):
    raise ValueError("no")


def five():
    """Five calls that give 2, 4, 6, 8, 10, of two tasks, some in a group of their own."""
    return group(add.s(1, 1), group(add.s(2, 2), ident.s(6)), group([add.s(4, 4)]), add.s(5, 5))


g_of_two = group([add.s(1, 1), add.s(2, 2)])

#: What is composed -> what it gives.
ROWS = {
    "arguments go before": (lambda: ident.s(10).clone((30,)), (30, 10)),
    "keyword arguments come together": (lambda: ident.s(k=1, m=1).clone((), {"k": 2}), (("k", 2), ("m", 1))),
    "an immutable one ignores both": (lambda: ident.si(10).clone((30,), {"k": 3}), 10),
    "chain": (lambda: add.s(1, 2) | add.s(3) | add.s(4), 10),
    "a group of one gives a list": (lambda: chain(group([ident.s(2)]), ident.s()), [2]),
    "a chord of one": (lambda: chord([ident.s(2)], ident.s()), [2]),
    "g | s": (lambda: g_of_two | total.s(), 6),
    "g | g": (lambda: g_of_two | group(ident.s("a"), ident.s("b")), [([2, 4], "a"), ([2, 4], "b")]),
    "s | g": (lambda: ident.s(1) | group(add.s(1), add.s(2)), [2, 3]),
    "s | g | s | g | s": (
        lambda: ident.s(1) | group(add.s(1), add.s(2)) | total.s() | group(add.s(10), add.s(15)) | total.s(),
        35,
    ),
    "an empty chord": (lambda: chord([], ident.s()), []),
    "an empty group before": (lambda: group([]) | ident.s(), []),
    "an empty group": (lambda: group([]), []),
    "an empty group in a chain is left out": (lambda: chain(ident.s(30), group([]), ident.s()), 30),
    "and in one by |": (lambda: ident.s(30) | group([]) | ident.s(), 30),
    "groups in a group": (five, [2, 4, 6, 8, 10]),
    "groups in a chord, in order": (lambda: chord(five(), ident.s()), [2, 4, 6, 8, 10]),
    "groups in a group before |": (lambda: five() | ident.s(), [2, 4, 6, 8, 10]),
    "a chain that ends in a group has a list of its own": (
        lambda: group(ident.s(0), ident.s(1) | group(add.s(2), add.s(3))),
        [0, [3, 4]],
    ),
    "the same in a chord": (
        lambda: chord([ident.s(0), ident.s(1) | group(add.s(2), add.s(3))], ident.s()),
        [0, [3, 4]],
    ),
    "an immutable body": (lambda: chord(g_of_two, ident.si("x")), "x"),
    "immutable members": (lambda: ident.s(5) | group(ident.si(1), ident.s(2)), [1, (5, 2)]),
    "chains that are alike": (
        lambda: group(ident.s(n) | add.s(1) | ident.si(n) for n in range(3)),
        [0, 1, 2],
    ),
    "chains of chords": (lambda: chord(g_of_two, total.s()) | group(add.s(1), add.s(2)) | total.s(), 15),
    "a chord in a chord": (lambda: chord([chord(g_of_two, total.s()), ident.s(1)], total.s()), 7),
    "chunks": (lambda: add.chunks(zip(range(5), range(5), strict=True), 2), [[0, 2], [4, 6], [8]]),
    "xmap": (lambda: xmap(ident, [1, 2]), [1, 2]),
    "xstarmap": (lambda: xstarmap(add, [(1, 2), (3, 4)]), [3, 7]),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_celerys_gives_the_same_here(row):
    compose, expected = ROWS[row]
    assert compose().apply().get() == expected


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_celerys_gives_the_same_on_workers(shared_app, row):
    compose, expected = ROWS[row]
    assert compose().delay().get(timeout=SOON) == expected


def test_a_signature_is_called_here_and_there(shared_app):
    assert add.s(2)(4) == 6
    assert ~add.s(2, 2) == 4
    assert ident.s(10).delay(30).get(timeout=SOON) == (30, 10)
    assert ident.si(10).apply_async((30,), {"k": 3}).get(timeout=SOON) == 10


def test_arguments_of_a_composition_go_to_what_begins_it():
    assert (ident.s() | ident.s("b")).apply(kwargs={"k": 5}).get() == ((("k", 5)), "b")
    assert chain(add.s(4), add.s(8)).apply((16,)).get() == 28
    assert group(add.s(1), add.s(2)).apply((10,)).get() == [11, 12]
    assert chord([add.s(1), add.s(2)], total.s()).apply((10,)).get() == 23


def test_what_changes_a_signature_returns_what_celery_returns():
    one, other = ident.s(1), ident.s(2)
    assert one.set(countdown=1) is one
    assert one.link(other) is other
    assert one.link_error(other) is other
    assert one.on_error(other) is one
    one.link(ident.s(2))
    assert one.options == {"countdown": 1, "link": [other], "link_error": [other]}
    assert one.clone((0,)).args == (0, 1)
    assert one.replace(args=(7,)).args == (7,)
    assert one.flatten_links() == [one, other]
    assert one.args == (1,)


def test_a_composition_shows_itself_as_it_is_written():
    assert repr(add.s(1, y=2)) == f"{__name__}.add(1, y=2)"
    assert repr(add.s(1, 2) | group(add.s(1), add.s(2)) | total.s()).replace(f"{__name__}.", "") == (
        "add(1, 2) | group(add(1), add(2)) | total()"
    )


def test_a_failing_step_is_the_end_of_its_chain():
    ended = (add.s(1, 1) | fail.s() | ident.s() | ident.s()).apply()
    states, one = [], ended
    while one is not None:
        states.append(one.state)
        one = one.parent
    assert states == ["FAILURE", "FAILURE", "FAILURE", "SUCCESS"]
    with pytest.raises(ValueError, match="no"):
        ended.get()


def test_a_failing_member_is_the_end_of_its_chord():
    ended = chord([add.s(1, 1), fail.s()], total.s()).apply()
    assert type(ended.result) is ChordError
    assert "raised ValueError('no')" in str(ended.result)
    with pytest.raises(ValueError, match="no"):
        ended.get()


# --- stored


def test_a_signature_goes_through_json():
    composed = (add.s(1, 2).set(queue="io") | group(add.s(1), add.si(2, 3)) | total.s()).on_error(
        ident.si("e")
    )
    stored = json.loads(json.dumps(dict(composed)))
    assert signature(stored).compiled().plan == composed.compiled().plan
    assert dict(signature(stored)) == stored
    assert dict(add.s(1))["task"] == f"{__name__}.add"


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        ({"args": [1]}, "not a signature's dict.*no task"),
        ({"task": "nbtasks.other", "subtask_type": "other"}, "known subtask_type"),
        ({"task": "json.dumps"}, "'dumps' is no task in json"),
        ({"task": "json.other"}, "'other' is not there in json"),
    ],
)
def test_a_dict_that_is_no_signature_is_refused(stored, says):
    with pytest.raises(ConfigError, match=says):
        signature(stored)


# --- put together wrongly


def plain(x):
    return x


@pytest.mark.parametrize(
    ("compose", "error", "says"),
    [
        (lambda: chain(add.s(1, 2), plain), TypeError, r"plain is no task; put @nbtasks.task above it"),
        (lambda: chain(add.s(1, 2), add), TypeError, r"add is a task; say add.s\(...\)"),
        (lambda: add.s(1, 2) | 3, TypeError, r"3 is not a call of a task"),
        (lambda: group(1, 2), TypeError, r"1 is not a call of a task; say task.s\(1\)"),
        (lambda: group(10), TypeError, r"10 is not a call of a task"),
        (lambda: group(plain), TypeError, r"plain is no task"),
        (lambda: chain().delay(), ConfigError, r"chain of no steps"),
        (lambda: chord([add.s(1, 2)]).delay(), ConfigError, r"has no body: say chord\(header, body.s\(\)\)"),
        (lambda: g_of_two.link(add.s(1)), TypeError, "Cannot add link to group: use a chord"),
        (lambda: g_of_two.apply_async(link=add.s(1)), TypeError, "Cannot add link to group: use a chord"),
        (lambda: (add.s(1, 2) | group(add.s(1))).link(add.s(1)), TypeError, "use a chord"),
        (lambda: add.s(1, 2).set(queu="io"), ConfigError, "unknown option 'queu'"),
        (lambda: add.s(1, 2).apply_async(queu="io"), ConfigError, "unknown option 'queu'"),
        (lambda: add.s(1, 2).on_error(plain), TypeError, "plain is no task"),
        (lambda: add.s(1, 2).on_error(chain()).apply(), ConfigError, "a chain of no steps"),
        (lambda: add.chunks([(1, 2)], 0), ConfigError, "0 is not a whole number of 1 or more"),
        (lambda: chain(*[add.s(1)] * 10_001).apply(), ConfigError, "10,000 steps at most"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(compose, error, says):
    with pytest.raises(error, match=says):
        compose()


def test_tasks_of_two_apps_do_not_wait_for_each_other(shared_app):
    with nbtasks.App("other") as other:
        elsewhere = other.task(plain)
        with pytest.raises(ConfigError, match="are of 2 Apps"):
            group(shared_app.task(plain).s(1), elsewhere.s(2))()


def test_a_bad_member_leaves_nothing_submitted(shared_app):
    before = len(shared_app.batches(quiet=True))
    with pytest.raises(TypeError, match="missing"):
        group(ident.s(1), add.s(1))()
    assert len(shared_app.batches(quiet=True)) == before


@pytest.mark.parametrize("kind", ["link", "member"])
def test_what_contains_itself_is_refused_with_what_to_do(kind):
    if kind == "member":
        one = group(ident.s(1))
        one.tasks.append(one)
    else:
        one = ident.s(1)
        getattr(one, kind)(one)
    with pytest.raises(ConfigError, match="contains itself"):
        one.apply()
