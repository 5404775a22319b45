"""Leases, the list of workers, elections, the server's clock, and what the server is."""

from __future__ import annotations

from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.workersheet import WorkerSheet

from .bench import KEY_ID, Beside

TTL_MS = 60_000


def sheet_of(worker: str) -> str:
    """What a worker shows of itself."""
    shown = WorkerSheet(
        id=worker, name=f"{worker}@here", host="here", pid=1, python="3.11", key_id=KEY_ID, queues=("default",),
        pool="prefork", concurrency=1, slots_busy=0, slots_total=1, slots_waiting=0, rss_bytes=1, started_at=1.7e9,
        seen_at=1.7e9, processed=0, packages={}, cpu=0.0,
    )  # fmt: skip
    return shown.to_wire()


def test_a_lease_is_there_until_it_is_dropped(bench):
    there, reading = bench.fleet.renew("w1", "15000 1", "", TTL_MS)
    assert not there
    assert abs(reading.at - bench.line.clock().ask().at) < 60
    assert bench.fleet.renew("w1", "15000 2", "", TTL_MS)[0]
    now, pulses = bench.fleet.pulses()
    assert abs(now - reading.at) < 60
    assert pulses["w1"].lease == b"15000 2"
    assert pulses["w1"].age_s < 60
    assert not pulses["w1"].buried
    bench.fleet.release("w1")
    assert bench.fleet.pulses()[1] == {}
    assert not bench.fleet.renew("w1", "15000 3", "", TTL_MS)[0]


def test_who_has_a_lease_lives(bench):
    bench.fleet.renew("w1", "15000 1", "", TTL_MS)
    assert bench.fleet.alive(["w1", "w2"]) == {"w1"}
    assert bench.fleet.alive([]) == set()
    assert bench.fleet.silent_s("w1") < 60


def test_a_lease_lapses_that_was_not_renewed(bench):
    bench.fleet.renew("w1", "15000 1", "", TTL_MS)
    bench.fleet.renew("w1", "15000 2", "", TTL_MS)
    assert not bench.fleet.lapse("w1", b"15000 1"), "it was renewed since"
    assert bench.fleet.lapse("w1", b"15000 2")
    assert bench.fleet.lapse("w1", b"15000 2"), "there is none any more"
    assert bench.fleet.pulses()[1]["w1"].lease == b"", "it is on the list until somebody has seen to it"
    assert not bench.fleet.renew("w1", "15000 3", "", TTL_MS)[0]


def test_a_worker_that_is_known_to_be_dead_is_buried(bench):
    bench.fleet.renew("w1", "15000 1", "", TTL_MS)
    bench.fleet.bury("w1")
    assert bench.fleet.pulses()[1]["w1"].buried
    assert bench.fleet.alive(["w1"]) == set()


def test_a_worker_that_is_on_no_list_is_put_there(bench):
    bench.fleet.enlist("w9")
    assert bench.fleet.pulses()[1]["w9"].lease == b""
    bench.fleet.renew("w1", "15000 1", "", TTL_MS)
    bench.fleet.enlist("w1")
    assert bench.fleet.pulses()[1]["w1"].age_s < 60
    bench.fleet.strike_off(["w9", "nobody"])
    assert list(bench.fleet.pulses()[1]) == ["w1"]
    bench.fleet.strike_off([])


def test_workers_show_themselves(bench):
    bench.fleet.renew("w1", "15000 1", sheet_of("w1"), TTL_MS)
    bench.fleet.renew("w2", "15000 1", "nonsense", TTL_MS)
    bench.fleet.renew("w3", "15000 1", "", TTL_MS)
    assert {one: sheet.name for one, sheet in bench.fleet.sheets(["w1", "w2", "w3", "w4"]).items()} == {
        "w1": "w1@here"
    }
    assert list(bench.fleet.workers()) == ["w1"]
    bench.fleet.release("w1")
    assert bench.fleet.sheets(["w1"]) == {}


def test_one_supervisor_is_elected_for_a_time(bench, eventually):
    duties = bench.line.housekeeping()
    assert duties.elected("reap", "w1", 400)
    assert duties.elected("reap", "w1", 400)
    assert not duties.elected("reap", "w2", 400)
    assert duties.elected("mend", "w2", 400)
    eventually(lambda: duties.elected("reap", "w2", 400), "another one is elected")


def test_the_servers_life_has_a_name(bench):
    duties = bench.line.housekeeping()
    assert duties.server_life()
    assert duties.server_life() == bench.new_line().housekeeping().server_life()
    assert duties.audited_life() == ""
    duties.note_audit(duties.server_life())
    assert duties.audited_life() == duties.server_life()


def test_the_servers_time_is_reckoned_as_all_do(bench):
    clock, other = bench.line.clock(), bench.new_line().clock()
    assert abs(clock.now() - other.now()) < 0.5
    source = clock.ask()
    assert source.noted == b""
    assert clock.now() <= clock.now()


def test_a_jump_of_the_servers_clock_is_noted_once(bench):
    source = bench.line.clock()._source
    assert source.set_ahead(b"", b"1500")
    assert not source.set_ahead(b"", b"9000"), "somebody else has noted something"
    reading = source.ask()
    assert (reading.noted, reading.ahead_s) == (b"1500", 1.5)
    assert source.set_ahead(b"1500", b"-20")
    assert bench.fleet.renew("w1", "15000 1", "", TTL_MS)[1].noted == b"-20"


def test_what_the_broker_is(bench):
    facts = bench.line.check()
    assert facts == bench.line.look().__class__(**{**vars(bench.line.look()), **_measured(facts)})
    assert facts.version[0].isdigit()
    assert facts.flavour
    assert 0 < facts.latency_s < 60
    assert not facts.read_only
    assert bench.line.write_problem() is None
    assert bench.line.connected
    assert bench.line.connections == 1
    assert bench.line.gauges().server() is not None
    assert bench.leg.lacks == {}


def _measured(facts):
    return {"latency_s": facts.latency_s, "clock_offset_s": facts.clock_offset_s}


def test_a_line_is_made_when_it_is_used_and_again_after_it_was_closed(bench):
    line = bench.leg.line()
    assert not line.connected
    assert line.connections == 0
    line.close()
    assert line.store().function("fn") is None
    assert line.connections == 1
    line.close()
    assert not line.connected
    assert line.store().function("fn") is None
    assert line.connections == 2
    line.abort()
    line.close()


def test_many_threads_may_use_a_line(bench):
    batch = bench.submitted(50, 1)
    done = [Beside(lambda k=k: _finish(bench, batch, k)) for k in range(50)]
    assert sum(one.value() for one in done) == 50
    assert 0 not in bench.store.states(batch, 0, 50)


def _finish(bench, batch, index) -> int:
    report = Finish()
    report.results(batch, index, b"\x05", b"record")
    return bench.store.finish(report)
