"""Steps of workflows that have failed and are submitted again: what had ended with them goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbtasks import AsyncResult, ConfigError, chain, chord, group, task

SOON = 60.0


@task
def add(x, y):
    return x + y


@task
def total(numbers):
    return sum(numbers)


@task
def needs(path, x):
    """Fail as long as a file is missing."""
    if not Path(path).exists():
        raise OSError(f"no {x}")
    return x


@task
def odd_needs(x, path):
    if x % 2 and not Path(path).exists():
        raise OSError(f"no {x}")
    return x


@task
def noted(x, folder):
    """Leave a file for each time that it runs."""
    place = Path(folder)
    (place / f"{len(list(place.iterdir()))}").touch()
    return x


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "told"
    made.mkdir()
    return made


@task
def told(call_id, folder):
    (Path(folder) / call_id.replace(":", "-")).touch()


def states(handle):
    return [step.state for step in handle.steps]


def test_a_chain_goes_on_where_it_failed(shared_app, gate, folder):
    r = chain(noted.s(1, str(folder)), odd_needs.s(gate.path), add.s(10), add.s(100)).delay()
    assert r.until_ready(SOON)
    assert states(r) == ["SUCCESS", "FAILURE", "FAILURE", "FAILURE"]
    gate.open()
    failed = r.parent.parent
    assert failed.retry() is failed
    assert r.get(timeout=SOON) == 111
    assert states(r) == ["SUCCESS"] * 4
    assert len(list(folder.iterdir())) == 1, "what had succeeded was not run again"
    assert r.parent.get() == 11
    assert AsyncResult(r.id).get(timeout=SOON) == 111


def test_the_last_step_brings_along_what_failed_before_it(shared_app, gate):
    r = chain(needs.s(gate.path, 1), add.s(10), add.s(100)).delay()
    assert r.until_ready(SOON)
    gate.open()
    assert r.retry().get(timeout=SOON) == 111
    assert r.root.get() == 1


def test_a_chord_gets_the_values_of_all_members(shared_app, gate):
    r = chord([odd_needs.s(n, gate.path) for n in range(10)], total.s()).delay()
    assert r.until_ready(SOON)
    assert r.parent.until_ready(SOON)
    gate.open()
    r.parent.retry_failed()
    assert r.get(timeout=SOON) == 45
    assert r.parent.get() == list(range(10))


def test_a_body_waits_until_no_member_is_left_that_has_failed(shared_app, gate):
    r = chord([odd_needs.s(n, gate.path) for n in range(4)], total.s()).delay()
    assert r.until_ready(SOON)
    assert r.parent.until_ready(SOON)
    gate.open()
    r.parent[1].retry()
    assert r.parent[1].get(timeout=SOON) == 1
    assert r.state == "FAILURE", "another member has failed as well"
    r.parent[3].retry()
    assert r.get(timeout=SOON) == 6


def test_chains_beside_each_other_go_on_each_for_itself(shared_app, gate):
    r = (group(chain(add.s(n, 0), odd_needs.s(gate.path), add.s(10)) for n in range(6)) | total.s()).delay()
    assert r.until_ready(SOON)
    # It fails with the first of them; the others may run still.
    assert r.parent.until_ready(SOON)
    gate.open()
    r.retry()
    assert r.get(timeout=SOON) == 15 + 60
    assert r.parent.get() == [10, 11, 12, 13, 14, 15]


def test_members_of_several_kinds_and_what_comes_after_them(shared_app, gate):
    r = (
        group(odd_needs.s(1, gate.path), add.s(2, 3), odd_needs.s(7, gate.path) | add.s(1))
        | total.s()
        | add.s(1)
    ).delay()
    members = r.parent.parent
    assert r.until_ready(SOON)
    # What comes after the members fails with the first one of them.
    assert members.until_ready(SOON)
    gate.open()
    members.retry_failed()
    assert r.get(timeout=SOON) == 1 + 5 + 8 + 1


def test_a_second_failure_is_a_failure_again_and_can_be_retried(shared_app, gate):
    r = chain(needs.s(gate.path, 1), add.s(10)).delay()
    assert r.until_ready(SOON)
    r.retry()
    with pytest.raises(OSError, match="no 1"):
        r.get(timeout=SOON)
    assert states(r) == ["FAILURE", "FAILURE"]
    gate.open()
    assert r.retry().get(timeout=SOON) == 11
    assert r.root.retries == 2


def test_what_was_revoked_runs_after_all(shared_app, gate):
    r = chain(add.s(1, 2).set(countdown=600), add.s(10)).delay()
    r.revoke()
    assert states(r) == ["REVOKED", "REVOKED"]
    assert r.retry().get(timeout=SOON) == 13


def test_an_errback_is_told_of_a_failure_that_comes_again(shared_app, gate, folder, eventually):
    r = chain(needs.s(gate.path, 1), add.s(10)).on_error(told.s(str(folder))).delay()
    assert r.until_ready(SOON)
    eventually(lambda: len(list(folder.iterdir())) == 1, "the errback is told")
    r.retry()
    assert r.until_ready(SOON)
    eventually(lambda: len(list(folder.iterdir())) == 2, "the errback is told again")
    gate.open()
    assert r.retry().get(timeout=SOON) == 11
    assert len(list(folder.iterdir())) == 2


def test_an_errback_that_failed_runs_again(shared_app, gate):
    r = needs.s("/nowhere", 1).on_error(needs.si(gate.path, "errback")).delay()
    assert r.until_ready(SOON)
    errback = r.steps[-1]
    assert errback.until_ready(SOON)
    assert errback.state == "FAILURE"
    gate.open()
    assert errback.retry().get(timeout=SOON) == "errback"
    assert r.state == "FAILURE"


def test_a_call_with_a_handle_says_what_to_retry_first(shared_app, gate):
    first = needs.delay(gate.path, 1)
    r = add.delay(first, 10)
    assert r.until_ready(SOON)
    gate.open()
    with pytest.raises(ConfigError, match=r"waits for .*needs.*first"):
        r.retry()
    first.retry()
    assert r.retry().get(timeout=SOON) == 11


def test_a_map_of_handles_runs_again_where_it_failed(shared_app, gate):
    before = add.starmap([(n, 0) for n in range(4)])
    r = odd_needs.starmap([(one, gate.path) for one in before])
    assert r.until_ready(SOON)
    assert r.failed_count() == 2
    gate.open()
    assert r.retry_failed().get(timeout=SOON) == [0, 1, 2, 3]


def test_nothing_has_failed(shared_app):
    r = chain(add.s(1, 2), add.s(10)).delay()
    assert r.get(timeout=SOON) == 13
    with pytest.raises(ConfigError, match="has failed"):
        r.retry()


def test_a_map_of_chains_with_many_failures(shared_app, gate):
    n = 600
    r = (group(add.s(k, 0) | odd_needs.s(gate.path) | add.s(1) for k in range(n)) | total.s()).delay()
    assert r.until_ready(SOON)
    assert r.parent.until_ready(SOON)
    gate.open()
    assert r.retry().get(timeout=SOON) == sum(range(n)) + n


def test_a_group_in_the_middle(shared_app, gate):
    r = (needs.s(gate.path, 2) | group(add.s(1), add.s(2)) | total.s()).delay()
    assert r.until_ready(SOON)
    gate.open()
    r.root.retry()
    assert r.get(timeout=SOON) == 7
    assert r.why_pending() is None


def test_what_runs_again_can_be_revoked(shared_app, gate):
    r = chain(needs.s(gate.path, 1), add.s(10).set(countdown=600), add.s(100)).delay()
    assert r.until_ready(SOON)
    gate.open()
    r.root.retry().get(timeout=SOON)
    assert not r.ready()
    assert "waits for" in r.why_pending()
    r.revoke()
    assert r.until_ready(SOON)
    assert states(r) == ["SUCCESS", "REVOKED", "REVOKED"]
    assert not [one for one in shared_app.engine.registry.all_unfinished() if "add" in one.name]


def test_large_values_and_values_that_are_not_kept(shared_app, gate):
    @task
    def large(n):
        return b"x" * n

    @task(ignore_result=True)
    def not_kept(value):
        return value

    @task
    def length(value, path):
        if not Path(path).exists():
            raise OSError("not yet")
        return len(value)

    r = (large.s(3_000_000) | not_kept.s() | length.s(gate.path)).delay()
    assert r.until_ready(SOON)
    gate.open()
    assert r.retry().get(timeout=SOON) == 3_000_000


def test_the_function_goes_along_as_it_is_now(shared_app, tmp_path):
    name = "of_now"

    def made(answer):
        def of_now(x):
            if answer is None:
                raise ValueError(x)
            return answer + x

        of_now.__qualname__ = name
        return of_now

    first = task(made(None))
    r = (first.s(1) | add.s(10)).delay()
    assert r.until_ready(SOON)
    first.function = made(100)
    assert r.retry().get(timeout=SOON) == 111
