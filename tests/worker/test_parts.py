"""Parts of a worker that need no broker: pace, jobs, slots, kept output."""

from __future__ import annotations

import io
import time

from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.permits import Grant
from nbtasks.core.address import Address
from nbtasks.core.callheader import CallHeader
from nbtasks.core.context import CurrentCall, reset_current, set_current
from nbtasks.core.options import TaskOptions, with_overrides
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.opened.function import Function
from nbtasks.worker.isolation.output import HEAD_CHARS, TAIL_CHARS, Output
from nbtasks.worker.isolation.streams import TaggedStream
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.pace import Pace
from nbtasks.worker.jobs.permittedcalls import PermittedCalls
from nbtasks.worker.slots import BUSY, STARTING, StopOrder, make_slots

BATCH = "0123456789abcdef0123"


def job(first=0, count=5, single=False, **overrides):
    """A job of ``count`` calls."""
    chunk = Chunk(
        BATCH,
        "f",
        first,
        [b"%d" % number for number in range(count)],
        CallHeader("work", single=single, overrides=overrides),
    )
    function = Function.of("f", len, TaskOptions())
    return Job(
        Entry(Address("io", "3.11", "abcdef01"), "m", b"1-0", BATCH, first, count, 1, False, b""),
        chunk,
        function,
        with_overrides(function.options, chunk.header.overrides),
        first,
        first + count,
    )


# --- pace: how much to take


def test_while_nothing_is_known_a_child_takes_one_and_keeps_all():
    pace = Pace()
    assert pace.keep("f", 100) == 100
    assert pace.most_entries("f", 1) == 1
    assert pace.most_entries(None, 1) == 1


def test_slow_calls_are_kept_one_by_one_and_fast_ones_by_the_hundred():
    pace = Pace()
    pace.note("slow", 3.0)
    pace.note("fast", 1e-6)
    assert pace.keep("slow", 100) == 1
    assert pace.keep("fast", 100) == 100
    assert pace.most_entries("slow", 1) == 1
    assert pace.most_entries("fast", 1) == 64


def test_one_slow_call_is_not_forgotten_by_the_next():
    pace = Pace()
    pace.note("f", 0.001)
    pace.note("f", 1.0)
    pace.note("f", 0.001)
    assert pace.keep("f", 100) == 1


def test_more_is_kept_where_giving_away_takes_long():
    pace = Pace()
    pace.note("f", 0.01)
    pace.note_gift(0.0003)
    assert pace.keep("f", 100) == 5, "a quick broker costs next to nothing"
    for _ in range(20):
        pace.note_gift(0.04)
    assert 14 <= pace.keep("f", 100) <= 16
    pace.note_gift(3600.0)
    assert pace.keep("f", 100) == 25, "the others must not wait for long"
    for _ in range(40):
        pace.note_gift(0.0003)
    assert pace.keep("f", 100) == 5


# --- jobs: which call is next


def test_calls_are_claimed_once_and_in_order():
    mine = job(first=10, count=3)
    assert [mine.claim() for _ in range(4)] == [10, 11, 12, None]
    assert bytes(mine.payload(11)) == b"1"


def test_calls_that_are_final_are_left_out():
    mine = job()
    mine.skip = frozenset({0, 3})
    assert [mine.claim() for _ in range(4)] == [1, 2, 4, None]


def test_what_is_cut_off_is_not_claimed():
    mine = job()
    mine.claim()
    assert mine.cut(2) == (3, 2)
    assert mine.cut(2) is None
    assert [mine.claim() for _ in range(3)] == [1, 2, None]


def test_how_many_calls_to_keep_for_some_to_run():
    mine = job()
    assert [mine.span(calls) for calls in range(7)] == [0, 1, 2, 3, 4, 5, 5]
    mine.skip = frozenset({0, 3})
    assert mine.to_run == 3
    assert [mine.span(calls) for calls in range(5)] == [0, 2, 3, 5, 5]
    mine.claim()
    assert (mine.to_run, mine.span(1), mine.span(2)) == (2, 1, 3)


# --- permits: when it may start


class Limit:
    """A server that gives permits as it is told to, and what was put aside meanwhile."""

    def __init__(self, *grants):
        self.grants, self.asked, self.aside = list(grants), [], []

    def take(self, limit, every_s, most, in_hand, address):
        self.asked.append((most, in_hand))
        return self.grants.pop(0)

    def put_aside(self, mine, keep, delay_s, limit):
        self.aside.append((*mine.cut(keep), delay_s))

    def calls_of(self, mine, rate="10/s", most=9, pause=lambda until: True):
        return PermittedCalls(mine, rate, most, self.take, self.put_aside, pause)


def test_what_gets_no_permit_is_put_aside():
    limit = Limit(Grant(2, 0.0, 0.3))
    calls = limit.calls_of(job(), "1000/s")
    assert limit.asked == []
    assert [calls.claim() for _ in range(3)] == [0, 1, None]
    assert (limit.asked, limit.aside) == ([(5, 5)], [(2, 3, 0.3)])


def test_calls_start_one_after_another():
    pauses = []
    limit = Limit(Grant(3, 0.5, 0.0))
    calls = limit.calls_of(job(count=3), "10/s", pause=lambda until: pauses.append(until) or True)
    assert [calls.claim() for _ in range(4)] == [0, 1, 2, None]
    assert [round(at - pauses[0], 6) for at in pauses] == [0.0, 0.1, 0.2]
    assert limit.aside == []


