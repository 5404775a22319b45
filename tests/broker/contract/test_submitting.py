"""What a client submits is there once, all of it or nothing; and what it revokes."""

from __future__ import annotations

import pytest

from nbtasks.broker.brokererrors import FlushGap, FunctionMissing
from nbtasks.broker.verbs.flush import Flush

from .bench import ADDRESS, OTHER, TTL_MS, calls, chunk, name


def flush_of(batch: str, frame: bytes = b"function", function: str = "fn") -> Flush:
    flush = Flush()
    flush.batch(batch, 2, ADDRESS, function, frame, b"label", TTL_MS)
    flush.chunk(batch, ADDRESS, "m", 0, 0, 2, chunk(batch, 0))
    return flush


def test_what_is_submitted_comes_as_it_was_sent(bench):
    batch = bench.submitted(4, 2)
    first, second = bench.take_all(bench.worker)
    assert (first.batch, first.address, first.lane, first.attempt) == (batch, ADDRESS, "m", 1)
    assert calls([first, second]) == [(0, 2), (2, 2)]
    assert (first.frame, second.frame) == (chunk(batch, 0), chunk(batch, 2))
    assert (first.suspect, first.doubt, first.before) == (False, "", None)
    assert 0 < len(first.id) <= 41
    assert first.id != second.id
    assert not first.id.endswith(b"\0")


def test_a_flush_counts_once_however_often_it_is_sent(bench):
    batch, session = name(), name()
    for _ in range(3):
        bench.submission.submit(session, 1, flush_of(batch))
    assert bench.left() == 1
    assert bench.submission.last_flush(session) == 1
    bench.submission.submit(session, 2, flush_of(name()))
    assert bench.submission.last_flush(session) == 2
    assert bench.left() == 2


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_gap_is_told_and_nothing_is_applied(bench, number):
    session, batch = name(), name()
    for each in range(1, 3):
        bench.submission.submit(session, each, flush_of(name()))
    if number == 2:
        bench.submission.submit(session, number, flush_of(batch))
    else:
        with pytest.raises(FlushGap) as caught:
            bench.submission.submit(session, number, flush_of(batch))
        assert caught.value.last == 2
    assert bench.store.batch(batch) is None
    assert bench.left() == 2
    assert bench.submission.last_flush(session) == 2


def test_a_session_that_is_not_known_has_sent_nothing(bench):
    assert bench.submission.last_flush(name()) == 0
    with pytest.raises(FlushGap) as caught:
        bench.submission.submit(name(), 2, flush_of(name()))
    assert caught.value.last == 0


def test_a_function_is_sent_once(bench):
    batch = name()
    with pytest.raises(FunctionMissing) as caught:
        bench.submit(flush_of(batch, b"", "its hash"))
    assert caught.value.digest == "its hash"
    assert bench.store.batch(batch) is None
    assert bench.left() == 0
    bench.submit(flush_of(batch, b"code", "its hash"))
    assert bench.store.function("its hash") == b"code"
    bench.submit(flush_of(name(), b"", "its hash"))
    assert bench.left() == 2
    assert bench.store.function("another") is None


def test_a_function_may_be_larger_than_a_statement_of_the_server(bench):
    code = bytes(range(256)) * (20 * 2**12 + 1)
    session = name()
    bench.submission.submit(session, 1, flush_of(name(), frame=code, function="large"))
    assert bench.store.function("large") == code
    again = Flush()
    again.function("large", code[:-1])
    bench.submission.submit(session, 2, again)
    assert bench.store.function("large") == code[:-1]
    again = Flush()
    again.function("large", b"small by now")
    bench.submission.submit(session, 3, again)
    assert bench.store.function("large") == b"small by now"


def test_a_function_that_comes_with_another_batch_of_the_flush_is_there(bench):
    flush = flush_of(name(), b"code", "its hash")
    flush.batch(name(), 1, ADDRESS, "its hash", b"", b"label", TTL_MS)
    bench.submit(flush)


def test_a_function_is_put_in_place_again(bench):
    bench.submit(flush_of(name(), b"code", "its hash"))
    flush = Flush()
    flush.function("its hash", b"the code anew")
    bench.submit(flush)
    assert bench.store.function("its hash") == b"the code anew"


