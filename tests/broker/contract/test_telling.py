"""What sessions, supervisors and those who look on are told, and what of it they can rely on."""

from __future__ import annotations

import pytest

from nbtasks import BrokerUnavailable
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.sessionnews import SessionEvent

from .bench import FAILURE, SUCCESS, Beside, name


class Reader:
    """Reads the news of a session."""

    def __init__(self, bench, session: str = "") -> None:
        self.line = bench.new_line()
        self.news = self.line.session_news()
        self.session = session or bench.session
        self.after = None

    def read(self, block_ms: int = 1) -> list[SessionEvent]:
        """The next news."""
        self.news.ask(self.session, self.after, block_ms)
        found = self.news.asked(60)
        if found:
            self.after = found[-1].id
        return found

    def all(self) -> list[SessionEvent]:
        """All that there are."""
        found = []
        while some := self.read():
            found += some
        return found


def report_of(batch: str, first: int, states: bytes, frame: bytes = b"record") -> Finish:
    report = Finish()
    report.results(batch, first, states, frame)
    return report


def test_a_session_hears_of_its_batches(bench):
    reader, batch = Reader(bench), bench.submitted(4, 4)
    report = report_of(batch, 0, SUCCESS * 2, b"first")
    report.event(batch, b"an event")
    bench.store.finish(report)
    bench.store.finish(report_of(batch, 1, FAILURE * 3, b"second"))
    told = [(one.kind, one.batch, one.first, one.count, one.wins, one.frame) for one in reader.all()]
    assert told == [
        ("r", batch, 0, 2, "", b"first"),
        ("e", batch, 0, 0, "", b"an event"),
        ("r", batch, 1, 3, "2+2", b"second"),
    ]


def test_what_is_not_new_is_not_told(bench):
    reader, batch = Reader(bench), bench.submitted(2, 2)
    for _ in range(2):
        bench.store.finish(report_of(batch, 0, SUCCESS * 2))
    assert len(reader.all()) == 1


def test_news_are_read_on_from_where_one_was(bench):
    reader, batch = Reader(bench), bench.submitted(3, 3)
    for index in range(3):
        bench.store.finish(report_of(batch, index, SUCCESS))
    everything = reader.all()
    again = Reader(bench)
    again.after = everything[0].id
    assert [one.first for one in again.all()] == [1, 2]
    assert reader.all() == []


def test_who_asks_before_is_told_when_it_comes(bench):
    reader, batch = Reader(bench), bench.submitted(1)
    reader.news.ask(reader.session, None, round(reader.line.block_s * 1000))
    assert reader.news.asked(0.01) is None, "the question stands"
    bench.store.finish(report_of(batch, 0, SUCCESS))
    (told,) = reader.news.asked(60)
    assert (told.kind, told.batch) == ("r", batch)


def test_a_question_that_stands_is_not_asked_again(bench):
    reader, batch = Reader(bench), bench.submitted(1)
    for _ in range(3):
        reader.news.ask(reader.session, None, 2_000)
    bench.store.finish(report_of(batch, 0, SUCCESS))
    assert len(reader.news.asked(60)) == 1
    reader.after = None
    assert len(reader.read()) == 1, "it was one question, with one answer"


def test_a_connection_that_is_cut_takes_the_question_with_it(bench):
    reader, batch = Reader(bench), bench.submitted(1)
    reader.news.ask(reader.session, None, 2_000)
    before = reader.line.connections
    reader.line.abort()
    with pytest.raises(BrokerUnavailable):
        reader.news.asked(60)
    bench.store.finish(report_of(batch, 0, SUCCESS))
    assert len(reader.read()) == 1
    assert reader.line.connections == before + 1


def test_large_records_are_fetched_from_the_store(bench):
    reader, batch = Reader(bench), bench.submitted(1)
    bench.store.finish(report_of(batch, 0, SUCCESS, b"x" * 100_000))
    (told,) = reader.all()
    assert told.is_elsewhere
    assert bench.store.record(batch, told.first, told.count) == b"x" * 100_000


