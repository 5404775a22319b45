"""The first result of a call is the one that counts, for as long as results are kept."""

from __future__ import annotations

import pytest

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush

from .bench import ADDRESS, FAILURE, SUCCESS, chunk, name, record


def results(batch: str, first: int, states: bytes, frame: bytes) -> Finish:
    report = Finish()
    report.results(batch, first, states, frame)
    return report


def test_the_first_result_wins(bench):
    batch = bench.submitted(4, 4)
    assert bench.store.finish(results(batch, 1, SUCCESS * 2, b"first")) == 2
    assert bench.store.finish(results(batch, 0, FAILURE * 4, b"second")) == 2
    assert bench.store.finish(results(batch, 0, SUCCESS * 4, b"third")) == 0
    assert bench.store.states(batch, 0, 4) == FAILURE + SUCCESS * 2 + FAILURE
    assert bench.store.ranges(batch) == [(0, 1), (1, 2), (3, 1)]
    assert bench.store.record(batch, 1, 2) == b"first"
    assert bench.store.record(batch, 0, 1) == bench.store.record(batch, 3, 1) == b"second"
    assert bench.store.record(batch, 0, 4) is None


def test_states_of_what_has_not_ended_are_zero(bench):
    batch = bench.submitted(4, 4)
    bench.store.finish(results(batch, 2, SUCCESS, b"record"))
    assert bench.store.states(batch, 0, 4) == b"\0\0" + SUCCESS + b"\0"
    assert bench.store.states(batch, 1, 2) == b"\0" + SUCCESS
    assert bench.store.states(batch, 2, 0) == b""
    assert bench.store.states(name(), 0, 3) == bytes(3)
    assert bench.store.states_of([(batch, 4), (name(), 2), (batch, 1)]) == [
        b"\0\0" + SUCCESS + b"\0",
        bytes(2),
        bytes(1),
    ]
    assert bench.store.states_of([]) == []


def test_what_is_told_of_a_batch_that_nobody_knows_is_passed_over(bench):
    known, report = bench.submitted(2, 2), Finish()
    report.results(name(), 0, SUCCESS, b"record")
    report.event(name(), b"event")
    report.counted(name())
    report.results(known, 0, SUCCESS, b"record")
    assert bench.store.finish(report) == 1
    assert bench.store.states(known, 0, 2) == SUCCESS + b"\0"


def test_an_empty_report_is_none(bench):
    assert not Finish()
    assert bench.store.finish(Finish()) == 0


def test_a_batch_is_over_with_its_last_result(bench):
    batch, began = bench.submitted(3, 3), bench.now()
    known = bench.store.batch(batch)
    assert (known.id, known.label, known.ended_at) == (batch, b"label of " + batch.encode(), None)
    assert abs(known.submitted_at - began) < 60
    bench.store.finish(results(batch, 0, SUCCESS * 2, b"record"))
    assert bench.store.batch(batch).ended_at is None
    bench.store.finish(results(batch, 2, FAILURE, b"record"))
    assert abs(bench.store.batch(batch).ended_at - began) < 60
    assert bench.store.batch(name()) is None


def test_batches_are_listed_newest_first(bench):
    batches = [bench.submitted(2, 2) for _ in range(4)]
    bench.store.finish(results(batches[1], 0, SUCCESS * 2, b"record"))
    bench.store.finish(results(batches[2], 0, SUCCESS, b"record"))
    # Those of one moment may stand in any order.
    assert sorted(bench.store.newest(10)) == sorted(batches)
    assert len(bench.store.newest(3)) == 3
    listed = {one.id: one for one in bench.store.listed(10, unfinished=False)}
    assert sorted(listed) == sorted(batches)
    assert (listed[batches[1]].done_count, listed[batches[2]].done_count) == (2, 1)
    assert listed[batches[1]].ended_at is not None
    assert listed[batches[2]].ended_at is None
    assert {one.id for one in bench.store.listed(10, unfinished=True)} == {*batches} - {batches[1]}
    unknown = name()
    named = bench.store.named([batches[0], unknown])
    assert [(one.id, one.label) for one in named] == [(batches[0], b"label of " + batches[0].encode())]
    assert bench.store.named([]) == []


def test_results_are_kept_for_their_time(bench, eventually):
    short, long = bench.submitted(2, 2, ttl_ms=200), bench.submitted(2, 2)
    bench.work_off()

    def is_gone():
        bench.forget_expired()
        return bench.store.batch(short) is None and bench.store.states(short, 0, 2) == bytes(2)

    eventually(is_gone, "the results have expired")
    assert bench.store.ranges(short) == []
    assert bench.store.batch(long) is not None
    assert bench.store.states(long, 0, 2) == SUCCESS * 2
    eventually(lambda: is_gone() and bench.store.newest(10) == [long], "it is listed no more")


