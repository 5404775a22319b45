"""The server dies, loses data, is emptied, fails over, is full, does not know us any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from nbtasks import App, BackPressure
from tests.servers.server import free_port

from .sites import DURABLE, MOST_TRIES, RESUME_S, SOON, Site

N = 600
LONG_S = (0.3,) * 8
#: The bundled server always; the others where there is time.
FLAVOURS = ["bundled", *(pytest.param(name, marks=pytest.mark.long) for name in ("redis-7", "redis-6.2"))]
everywhere = pytest.mark.parametrize("flavour", FLAVOURS)


def run_through(
    site: Site, matrix, faults, row: str, harm: Callable[[], None], *, resume: bool = True, times: int = 1
) -> None:
    """Submit a load, do harm when a part of it has ended, and measure how long everything takes to go on."""
    load = matrix.submit(site.app, N, long_s=LONG_S)
    load.wait_for(0.1)
    # Each time the server may have lost what had ended in its last second, and gives it out again.
    notes = [faults.note(row) for _ in range(times)]
    harm()
    took = site.seconds_to_resume() if resume else None
    load.wait()
    for note in notes:
        note.until = time.monotonic()
    matrix.close(
        site.app, row, server=site.name, url=site.server.url, recovery_s=took,
        promised_s=RESUME_S if resume else None,
    )  # fmt: skip


@everywhere
def test_the_server_is_killed(site, matrix, faults, flavour):
    here = site(flavour, *DURABLE)

    def kill():
        here.server.kill()
        began = time.monotonic()
        time.sleep(1.0)
        assert here.busiest(began) < MOST_TRIES
        here.server.start()

    run_through(here, matrix, faults, "kill -9 of the server, AOF every second", kill, times=2)


@pytest.mark.long
@everywhere
def test_the_end_of_its_file_is_lost(site, matrix, faults, chance, flavour):
    here = site(flavour, *DURABLE)

    def tear():
        for _ in range(5):
            here.server.kill()
            here.server.tear(chance.randrange(1, 4000))
            here.server.start()
            time.sleep(chance.uniform(0.1, 0.4))

    run_through(here, matrix, faults, "kill -9 and a torn AOF, 5 times", tear, times=10)


@pytest.mark.long
@everywhere
def test_the_server_comes_back_empty(site, matrix, faults, flavour):
    here = site(flavour)

    def lose_all():
        here.server.kill()
        here.server.start()

    run_through(here, matrix, faults, "restart of the server, empty", lose_all, times=2)


@pytest.mark.long
@everywhere
def test_the_server_is_emptied(site, matrix, faults, flavour):
    here = site(flavour)

    def empty():
        with here.server.client() as client:
            client.flushall()

    # Nobody submits afterwards: the client must find out by itself.
    load = matrix.submit(here.app, N, long_s=LONG_S)
    load.wait_for(0.1)
    notes = [faults.note("FLUSHALL") for _ in range(2)]
    empty()
    emptied_at, ended = time.monotonic(), len(load.seen)
    while len(load.seen) <= ended + 100 and time.monotonic() < emptied_at + SOON:
        time.sleep(0.01)
    took = time.monotonic() - emptied_at
    load.wait()
    for note in notes:
        note.until = time.monotonic()
    matrix.close(
        here.app, "FLUSHALL in mid-run, and no submit after it", server=here.name, url=here.server.url,
        recovery_s=took, promised_s=RESUME_S,
    )  # fmt: skip


@pytest.mark.long
@everywhere
def test_a_replica_takes_over_that_misses_the_end(site, matrix, faults, eventually, flavour):
    port = free_port()
    here = site(flavour, *DURABLE, "--port", str(port), "--bind", "127.0.0.1")
    replica = here.another_server()
    old = here.server

    def in_step():
        with old.client() as client:
            master = client.info("replication")
        return any(
            part.get("offset") == master["master_repl_offset"]
            for name, part in master.items()
            if name == "slave0"
        )

    def fail_over():
        with replica.client() as client:
            # The master stays in good health, as in a partition; it only is not asked any more.
            client.execute_command("REPLICAOF", "NO", "ONE")
        time.sleep(0.3)
        with old.client() as client:
            # What still writes there is told that it is a replica now.
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
        time.sleep(0.5)
        here.proxy.target = replica.socket
        here.server = replica
        here.proxy.reconnect()

    with replica.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", str(port))
    eventually(in_step, "the replica has everything", within=SOON)
    try:
        run_through(
            here, matrix, faults, "failover to a replica that misses the last 0.3 s, READONLY for 0.5 s", fail_over,
            times=3,
        )  # fmt: skip
    finally:
        old.kill()


@pytest.mark.long
@everywhere
def test_memory_is_full(site, matrix, faults, flavour, eventually):
    here = site(flavour)

    def fill():
        with here.server.client() as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)

    def make_room():
        with here.server.client() as client:
            client.config_set("maxmemory", 0)

    load = matrix.submit(here.app, N, long_s=LONG_S)
    load.wait_for(0.05)
    note = faults.note("full")
    fill()
    late = here.app.task(len).delay("abc")
    # What it has is worked off, with nothing but full memory around it.
    load.wait()
    with pytest.raises(BackPressure, match=r"memory of the broker .* is full"):
        late.get(timeout=SOON)
    assert [worker.name for worker in here.app.workers()] == [here.worker.name]
    make_room()
    assert here.app.task(len).delay("abcd").get(timeout=SOON) == 4
    note.until = time.monotonic()
    matrix.close(
        here.app, "maxmemory reached, noeviction: the queue drains", server=here.name, url=here.server.url
    )


@everywhere
def test_scripts_and_groups_are_gone(site, matrix, faults, flavour):
    here = site(flavour)

    def forget():
        with here.server.client() as client:
            for _ in range(5):
                client.script_flush()
                for lane in client.scan_iter("nb:*:q:*"):
                    client.execute_command("XGROUP", "DESTROY", lane, "w")
                time.sleep(0.1)

    # Without its group, a lane is given out from its beginning: calls that run are started again.
    load = matrix.submit(here.app, N, long_s=(0.05,) * 8)
    load.wait_for(0.1)
    notes = [faults.note("NOSCRIPT, NOGROUP") for _ in range(5)]
    forget()
    took = here.seconds_to_resume()
    load.wait()
    for note in notes:
        note.until = time.monotonic()
    matrix.close(
        here.app, "SCRIPT FLUSH and XGROUP DESTROY, 5 times", server=here.name, url=here.server.url,
        recovery_s=took, promised_s=RESUME_S,
    )  # fmt: skip


@pytest.mark.long
@everywhere
def test_the_server_loads_its_data(site, matrix, faults, flavour):
    here = site(flavour, *DURABLE)

    def load_again():
        here.server.kill()
        # Microseconds for each command of the file.
        here.server.settings += ("--key-load-delay", "500")
        here.server.start(wait=False)

    run_through(here, matrix, faults, "restart with a long LOADING", load_again, times=2)


@pytest.mark.long
@everywhere
def test_clients_are_paused(site, matrix, faults, flavour):
    here = site(flavour)

    def pause():
        with here.server.client() as client:
            client.execute_command("CLIENT", "PAUSE", "2500")

    run_through(here, matrix, faults, "CLIENT PAUSE for 2.5 s", pause)


@pytest.mark.long
def test_an_outage_that_outlives_all_leases_starts_nothing_twice(
    site, matrix, faults, gate, ledger, eventually
):
    """When the server is back, no lease is left; who comes first must not take the others for dead."""
    here = site("bundled", *DURABLE)
    here.app.start_workers(2, lease=1.0)

    def held(ledger, gate, x):
        import pathlib
        import time

        with pathlib.Path(ledger).open("a") as file:
            file.write(f"{x}\n")
        while not pathlib.Path(gate).exists():
            time.sleep(0.01)
        return x

    group = here.app.task(held).starmap([(ledger.path, gate.path, x) for x in range(4)], chunk=1)
    eventually(lambda: len(ledger.lines()) == 4, "two workers run two calls each")
    for blow in ("server", "network"):
        if blow == "server":
            here.server.kill()
            time.sleep(3.0)
            here.server.start()
        else:
            here.proxy.cut()
            time.sleep(3.0)
            here.proxy.heal()
        assert here.app.task(len).apply_async(("x",), queue="nobody") is not None
        eventually(lambda: len(here.app.workers()) == 2, "both are back", within=SOON)
        # Two leases later, whoever looks for the dead has looked.
        time.sleep(2.0)
        assert sorted(ledger.lines()) == ["0", "1", "2", "3"], blow
    gate.open()
    assert group.get(timeout=SOON) == [0, 1, 2, 3]


@everywhere
def test_what_nobody_holds_is_found(site, ledger, gate, eventually, flavour):
    """An entry before the last delivered one that is in nobody's list; a torn file leaves such entries."""
    here = site(flavour, "--appendonly", "yes", "--appendfsync", "always")
    assert here.app.task(len).delay("a").get(timeout=SOON) == 1
    here.worker.end()
    group = here.app.task(len).map(["a", "ab", "abc"], chunk=1)
    here.app.session.flush()
    with here.server.client() as client:
        lanes = list(client.scan_iter("nb:*:q:*:m"))
        for lane in lanes:
            client.execute_command("XGROUP", "SETID", lane, "w", "$")
    here.app.start_workers(1, lease=1.0)
    here.server.kill()
    here.server.start()
    assert group.get(timeout=SOON) == [1, 2, 3]