def test_news_that_were_read_are_trimmed(bench):
    reader, batch = Reader(bench), bench.submitted(4, 4)
    for index in range(4):
        bench.store.finish(report_of(batch, index, SUCCESS))
    reader.news.trim(reader.session, reader.all()[2].id)
    anew = Reader(bench)
    assert [one.first for one in anew.all()][-1:] == [3]
    assert len(Reader(bench).all()) <= 2
    reader.news.drop(reader.session)
    assert Reader(bench).all() == []
    reader.after = None
    bench.store.finish(report_of(bench.submitted(1), 0, SUCCESS))
    assert len(reader.all()) == 1


def test_other_sessions_hear_of_a_batch_that_they_have_adopted(bench):
    batch, sessions = bench.submitted(2, 2), [name() for _ in range(5)]
    news = bench.line.session_news()
    assert news.adopt(batch, sessions[0])
    bench.store.finish(report_of(batch, 0, SUCCESS))
    assert len(Reader(bench).all()) == len(Reader(bench, sessions[0]).all()) == 1
    for session in [*sessions[1:], sessions[-1]]:
        assert news.adopt(batch, session)
    bench.store.finish(report_of(batch, 1, SUCCESS))
    heard = [len(Reader(bench, one).all()) for one in (bench.session, *sessions)]
    assert heard == [1, 1, 1, 1, 1, 1], "four sessions hear of a batch, the last ones"
    assert not news.adopt(name(), sessions[0])


def test_a_session_that_ends_leaves_nothing(bench):
    batch = bench.submitted(1)
    bench.store.finish(report_of(batch, 0, SUCCESS))
    bench.line.session_news().end_session(bench.session)
    assert Reader(bench).all() == []
    assert bench.submission.last_flush(bench.session) == 0


# -- orders


class Supervisor:
    """Hears what supervisors are told."""

    def __init__(self, bench, after=None) -> None:
        self.line = bench.new_line()
        self.ordering = self.line.ordering()
        self.after = after

    def heard(self, *kinds: str) -> list[tuple[str, bytes]]:
        """What was told since the last look, of some kinds."""
        found = []
        while True:
            self.ordering.ask(self.after, 1)
            some = self.ordering.asked(60)
            if not some:
                return found
            self.after = some[-1].id
            found += [(one.kind, one.data) for one in some if one.kind in kinds]


def test_each_supervisor_hears_each_order_once(bench):
    one, other = Supervisor(bench), Supervisor(bench)
    bench.line.ordering().give([b"first", b"second"])
    assert one.heard("c") == [("c", b"first"), ("c", b"second")]
    bench.line.ordering().give([b"third"])
    assert one.heard("c") == [("c", b"third")]
    assert other.heard("c") == [("c", order) for order in (b"first", b"second", b"third")]


def test_orders_are_heard_from_some_moment_on(bench, eventually):
    ordering = bench.line.ordering()
    ordering.give([b"long ago"])
    clock = bench.line.clock()
    then = clock.ask().at
    eventually(lambda: clock.ask().at > then + 0.05, "time passes")
    after = ordering.position_at(clock.ask().at - 0.01)
    ordering.give([b"now"])
    assert Supervisor(bench, after).heard("c") == [("c", b"now")]
    assert len(Supervisor(bench, ordering.position_at(then - 3600)).heard("c")) == 2


def test_an_order_is_heard_while_one_waits(bench):
    supervisor = Supervisor(bench)
    supervisor.ordering.ask(None, round(supervisor.line.block_s * 1000))
    assert supervisor.ordering.asked(0.01) == []
    waiting = Beside(lambda: supervisor.ordering.asked(60))
    bench.line.ordering().give([b"stop"])
    assert [(one.kind, one.data) for one in waiting.value()] == [("c", b"stop")]


def test_orders_are_dropped(bench):
    ordering = bench.line.ordering()
    ordering.give([b"first"])
    ordering.drop()
    supervisor = Supervisor(bench)
    assert supervisor.heard("c") == []
    ordering.give([b"second"])
    assert supervisor.heard("c") == [("c", b"second")]


