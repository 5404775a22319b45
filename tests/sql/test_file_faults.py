"""A SQLite file under processes that are killed and forked, and disks that are full."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from nbtasks import BackPressure, BrokerUnavailable
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush
from nbtasks.client.engines.brokered.receiving import garbage
from nbtasks.core.address import Address
from nbtasks.core.lanenames import LANES
from nbtasks.core.states import SUCCESS_CODE

ADDRESS = Address("default", "3.11", "0a" * 4)
SESSION, BATCH = "5e" * 10, "ba" * 10
CALLS = 300

#: Takes and reports calls until there are none, as the consumer that it is told to be.
_CONSUMER = textwrap.dedent(
    """
    import sys
    from nbtasks.broker.legs import open_leg
    from nbtasks.broker.verbs.finish import Finish
    from nbtasks.core.address import Address
    from tests.broker.contract.servers import Place
    url, consumer = sys.argv[1:]
    line = open_leg(Place(url, "tests")).line()
    line.patience_s = 5.0
    delivery = line.delivery([Address("default", "3.11", "0a" * 4)], consumer)
    print("began", flush=True)
    while entries := delivery.in_hand() or delivery.take(3):
        for entry in delivery.living(entries):
            report = Finish()
            report.results(entry.batch, entry.first, b"\\x04" * entry.count, b"by " + consumer.encode())
            report.done(entry)
            delivery.finish(report)
    """
)


def submit(line, batch=BATCH, calls=CALLS, number=1, frame=b"chunk"):
    flush = Flush()
    flush.batch(batch, calls, ADDRESS, "fn", b"function", b"label", 60_000)
    for index in range(calls):
        flush.chunk(batch, ADDRESS, "m", 0, index, 1, frame)
    line.submission().submit(SESSION, number, flush)


@pytest.mark.long
def test_processes_that_are_killed_at_any_moment_leave_the_file_whole(sqlite_url, new_line):
    line, dice = new_line(sqlite_url), random.Random(1)
    line.patience_s = 10.0
    line.check()
    submit(line)
    store, queues = line.store(), line.queues()
    give_up_at = time.monotonic() + 90
    while queues.length(ADDRESS, LANES) and time.monotonic() < give_up_at:
        consumers = [
            subprocess.Popen(
                [sys.executable, "-c", _CONSUMER, sqlite_url, f"w/{number}"], stdout=subprocess.PIPE
            )
            for number in range(2)
        ]
        for one in consumers:
            one.stdout.readline()
        time.sleep(dice.uniform(0, 0.05))
        for one in consumers:
            one.kill()
            one.communicate()
    assert store.states(BATCH, 0, CALLS) == bytes([SUCCESS_CODE]) * CALLS
    assert store.ranges(BATCH) == [(index, 1) for index in range(CALLS)], "each was reported once"
    assert store.batch(BATCH).ended_at is not None
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as looked_at:
        assert looked_at.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    looked_at.close()


def test_a_copy_of_a_process_and_the_process_itself_go_on(sqlite_url, new_line):
    """Forks while other threads are busy with the file: nobody loses what was written, and no lock."""
    line = new_line(sqlite_url)
    line.check()
    over, numbers = threading.Event(), iter(range(1_000_000))

    def write():
        own = new_line(sqlite_url)
        own.patience_s = 30.0
        while not over.is_set():
            own.housekeeping().note_audit(str(next(numbers)))

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    context = multiprocessing.get_context("fork")
    try:
        for number in range(1, 6):
            copy = context.Process(target=_in_copy, args=(line, sqlite_url, new_line, number))
            copy.start()
            copy.join(60)
            assert copy.exitcode == 0
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert line.submission().last_flush(SESSION) == 5
    for number in range(1, 6):
        assert line.store().batch(f"{number:020x}") is not None


def _in_copy(line, url, new_line, number):
    line.forsake()
    own = new_line(url)
    for one in (line, own):
        # Two threads of the parent have the file nearly all the time, and nobody stands in a line for it.
        one.patience_s = 30.0
        submit(one, f"{number:020x}", 2, number)
    line.close()


def test_who_holds_the_file_for_too_long_is_named(sqlite_url, new_line):
    line = new_line(sqlite_url)
    line.check()
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert line.store().function("fn") is None, "who reads waits for nobody"
    with pytest.raises(BrokerUnavailable, match="held by another process"):
        line.housekeeping().note_audit("mine")
    other.execute("ROLLBACK")
    other.close()
    line.housekeeping().note_audit("mine")


def test_a_full_disk_is_told_and_what_was_there_goes_on(sqlite_url, new_line):
    line = new_line(sqlite_url)
    line.check()
    submit(line, calls=5)
    delivery = line.delivery([ADDRESS], "w/0")
    (entry,) = delivery.take(1)
    # No more pages than there are: as a disk without room.
    pages = line._connection.execute("PRAGMA page_count").fetchone()[0]
    line._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(BackPressure, match="no room"):
        submit(line, "aa" * 10, 1, 2, b"x" * 1_000_000)
    assert line.submission().last_flush(SESSION) == 1, "nothing of it was applied"
    report = Finish()
    report.results(BATCH, entry.first, bytes([SUCCESS_CODE]), b"record")
    report.done(entry)
    assert delivery.finish(report) == 1
    line.close()
    submit(line, "aa" * 10, 1, 2, b"x" * 1_000_000)


def test_whoever_has_a_file_open_that_is_deleted_finds_the_new_one(sqlite_url, new_line, eventually):
    one, other = new_line(sqlite_url), new_line(sqlite_url)
    submit(one, calls=1)
    (before,) = one.delivery([ADDRESS], "w/0").take(1)
    other.check()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    for beside in path.parent.glob(f"{path.name}*"):
        beside.unlink()
    with pytest.raises(BrokerUnavailable):
        # It was written where nobody looks any more, so nobody can say that it is done.
        one.housekeeping().note_audit("lost")
    one.housekeeping().note_audit("seen")
    eventually(lambda: other.housekeeping().audited_life() == "seen", "the other one looks there, too")
    submit(one, calls=1)
    (after,) = other.delivery([ADDRESS], "w/1").take(1)
    assert int(after.id.partition(b"-")[0]) > int(before.id.partition(b"-")[0]), "no number means two entries"


def test_a_folder_that_is_gone_may_come_back(sqlite_url, new_line, tmp_path):
    line = new_line(sqlite_url)
    line.check()
    away = tmp_path.with_name(f"{tmp_path.name}-away")
    tmp_path.rename(away)
    with pytest.raises(BrokerUnavailable):
        line.housekeeping().note_audit("mine")
    with pytest.raises(BrokerUnavailable, match="no folder"):
        line.housekeeping().note_audit("mine")
    away.rename(tmp_path)
    line.housekeeping().note_audit("mine")
    assert line.housekeeping().audited_life() == "mine"


def test_a_power_failure_may_forget_who_had_taken_a_call_and_no_result(sqlite_url, new_line):
    """What was reported is on the disk before anybody is told; what is taken need not be."""
    line = new_line(sqlite_url)
    line.check()
    seen = []
    line._connection.set_trace_callback(seen.append)
    submit(line, calls=2)
    line._connection.set_trace_callback(None)
    assert line._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    delivery = line.delivery([ADDRESS], "w/0")
    delivery.take(1)
    assert line._connection.execute("PRAGMA synchronous").fetchone()[0] == 1
    report = Finish()
    report.results(BATCH, 0, bytes([SUCCESS_CODE]), b"record")
    delivery.finish(report)
    assert line._connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_file_that_is_damaged_in_use_is_waited_for_until_a_copy_is_put_back(
    tmp_path, sqlite_url, new_app, caplog
):
    app, path = new_app(sqlite_url), tmp_path / "broker.db"
    handle = app.task(abs).delay(-1)
    while app.AsyncResult(handle.id).state != "PENDING" or not _rows(path, "entries"):
        time.sleep(0.02)
    with (
        contextlib.closing(sqlite3.connect(path)) as source,
        contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
    ):
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        source.backup(copy)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    give_up_at = time.monotonic() + 60
    while "a damaged one" not in (handle.why_pending() or ""):
        assert time.monotonic() < give_up_at, handle.why_pending()
        time.sleep(0.05)
    (tmp_path / "copy.db").rename(path)
    for name in ("broker.db-wal", "broker.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    app.start_workers(1)
    assert handle.get(timeout=60) == 1
    assert not [record for record in caplog.records if record.exc_info]


def _rows(path, table):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_what_cannot_be_cleared_away_is_cleared_away_later_and_nobody_is_told(
    tmp_path, sqlite_url, new_app, monkeypatch, caplog, eventually
):
    for name in ("SPENT_AFTER_S", "_AGAIN_S"):
        monkeypatch.setattr(garbage, name, 0.0)
    app, path = new_app(sqlite_url), tmp_path / "broker.db"
    app.start_workers(1)
    assert app.task(len).delay(b"x" * 100_000).get(timeout=60) == 100_000
    other = sqlite3.connect(path, isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    cleared = app.session.intake._garbage
    eventually(lambda: cleared.due, "there is something to clear away")
    # Here, not in the background: it is over when this returns.
    cleared.clear()
    other.execute("ROLLBACK")
    other.close()
    assert not [record for record in caplog.records if record.exc_info]
    eventually(lambda: not cleared.clear() and not _rows(path, "blobs"), "the file has room again")