def test_nothing_starts_when_the_child_stops():
    mine = job()
    assert Limit(Grant(5, 0.0, 0.0)).calls_of(mine, pause=lambda until: False).claim() is None
    assert mine.remaining == 5


def test_a_permit_that_was_not_used_in_time_is_lost():
    """A call was held up: those behind it would all start together."""
    limit = Limit(Grant(5, 0.0, 0.0), Grant(1, 0.0, 2.0))
    calls = limit.calls_of(job(), "1000/s")
    assert calls.claim() == 0
    time.sleep(0.06)
    assert [calls.claim(), calls.claim()] == [1, None]
    assert (limit.asked, limit.aside) == ([(5, 5), (4, 4)], [(2, 3, 2.0)])


def test_calls_that_have_ended_take_no_permit():
    mine, limit = job(), Limit(Grant(1, 0.0, 1.0))
    mine.skip = frozenset({0, 1, 4})
    calls = limit.calls_of(mine)
    assert [calls.claim(), calls.claim()] == [2, None]
    assert (limit.asked, limit.aside) == ([(2, 2)], [(3, 2, 1.0)])
    ended = job()
    ended.skip = frozenset(range(5))
    assert limit.calls_of(ended).claim() is None
    assert ended.remaining == 0


def test_how_many_permits_are_asked_for():
    pace = Pace()
    assert pace.most_permits("f", 100) == 1
    pace.note("f", 0.01)
    assert pace.most_permits("f", 100) == 5


def test_a_call_knows_its_id_queue_and_attempt():
    call = job(time_limit=3.0).call(4, "w")
    assert (call.id, call.queue, call.attempt, call.time_limit) == (f"{BATCH}:4", "io", 1, 3.0)
    assert job(single=True).call(0, "w").id == BATCH


def test_options_of_the_call_are_laid_over_the_tasks():
    assert job(time_limit=3.0, soft_time_limit=1.0, max_retries=2).options == TaskOptions.make(
        {"time_limit": 3, "soft_time_limit": 1, "retries": 2}
    )
    assert job().options == TaskOptions()


# --- slots: shared memory


def test_a_slot_tells_what_its_child_runs():
    first, second = make_slots(2)
    second.enter(77)
    second.begin(BATCH.encode(), 9, 2.5)
    running = second.running()
    assert (running.batch, running.index, running.limit_s) == (BATCH, 9, 2.5)
    assert first.running() is None
    second.end()
    second.set_state(BUSY, 1)
    assert second.running() is None
    assert second.status() == (77, BUSY, 1, 1)


def test_an_order_reaches_one_slot():
    first, second = make_slots(2)
    order = StopOrder(5, BATCH, -1, True)
    first.stop(order)
    assert first.to_stop() == order
    assert second.to_stop().serial == 0


def test_a_cleared_slot_is_as_new():
    (slot,) = make_slots(1)
    slot.enter(77)
    slot.begin(BATCH.encode(), 0, 0.0)
    slot.set_waiting(True)
    slot.clear()
    assert slot.status() == (0, STARTING, 0, 0)
    assert slot.running() is None
    assert not slot.waiting


# --- output


def text_of(output):
    return "".join(text for _, text in output.kept())


def test_streams_are_kept_apart_in_order():
    output = Output()
    for stream, text in (("o", "a"), ("o", "b\n"), ("e", "oh\n"), ("o", "c\n")):
        output.write(stream, text)
    assert output.kept() == [["o", "ab\n"], ["e", "oh\n"], ["o", "c\n"]]


def test_of_much_output_the_beginning_and_the_end_are_kept():
    output = Output()
    for number in range(100_000):
        output.write("o", f"line {number}\n")
    text = text_of(output)
    assert text.startswith("line 0\n")
    assert text.endswith("line 99999\n")
    assert len(text) < HEAD_CHARS + TAIL_CHARS + 100
    assert "characters left out" in text


def test_one_huge_write_is_bounded_too():
    output = Output()
    output.write("o", "<" + "x" * 10**7 + ">")
    text = text_of(output)
    assert text.startswith("<")
    assert text.endswith(">")
    assert len(text) < HEAD_CHARS + TAIL_CHARS + 100


def test_output_that_just_fits_is_whole():
    output = Output()
    output.write("o", "x" * (HEAD_CHARS + TAIL_CHARS))
    assert text_of(output) == "x" * (HEAD_CHARS + TAIL_CHARS)


def test_live_output_is_taken_once():
    output = Output()
    output.write("o", "a")
    assert output.take_live() == ([["o", "a"]], [1, 0, 0])
    assert output.take_live() is None
    assert output.kept() == [["o", "a"]]


def test_outside_a_call_a_tagged_stream_is_the_real_one():
    real = io.StringIO()
    stream = TaggedStream("o", real)
    print("worker", file=stream)
    call = CurrentCall("x")
    token = set_current(call)
    try:
        print("task", file=stream)
    finally:
        reset_current(token)
    assert real.getvalue() == "worker\n"
    assert call.output.kept() == [["o", "task\n"]]