@pytest.mark.long
@everywhere
def test_delayed_calls_survive_a_restart_of_everything(site, machine, flavour):
    """One is due after more than a day: its time is looked at, then rewritten, for only the server's clock counts."""
    here = site(flavour, "--appendonly", "yes", "--appendfsync", "always")
    assert here.app.task(len).delay("a").get(timeout=SOON) == 1
    late = here.app.task(len).apply_async(("abc",), countdown=30 * 3600)
    soon = here.app.task(len).apply_async(("ab",), countdown=1)
    here.app.session.flush()
    here.worker.end()
    here.server.kill()
    here.server.start()
    with App("next", connection=here.app.connection) as app:
        machine(app, concurrency=1)
        assert app.AsyncResult(soon.id).get(timeout=SOON) == 2
        with here.server.client() as client:
            (key,) = client.scan_iter("nb:*:z:*")
            ((member, due),) = client.zrange(key, 0, -1, withscores=True)
            seconds, _ = client.time()
            assert abs(due / 1000 - seconds - 30 * 3600) < 600
            client.zadd(key, {member: seconds * 1000})
        assert app.AsyncResult(late.id).get(timeout=SOON) == 3


CLOCK = """
import os, time
shift, real = float(os.environ["CLOCK_SHIFT_S"]), time.time
time.time = lambda: real() + shift
"""