def test_nothing_expires_that_has_not_ended(bench):
    batch = bench.submitted(2, 1, ttl_ms=1)
    bench.store.finish(results(batch, 0, SUCCESS, b"record"))
    bench.forget_expired()
    assert bench.store.states(batch, 0, 2) == SUCCESS + b"\0"
    assert bench.store.function("fn") == b"function"


def test_code_is_kept_as_long_as_a_batch_needs_it(bench, eventually):
    def of(function, ttl_ms):
        batch, flush = name(), Flush()
        flush.batch(batch, 1, ADDRESS, function, b"code", b"label", ttl_ms)
        flush.chunk(batch, ADDRESS, "m", 0, 0, 1, chunk(batch, 0))
        bench.submit(flush)
        return batch

    of("shared", 1)
    open_one, _ = of("shared", 60_000), of("lonely", 100)
    for entry in bench.worker.take(10):
        if entry.batch != open_one:
            bench.end(bench.worker, entry)

    def is_gone():
        bench.forget_expired()
        return bench.store.function("lonely") is None

    eventually(is_gone, "code that nothing needs has expired")
    assert bench.store.function("shared") == b"code"


def test_blobs_of_a_result_go_with_it(bench, eventually):
    batch, blobs, report = bench.submitted(2, 1, ttl_ms=200), bench.line.blobs(), Finish()
    key, kept = blobs.key("result", 0), blobs.key("kept", 0)
    report.blob(batch, key, b"large")
    report.results(batch, 0, SUCCESS, b"record")
    bench.store.finish(report)
    other, more = bench.submitted(1), Finish()
    more.blob(batch, kept, b"kept by both")
    more.keep(other, kept)
    more.results(batch, 1, SUCCESS, b"record")
    bench.store.finish(more)
    assert blobs.have([key, kept]) == [True, True]

    def is_gone():
        bench.forget_expired()
        return not blobs.have([key])[0]

    eventually(is_gone, "the value has expired with its batch")


def test_a_batch_is_forgotten(bench):
    batch, blobs, report = bench.submitted(2, 2), bench.line.blobs(), Finish()
    key = blobs.key("result", 0)
    report.blob(batch, key, b"large")
    report.results(batch, 0, SUCCESS * 2, b"record")
    report.own_state(batch, 0, 1, b"own")
    bench.store.finish(report)
    assert bench.store.forget(batch) == [key]
    assert blobs.have([key]) == [True], "its values are dropped by who has the keys"
    assert bench.store.batch(batch) is None
    assert bench.store.states(batch, 0, 2) == bytes(2)
    assert bench.store.ranges(batch) == bench.store.own_states(batch) == bench.store.newest(10) == []
    assert bench.store.forget(batch) == []


def test_calls_that_share_a_batch_are_forgotten_one_by_one(bench):
    batch = bench.submitted(3, 3)
    assert bench.store.forgotten(batch) == frozenset()
    assert bench.store.forget_call(batch, 1) == 2
    assert bench.store.forget_call(batch, 1) == 2
    assert bench.store.forgotten(batch) == {1}
    assert bench.store.forget_call(batch, 0) == 1
    assert bench.store.forget_call(batch, 2) == 0
    assert bench.store.forgotten(batch) == {0, 1, 2}
    assert bench.store.forget_call(name(), 0) == 0
    assert bench.store.forgotten(name()) == frozenset()


def test_own_states_are_kept_while_calls_run(bench):
    batch, report = bench.submitted(4, 4), Finish()
    report.own_state(batch, 0, 1, b"loading")
    report.own_state(batch, 2, 1, b"fitting")
    report.own_state(batch, 0, 1, b"loaded")
    bench.store.finish(report)
    assert sorted(bench.store.own_states(batch)) == [(b"0", b"loaded"), (b"2", b"fitting")]
    over = Finish()
    over.own_state(batch, 0, 2, b"")
    bench.store.finish(over)
    assert bench.store.own_states(batch) == [(b"2", b"fitting")]


def test_graphs_and_groups_are_kept_for_a_time(bench, eventually):
    kept, short = name(), name()
    bench.store.keep_plan(kept, b"a group", 60_000)
    bench.store.keep_plan(short, b"another", 100)
    assert bench.store.plan(kept) == b"a group"
    assert bench.store.plan(name()) is None

    def is_gone():
        bench.forget_expired()
        return bench.store.plan(short) is None

    eventually(is_gone, "it is kept for so long only")
    assert bench.store.plan(kept) == b"a group"


