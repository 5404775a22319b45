"""Calls that others take the place of, by ``self.replace()``."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import nbtasks
from nbtasks import ChordError, ConfigError, Task, chain, group, task


@task
def add(x, y):
    return x + y


@task
def total(numbers):
    return sum(numbers)


@task
def fail(x):
    raise ValueError(f"no {x}")


@task(ignore_result=True)
def unkept(x):
    return x


@task
def after_gate(x, path):
    while not Path(path).exists():
        time.sleep(0.02)
    return x


def _replacement(x, how):
    return {
        "one": lambda: add.s(x, 100),
        "chain": lambda: add.s(x, 1) | add.s(1000),
        "group": lambda: group(add.s(x, k) for k in range(3)),
        "mixed": lambda: group(add.s(x, 1), add.s(x, 2) | add.s(3), total.s([x, x])),
        "chord": lambda: group(add.s(x, k) for k in range(3)) | total.s(),
        "empty": lambda: group([]),
        "unkept": lambda: unkept.s(x),
        "as a dict": lambda: dict(add.s(x, 100)),
        "large": lambda: add.s(b"1" * 300_000, b"2"),
        "nested": lambda: replaced.s(x + 1, "nested" if x < 4 else "one"),
    }[how]()


@task(bind=True)
def replaced(self, x, how):
    raise self.replace(_replacement(x, how))


@task(bind=True)
def replaced_by(self, signature, caught=False):
    try:
        self.replace(signature)
    except nbtasks.Ignore:
        if caught:
            return "went on"
        raise


@task(bind=True)
def for_ever(self):
    raise self.replace(for_ever.s())


GIVES = {
    "one": 101,
    "chain": 1002,
    "group": [1, 2, 3],
    "mixed": [2, 6, 2],
    "chord": 6,
    "empty": [],
    "unkept": 1,
    "nested": 105,
}


@pytest.mark.parametrize("how", GIVES)
def test_a_call_gives_what_has_taken_its_place(shared_app, how):
    r = replaced.delay(1, how)
    assert r.get(timeout=60) == GIVES[how]
    assert r.state == "SUCCESS"
    assert nbtasks.AsyncResult(r.id).result == GIVES[how]


@pytest.mark.parametrize("how", GIVES)
def test_the_same_here(how):
    assert replaced.apply((1, how)).get() == GIVES[how]
    assert replaced(1, how) == GIVES[how]


def test_in_an_eager_app():
    with nbtasks.App("here", eager=True):
        assert (replaced.s(1, "chord") | add.s(1)).delay().get() == 7
        with pytest.raises(ValueError, match="no 3"):
            replaced_by.delay(fail.s(3)).get()


def test_large_values(shared_app):
    assert len(replaced.delay(1, "large").get(timeout=60)) == 300_001


def test_what_comes_next_waits_for_it(shared_app):
    assert (replaced.s(1, "chain") | add.s(5)).delay().get(timeout=60) == 1007
    members = [replaced.s(k, how) for k in range(3) for how in ("one", "chain")]
    assert (group(members) | total.s()).delay().get(timeout=60) == 3 * 100 + 3 * 1001 + 2 * 3
    assert (
        chain(add.s(1, 1), replaced.s("one"), replaced.s("group"), total.s()).delay().get(timeout=60) == 309
    )


def test_members_of_a_map(shared_app):
    assert replaced.starmap([(k, "chord") for k in range(30)]).get(timeout=60) == [
        3 * k + 3 for k in range(30)
    ]


def test_what_fails_fails_it(shared_app):
    r = replaced_by.delay(add.s(1, 1) | fail.s() | add.s(3))
    with pytest.raises(ValueError, match="no 2"):
        r.get(timeout=60)
    assert r.state == "FAILURE"
    r = replaced_by.delay(group(add.s(1, 1), fail.s(2)))
    with pytest.raises(ValueError, match="no 2"):
        r.get(timeout=60)
    assert isinstance(r.result, ChordError)
    later = (replaced_by.s(fail.s(9)) | add.s(1)).delay()
    with pytest.raises(ValueError, match="no 9"):
        later.get(timeout=60)


def test_there_is_an_end_to_it(shared_app):
    with pytest.raises(ConfigError, match=r"100 calls in a row.*self\.retry"):
        for_ever.delay().get(timeout=120)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (add, "is a task; say add.s"),
        (5, r"self\.replace\(\): 5 is not a call"),
        (None, "is not a call of a task"),
    ],
)
def test_what_is_no_signature(shared_app, what, said):
    with pytest.raises(TypeError, match=said):
        replaced_by.delay(what).get(timeout=60)
    with pytest.raises(TypeError, match=said):
        replaced_by(what)


def test_who_catches_it_goes_on(shared_app):
    assert replaced_by.delay(add.s(1, 2), caught=True).get(timeout=60) == "went on"


def test_other_tasks(shared_app):
    class Large(Task):
        name = "large"

        def run(self, x):
            raise self.replace(add.s(x, 1) | add.s(2))

        def on_retry(self, *args):
            raise AssertionError("it was not tried again")

    @task(bind=True)
    async def awaited(self, x):
        raise self.replace(group(add.s(x, k) for k in range(3)))

    @task(bind=True, time_limit=30, rate_limit="1000/s", expires=60, autoretry_for=(ValueError,), retries=3)
    def limited(self, x):
        raise self.replace(fail.s(x))

    @task(bind=True, acks_late=False)
    def at_most_once(self, x):
        raise self.replace(add.s(x, 1))

    large = shared_app.register_task(Large())
    assert large.delay(1).get(timeout=60) == large(1) == 4
    assert awaited.delay(1).get(timeout=60) == [1, 2, 3]
    assert at_most_once.delay(1).get(timeout=60) == 2
    with pytest.raises(ValueError, match="no 1"):
        limited.delay(1).get(timeout=60)


def test_it_says_what_it_waits_for(shared_app, gate, eventually):
    r = replaced_by.delay(after_gate.s(1, gate.path))
    eventually(lambda: "replaced" in (r.why_pending() or ""), "it waits for what has taken its place")
    assert r.state == "PENDING"
    gate.open()
    assert r.get(timeout=60) == 1


@pytest.mark.parametrize("how", ["alone", "in a chain"])
def test_what_takes_its_place_is_revoked_with_it(shared_app, tmp_path, eventually, how):
    @task
    def go_on(path):
        while True:
            with path.open("a") as file:
                file.write(".")
            time.sleep(0.02)

    path = tmp_path / "ran"
    one = replaced_by.s(group(go_on.s(path), add.s(1, 1)) | total.s())
    r = (one if how == "alone" else one | add.s(1)).delay()
    eventually(path.exists, "what takes its place runs")
    eventually(lambda: (r.parent or r).batch.revoked.stand_ins, "it is known here")
    r.revoke(terminate=True)
    assert r.state == "REVOKED"
    size = path.stat().st_size

    def stands_still():
        nonlocal size
        before, size = size, path.stat().st_size
        return before == size

    eventually(lambda: stands_still() and add.delay(1, 1).get(timeout=60) == 2, "it was stopped")


def test_more_members_are_refused(shared_app):
    @task(bind=True)
    def more(self):
        self.add_to_chord(add.s(1, 1))

    with pytest.raises(ConfigError, match=r"add_to_chord\(\) is not there.*replace\(group"):
        more.delay().get(timeout=60)