CLOCK_OF_DATETIME = """
import datetime
class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Shifted
"""


@pytest.mark.parametrize("shift", [pytest.param(3600, marks=pytest.mark.long), -3600])
def test_the_clock_of_a_worker_is_an_hour_off(site, machine, tmp_path, monkeypatch, shift):
    """Expiry, countdown: only the server's time counts."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    here = site("bundled")
    here.worker.end()
    with monkeypatch.context() as patch:
        patch.setenv("CLOCK_SHIFT_S", str(shift))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
        machine(here.app, concurrency=1)
    clock = here.app.task(lambda: __import__("time").time())
    assert abs(clock.apply_async(expires=600).get(timeout=SOON) - time.time() - shift) < 600
    began = time.monotonic()
    assert here.app.task(len).apply_async(("ab",), countdown=1).get(timeout=SOON) == 2
    assert time.monotonic() - began > 0.9


#: Prints when a call ran (server's clock), and what became of calls that expire, on a machine with another clock.
CLIENT = """
import sys, time
from datetime import datetime, timedelta
from nbtasks import App
app = App(broker=sys.argv[1])
task = app.task(time.monotonic)
began = time.monotonic()
print(task.apply_async(countdown=1).get(timeout=50) - began)
began = time.monotonic()
print(task.apply_async(eta=datetime.now() + timedelta(seconds=1)).get(timeout=50) - began)
print(task.apply_async(expires=600).until_ready(50))
print(task.apply_async(expires=datetime.now() + timedelta(seconds=600)).until_ready(50))
late = task.apply_async(countdown=1.5, expires=0.5)
late.until_ready(50)
print(late.state)
"""


@pytest.mark.parametrize("shift", [3600, pytest.param(-3600, marks=pytest.mark.long)])
def test_the_clock_of_a_client_is_an_hour_off(site, tmp_path, shift):
    """Its own clock says what an ETA means; from there on, only the server's time counts."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK + CLOCK_OF_DATETIME)
    here = site("bundled")
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, here.server.url],
        stdout=subprocess.PIPE, text=True, check=True, timeout=200,
        env={
            **os.environ, "CLOCK_SHIFT_S": str(shift),
            "NBTASKS_KEY": here.app.connection.to_json()["keys"][0],
            "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        },
    )  # fmt: skip
    countdown, eta, *others = done.stdout.split()
    assert 0.9 < float(countdown) < 50
    assert 0.9 < float(eta) < 50
    assert others == ["True", "True", "REVOKED"]


# As in ipykernel, Stop reaches a cell only, and is ignored between two.
KERNEL = """
import signal, sys, time
from nbtasks import App
app = App(broker=sys.argv[1])
task = app.task(time.sleep)

def run():
    try:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            print("begun", flush=True)
            task.delay(60).get()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        return "stopped"
    except Exception as error:
        return type(error).__name__

signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    print(run(), flush=True)
"""


@pytest.mark.parametrize(
    "fault",
    [pytest.param("silent", marks=pytest.mark.long), "killed", pytest.param("cut", marks=pytest.mark.long)],
)
def test_the_stop_button_works_meanwhile(site, chance, fault):
    """SIGINT to the process group of a kernel that waits, before, in and after a fault."""
    here = site("bundled", *DURABLE)
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL, here.proxy.url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "NBTASKS_KEY": here.app.connection.to_json()["keys"][0]},
    )  # fmt: skip

    def stop_a_cell():
        kernel.stdin.write("run\n")
        kernel.stdin.flush()
        assert kernel.stdout.readline().strip() == "begun"
        # Anywhere between the first word of the submit and the wait for its result.
        time.sleep(chance.uniform(0.0, 0.5))
        os.killpg(kernel.pid, signal.SIGINT)
        began = time.monotonic()
        line = kernel.stdout.readline().strip()
        assert line in {"stopped", "BrokerUnavailable"}
        return time.monotonic() - began

    try:
        assert kernel.stdout.readline().strip() == "ready"
        stop_a_cell()
        if fault == "cut":
            here.proxy.cut()
        elif fault == "silent":
            here.proxy.go_silent()
        else:
            here.server.kill()
        for _ in range(3):
            assert stop_a_cell() < 10.0
    finally:
        kernel.stdin.close()
        kernel.kill()
        kernel.wait()
        kernel.stdout.close()
        if fault == "killed":
            here.server.start()