def test_an_empty_flush_only_counts(bench):
    bench.submit(Flush())
    assert bench.submission.last_flush(bench.session) == 1


def test_a_batch_that_grows_is_over_when_its_number_is_known(bench):
    batch, flush = name(), Flush()
    flush.batch(batch, -1, ADDRESS, "fn", b"function", b"label", TTL_MS)
    flush.chunk(batch, ADDRESS, "m", 0, 0, 1, chunk(batch, 0))
    bench.submit(flush)
    bench.work_off()
    assert bench.store.batch(batch).ended_at is None
    more = Flush()
    more.grown(batch, 2, b"another label")
    more.chunk(batch, ADDRESS, "m", 0, 1, 1, chunk(batch, 1))
    bench.submit(more)
    assert bench.store.batch(batch).label == b"another label"
    bench.work_off()
    assert bench.store.batch(batch).ended_at is not None


def test_queues_are_known_by_what_was_submitted(bench):
    assert ADDRESS in bench.queues.addresses() or bench.queues.addresses() == []
    bench.submitted(address=OTHER)
    bench.submitted()
    assert bench.queues.addresses() == sorted([ADDRESS, OTHER])


def test_namespaces_see_nothing_of_each_other(bench, another):
    batch, beside = bench.submitted(), another()
    assert beside.worker.take(10) == []
    assert beside.store.batch(batch) is None
    assert beside.store.newest(10) == []
    assert beside.store.function("fn") is None
    assert len(bench.worker.take(10)) == 2


def test_revoking_is_told_of_known_batches_alone(bench):
    batch = bench.submitted()
    orders = [(batch, b"one", None), (name(), b"two", None), (batch, b"three", 1)]
    assert bench.submission.revoke_several(orders) == [True, False, True]
    assert not bench.submission.revoke(name(), b"four")
    assert bench.submission.revoke_several([]) == []
    told = bench.line.ordering()
    told.ask(None, 1)
    assert [one.data for one in told.asked(10) if one.kind == "c"] == [b"one", b"three"]


def test_what_was_revoked_is_looked_at_before_it_is_run(bench):
    batch = bench.submitted(4, 2)
    bench.revoke(batch, [0])
    assert {(one.first, one.suspect) for one in bench.worker.take(10)} == {(0, True), (2, True)}


def test_orders_that_revoke_what_runs_stay_with_the_batch(bench):
    batch = bench.submitted(4, 4)
    bench.submission.revoke(batch, b"the call", 1)
    bench.submission.revoke(batch, b"all of it", -1)
    bench.submission.revoke(batch, b"not one that runs")
    assert bench.store.standing(batch, 0, 4) == (bytes(4), {1: b"the call", -1: b"all of it"})
    assert bench.store.standing(batch, 2, 2) == (bytes(2), {-1: b"all of it"})
    assert bench.store.standing(name(), 0, 2) == (bytes(2), {})


def test_large_values_are_there_before_the_call_that_needs_them(bench):
    blobs, batch, flush = bench.line.blobs(), name(), Flush()
    keys = [blobs.key("abcdef", piece) for piece in (0, 1)]
    assert [blobs.name_of(key) for key in keys] == ["abcdef"] * 2
    assert blobs.name_of("none of ours") is None
    flush.batch(batch, 1, ADDRESS, "fn", b"function", b"label", TTL_MS)
    flush.blob(batch, keys[0], b"x" * 100_000)
    flush.blob(batch, keys[1], memoryview(b"the end"))
    flush.chunk(batch, ADDRESS, "m", 0, 0, 1, chunk(batch, 0))
    bench.submit(flush)
    target = memoryview(bytearray(100_000))
    assert blobs.read(keys[0], target) == 100_000
    assert bytes(target) == b"x" * 100_000
    assert blobs.read(keys[1], target) == 7
    assert bytes(target[:7]) == b"the end"
    assert blobs.read(keys[0], memoryview(bytearray(5))) == 100_000
    assert blobs.read(blobs.key("nobody", 0), target) is None
    assert blobs.have([*keys, blobs.key("nobody", 0)]) == [True, True, False]
    blobs.drop(keys[:1])
    blobs.drop(keys[:1])
    assert blobs.have(keys) == [False, True]
    assert blobs.have([]) == []