@pytest.mark.parametrize("is_due", [True, False])
def test_a_retry_is_another_attempt(bench, is_due):
    batch = bench.submitted(2, 2)
    (entry,) = bench.worker.take(1)
    report, now = Finish(), bench.now()
    due_ms = round(now * 1000) + (0 if is_due else 60_000)
    report.again(batch, ADDRESS, "m", due_ms, 1, 1, 7, b"the chunk as it was")
    report.done(entry)
    for _ in range(2):
        bench.worker.finish(report)
    assert bench.queues.promote(ADDRESS, now + 1)[0] == int(is_due)
    assert [(one.first, one.count, one.attempt, one.frame) for one in bench.worker.take(10)] == [
        (1, 1, 7, b"the chunk as it was")
    ] * is_due


def test_a_call_that_waits_for_others_comes_when_they_have_ended(bench):
    batch, inner = bench.submitted(1), bench.submitted(2, 1)
    entries = {one.batch: one for one in bench.worker.take(10) if one.first == 0}
    report, now = Finish(), bench.now()
    late_ms = round(now * 1000) + 3_600_000
    report.later(batch, ADDRESS, "m", late_ms, 0, 2, b"the chunk", name(), [inner])
    report.done(entries[batch])
    bench.worker.finish(report)
    bench.end(bench.worker, entries[inner])
    assert bench.queues.promote(ADDRESS, now + 1)[0] == 0
    assert bench.other.take(1) == []
    bench.store.finish(results(inner, 1, SUCCESS, record(1, 1)))
    # It is queued at once, or by whoever queues what is due.
    bench.queues.promote(ADDRESS, now + 1)
    (again,) = bench.other.take(1)
    assert (again.batch, again.attempt) == (batch, 2)


def test_results_are_found_by_name_later(bench):
    batch, report, kept = bench.submitted(3, 3), Finish(), bench.line.kept_calls()
    names = [bytes([number]) * 32 for number in (1, 2)]
    report.results(batch, 0, SUCCESS + FAILURE + SUCCESS, b"record")
    report.named(batch, 0, names[0] + names[1] + bytes(32))
    bench.store.finish(report)
    hexed = [one.hex() for one in names]
    assert kept.calls([hexed[0], hexed[1], "77" * 32]) == [(batch, 0), None, None], "a failure is not kept"
    assert kept.calls([]) == []
    assert kept.places([batch]) == {batch: [(0, 3)]}
    unknown = name()
    assert list(kept.records([(batch, 0, 3), (unknown, 0, 1)])) == [((batch, 0, 3), b"record")]


def test_how_calls_have_ended_is_read_by_parts(bench):
    batch, report = bench.submitted(6, 6), Finish()
    report.results(batch, 0, SUCCESS * 2, b"first")
    report.results(batch, 3, FAILURE, b"second")
    bench.store.finish(report)
    parts, unknown = bench.line.workflows(), name()
    assert parts.states_of_parts([(batch, 1, 3), (unknown, 0, 2)]) == [SUCCESS + b"\0" + FAILURE, bytes(2)]
    assert parts.states_of_parts([]) == []
    assert parts.records_of(batch, 1, 3) == [(0, 2, b"first"), (3, 1, b"second")]
    assert parts.records_of(batch, 2, 1) == []
    assert parts.records_of(unknown, 0, 1) == []
    assert parts.record_at(batch, 0, 2) == b"first"
    assert parts.record_at(batch, 0, 1) is None
    assert parts.are_known([batch, unknown]) == [True, False]
    single = bench.submitted(1)
    bench.work_off()
    assert parts.records_of(single, 0, 1) == [(0, 1, record(0, 1))]


def test_a_key_stands_for_one_call(bench):
    unique, first, second = bench.line.unique_calls(), name(), name()
    assert unique.claim("sum", first, 0) == first
    assert unique.claim("sum", second, 0) == first, "it is on its way"
    assert unique.claim("other", second, 0) == second
    bench.submitted(1, batch=first)
    assert unique.claim("sum", second, 0) == first
    assert unique.claim("sum", first, 0) == first
    bench.work_off()
    assert unique.claim("sum", second, 0) == second, "the call has ended"


def test_a_key_stands_for_a_call_no_longer_than_it_was_told(bench, eventually):
    unique, first, second = bench.line.unique_calls(), name(), name()
    bench.submitted(1, batch=first)
    assert unique.claim("report", first, 0.2) == first
    eventually(
        lambda: unique.claim("report", second, 60) == second, "it is over, though the call still waits"
    )
    bench.submitted(1, batch=second)
    assert unique.claim("report", first, 60) == second