def test_orders_are_answered(bench):
    ordering = bench.line.ordering()
    for worker in ("w1", "w2"):
        ordering.answer("reply", worker, b"of " + worker.encode())
    assert ordering.answers("reply", ["w1", "w2", "w3"]) == {"w1": b"of w1", "w2": b"of w2"}
    assert ordering.answers("another", ["w1"]) == {}
    ordering.drop_answers("reply", ["w1", "w3"])
    assert ordering.answers("reply", ["w1", "w2"]) == {"w2": b"of w2"}
    ordering.drop_answers("reply", [])
    assert ordering.answers("reply", []) == {}


def test_limits_of_tasks_are_kept_for_those_who_come_later(bench):
    ordering, supervisor = bench.line.ordering(), Supervisor(bench)
    ordering.give([b"told"], "fetch", b"kept")
    ordering.give([], "other", b"kept too")
    assert supervisor.heard("c") == [("c", b"told")]
    assert sorted(ordering.task_limits()) == [b"kept", b"kept too"]
    ordering.give([], "fetch", b"anew")
    assert sorted(ordering.task_limits()) == [b"anew", b"kept too"]
    ordering.give([], "fetch")
    assert ordering.task_limits() == [b"kept too"]


def test_supervisors_hear_that_calls_fall_due(bench):
    supervisor, due_ms = Supervisor(bench), round(bench.now() * 1000) + 60_000
    bench.submitted(1, due_ms=due_ms)
    assert [kind for kind, _ in supervisor.heard("due")] == ["due"]
    bench.submitted(1)
    assert supervisor.heard("due") == []


# -- events


def test_what_has_happened_is_read_in_order(bench):
    log = bench.new_line().event_log()
    log.begin_now()
    batch, report = bench.submitted(2, 2), Finish()
    report.happened(b"a note")
    report.results(batch, 0, SUCCESS, b"record")
    report.happened(b"all of it is new", if_new=True)
    bench.store.finish(report)
    again = report_of(batch, 0, FAILURE * 2)
    again.happened(b"a part of it is", if_new=True)
    bench.store.finish(again)
    nothing = report_of(batch, 0, SUCCESS * 2)
    nothing.happened(b"nothing of it is", if_new=True)
    bench.store.finish(nothing)
    found = []
    while entries := log.read(0.0):
        found += entries
    assert [one.parts for one in found] == [
        ((batch.encode(), b"label of " + batch.encode()),),
        ((b"h", b"a note"),),
        ((b"h", b"all of it is new"),),
        ((b"h", b"a part of it is"), (b"w", b"1+1")),
    ]
    assert all(abs(one.at - bench.now()) < 60 for one in found)
    assert (log.missed, log.behind) == (0, False)
    assert log.label(batch) == b"label of " + batch.encode()
    assert log.label(name()) is None


def test_events_are_read_from_some_moment_on(bench, eventually):
    clock = bench.line.clock()
    bench.submitted(1)
    then = clock.ask().at
    eventually(lambda: clock.ask().at > then + 0.05, "time passes")
    last = bench.submitted(1)
    log = bench.new_line().event_log()
    log.begin_at(then + 0.02)
    assert [one.parts[0][0] for one in log.read(0.0)] == [last.encode()]
    log.begin_at(0)
    assert len(log.read(0.0)) == 2
    log.begin_now()
    assert log.read(0.0) == []


def test_an_event_is_read_while_one_waits(bench):
    log = bench.new_line().event_log()
    log.begin_now()
    waiting = Beside(lambda: log.read(20))
    batch = bench.submitted(1)
    assert [one.parts[0][0] for one in waiting.value()] == [batch.encode()]


def test_what_was_trimmed_before_it_was_read_is_missed(bench):
    log = bench.new_line().event_log()
    log.begin_now()
    report = Finish()
    for _ in range(400):
        report.happened(b"x" * 10_000)
    bench.store.finish(report)
    assert len(log.read(0.0)) == 100
    assert log.behind
    dropped = bench.line.housekeeping().bound_events(1_000_000)
    assert 250 < dropped < 400
    while log.read(0.0):
        pass
    assert log.missed > 0, "some servers do not say how many"
    assert bench.line.housekeeping().bound_events(100_000_000) == 0
