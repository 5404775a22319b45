"""What dies under calls over a PostgreSQL, and what comes of it."""

from __future__ import annotations

import os
import signal
import threading
import time

import psycopg
import pytest
from psycopg import sql

from nbtasks.broker.verbs.flush import Flush
from nbtasks.core.address import Address
from nbtasks.exceptions import BrokerUnavailable, ConfigError, OperationalError
from tests.postgres.test_schema import role
from tests.servers.postgresql import PostgreSQL

ADDRESS = Address("default", "3.11", "0a" * 4)


def flush_of(batch: str) -> Flush:
    flush = Flush()
    flush.batch(batch, 1, ADDRESS, "fn", b"function", b"label", 60_000)
    flush.chunk(batch, ADDRESS, "m", 0, 0, 1, b"the chunk")
    return flush


def test_no_call_is_left_lying_while_consumers_lie_down(postgres_url, new_line):
    """Each is queued at the moment when somebody finds nothing: it is woken, or it sees the call itself."""
    count, taken, done = 150, [], threading.Event()

    def consume(number: int) -> None:
        line = new_line(postgres_url)
        delivery = line.delivery([ADDRESS], f"w/{number}")
        while not done.is_set():
            for entry in delivery.wait(10_000):
                taken.append(entry.batch)
                arrived.release()

    arrived = threading.Semaphore(0)
    threads = [threading.Thread(target=consume, args=(number,), daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    submission = new_line(postgres_url).submission()
    began = time.monotonic()
    for number in range(1, count + 1):
        submission.submit("5e", number, flush_of(f"{number:020x}"))
        assert arrived.acquire(timeout=60)
    done.set()
    looks = (time.monotonic() - began) / 2.5
    assert sorted(taken) == [f"{number:020x}" for number in range(1, count + 1)]
    # Whoever is not woken looks by itself after 2.5 s: that it was needed for many would show here.
    assert looks < count / 3
    for number in range(count + 1, count + 4):
        submission.submit("5e", number, flush_of(f"{number:020x}"))
    for thread in threads:
        thread.join(60)


def test_what_was_taken_is_in_hand_over_a_stop_of_the_server(start_server, new_line, eventually):
    server = start_server(PostgreSQL)
    with server.database() as name:
        line = new_line(server.url(name))
        delivery = line.delivery([ADDRESS], "w/0")
        line.submission().submit("5e", 1, flush_of("ab"))
        (entry,) = delivery.take(1)
        life = line.housekeeping().server_life()
        server.restart()
        eventually(lambda: answers(line), "it is there again")
        assert [one.id for one in delivery.in_hand()] == [entry.id]
        assert line.housekeeping().server_life() == life
        line.close()


def answers(line):
    try:
        return line.look()
    except BrokerUnavailable:
        return None


@pytest.mark.long
def test_what_has_begun_is_not_given_as_new_by_a_server_that_crashed(start_server, new_line, eventually):
    """It has forgotten who took the entry, and still knows that its calls were begun."""
    server = start_server(PostgreSQL)
    with server.database() as name:
        line = new_line(server.url(name))
        delivery = line.delivery([ADDRESS], "w/0")
        for number, batch in enumerate(("ab", "cd"), start=1):
            line.submission().submit("5e", number, flush_of(batch))
        (begun,) = delivery.take(1)
        assert not delivery.may_have_begun(begun)
        assert not delivery.may_have_begun(begun), "it is the same delivery that runs it"
        server.kill()
        server.start()
        eventually(lambda: answers(line), "it is there again")
        with psycopg.connect(server.url(name), autocommit=True) as admin:
            # As if the server had lost who held it: that is not written before it is told.
            admin.execute("UPDATE nbtasks.entries SET holder = NULL")
        another = new_line(server.url(name)).delivery([ADDRESS], "w/1")
        entries = {entry.batch: entry for entry in another.take(10)}
        assert another.may_have_begun(entries["ab"])
        assert not another.may_have_begun(entries["cd"])
        for one in (line, another._line):
            one.close()


@pytest.mark.long
def test_a_standby_that_takes_over_is_another_life(start_server, new_line, eventually):
    primary = start_server(PostgreSQL)
    with primary.database() as name:
        line = new_line(primary.url(name))
        line.submission().submit("5e", 1, flush_of("ab"))
        delivery = line.delivery([ADDRESS], "w/0")
        delivery.prepare()
        life = line.housekeeping().server_life()
        standby = start_server(PostgreSQL, primary=primary)
        primary.kill()
        standby.promote()
        after = new_line(standby.url(name))
        eventually(lambda: not after.look().read_only, "it takes writes")
        assert after.housekeeping().server_life() != life
        (entry,) = after.delivery([ADDRESS], "w/1").take(1)
        assert after.delivery([ADDRESS], "w/1").may_have_begun(entry)
        line.close()
        after.close()
        primary.start()


@pytest.mark.long
def test_an_app_goes_on_with_the_server_that_has_taken_over(start_server, new_app, eventually):
    primary = start_server(PostgreSQL)
    with primary.database() as name:
        standby = start_server(PostgreSQL, primary=primary)
        url = (
            f"{primary.url(name).replace(f':{primary.port}/', f':{primary.port},127.0.0.1:{standby.port}/')}"
        )
        app = new_app(f"{url}?target_session_attrs=read-write")
        app.start_workers(1)

        @app.task
        def slow(n):
            time.sleep(0.02)
            return n

        run = slow.map(range(150))
        eventually(lambda: run.completed_count() > 5, "some have ended")
        primary.kill()
        standby.promote()
        assert run.get(timeout=100) == list(range(150))
        app.close()
        primary.start()


def test_over_tls_with_the_authority_that_the_url_names(start_server, new_line):
    server = start_server(PostgreSQL, tls=True)
    with server.database() as name:
        line = new_line(server.url(name))
        assert line.check().flavour == "postgresql"
        line.close()
        other = new_line(server.url(name, sslmode="verify-full", sslrootcert="/nowhere/ca.pem"))
        with pytest.raises(BrokerUnavailable, match=r"cannot be reached|certificate") as caught:
            other.check()
        assert "secret" not in str(caught.value)


@pytest.mark.long
def test_a_server_that_answers_nothing_is_given_up_in_time(start_server, new_line):
    server = start_server(PostgreSQL)
    with server.database() as name:
        line = new_line(server.url(name))
        line.check()
        with server.paused(), pytest.raises(BrokerUnavailable, match=r"no answer within 3.5 s"):
            line.look()
        assert line.look().flavour == "postgresql"
        line.close()


def test_nobody_listens_there(new_line, postgres_server):
    url = postgres_server.url("x").replace(f":{postgres_server.port}/", ":1/")
    with pytest.raises(BrokerUnavailable, match=r"cannot be reached.*check that the server runs") as caught:
        new_line(url).check()
    assert "secret" not in str(caught.value)


@pytest.mark.long
def test_calls_of_a_worker_that_is_killed_whole_run_elsewhere(postgres_url, new_app, tmp_path, eventually):
    app = new_app(postgres_url)
    app.start_workers(1)

    @app.task
    def hold(n):
        (tmp_path / f"{n}-{os.getppid()}").touch()
        if not (tmp_path / "go").exists():
            time.sleep(60)
        return n

    result = hold.delay(1)
    eventually(lambda: list(tmp_path.glob("1-*")), "it runs")
    (tmp_path / "go").touch()
    for worker in app.workers():
        os.kill(worker.pid, signal.SIGKILL)
    assert result.get(timeout=100) == 1


def test_a_dropped_schema_is_made_anew_and_calls_go_on(postgres_url, new_app, eventually):
    app = new_app(postgres_url)
    app.start_workers(1)
    slow = app.task(_slow)
    run = slow.map(range(40))
    eventually(lambda: run.completed_count() > 2, "some have ended")
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("DROP SCHEMA nbtasks CASCADE")
    assert run.get(timeout=100) == list(range(40))
    assert slow.delay(7).get(timeout=100) == 7


def test_a_right_that_is_taken_away_for_a_while_ends_nothing(postgres_server, postgres_url, new_line):
    new_line(postgres_url).check()
    with role(postgres_server, postgres_url) as url, psycopg.connect(postgres_url, autocommit=True) as owner:
        name = sql.Identifier(psycopg.conninfo.conninfo_to_dict(url)["user"])
        owner.execute(sql.SQL("GRANT USAGE ON SCHEMA nbtasks TO {}").format(name))
        owner.execute(sql.SQL("GRANT SELECT ON nbtasks.meta TO {}").format(name))
        line = new_line(url)
        line.check()
        owner.execute(sql.SQL("REVOKE USAGE ON SCHEMA nbtasks FROM {}").format(name))
        for _ in range(2):
            with pytest.raises(BrokerUnavailable, match="permission denied for schema nbtasks"):
                line.look()
        with pytest.raises(ConfigError, match=r"permission denied.*docs/postgresql\.md"):
            new_line(url).look()
        owner.execute(sql.SQL("GRANT USAGE ON SCHEMA nbtasks TO {}").format(name))
        assert line.look().flavour == "postgresql"
        line.close()


def test_whoever_waits_for_a_lock_on_a_table_is_not_told_of_firewalls(postgres_url, new_line, caplog):
    line = new_line(postgres_url)
    line.check()
    with psycopg.connect(postgres_url) as admin:
        admin.execute("LOCK TABLE nbtasks.entries")
        with pytest.raises(BrokerUnavailable, match=r"no answer within 3.5 s.*LOCK TABLE") as caught:
            line.submission().submit("5e", 1, flush_of("ab"))
    assert "firewall" not in str(caught.value)
    assert not caplog.records, "what psycopg says of a connection of ours is no news to users"
    line.submission().submit("5e", 1, flush_of("ab"))


def test_calls_go_on_where_the_queues_were_emptied(postgres_url, new_app, eventually):
    app = new_app(postgres_url)
    app.start_workers(1)
    slow = app.task(_slow)
    assert slow.delay(1).get(timeout=60) == 1
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("TRUNCATE nbtasks.queues, nbtasks.entries")
    assert slow.delay(2).get(timeout=60) == 2


def _slow(n):
    time.sleep(0.02)
    return n


def test_numbers_that_are_too_large_for_sums_stop_no_queue(postgres_url, new_line):
    """Whoever may say verbs needs no key for that."""
    submission = new_line(postgres_url).submission()
    flush = Flush()
    flush.batch("ab", 1, ADDRESS, "fn", b"function", b"label", 60_000)
    flush.chunk("ab", ADDRESS, "m", 0, 1, 2**63 - 1, b"the chunk")
    with pytest.raises(OperationalError, match="entries_in_bounds"):
        submission.submit("5e", 1, flush)
    submission.submit("5e", 1, flush_of("cd"))
    assert [entry.batch for entry in new_line(postgres_url).delivery([ADDRESS], "w/0").take(10)] == ["cd"]


@pytest.mark.parametrize("follows", ["x", "1+", "9" * 5000 + "+1"])
def test_what_makes_no_sense_in_an_entry_costs_no_worker(postgres_url, new_line, follows):
    new_line(postgres_url).submission().submit("5e", 1, flush_of("ab"))
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("UPDATE nbtasks.entries SET follows = %s", (follows,))
    (entry,) = new_line(postgres_url).delivery([ADDRESS], "w/0").take(10)
    assert (entry.batch, entry.before) == ("ab", None)
