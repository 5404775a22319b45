"""A loop of ``.delay()``: calls that pile up share a batch, and nobody can tell but by the clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis

from nbtasks import App, TaskRevokedError, UnknownCall

from .interrupts import Interrupter

MANY = 1000


def batches(handles):
    """The batches behind the handles, in order of submission."""
    return list(dict.fromkeys(handle.batch.id for handle in handles))


def test_every_call_has_its_own_result(shared_app):
    double = shared_app.task(lambda x: 2 * x)
    handles = [double.delay(x) for x in range(MANY)]
    assert [handle.get(60) for handle in handles] == [2 * x for x in range(MANY)]
    assert len({handle.id for handle in handles}) == MANY
    # How many share one goes by how fast this machine sends.
    assert len(batches(handles)) < 0.9 * MANY
    assert all(handle.successful() and handle.name == f"{__name__}.<lambda>" for handle in handles)


def test_their_ids_find_them_again(shared_app):
    double = shared_app.task(lambda x: 2 * x)
    handles = [double.delay(x) for x in range(200)]
    assert [shared_app.AsyncResult(handle.id).get(60) for handle in handles[::40]] == [0, 80, 160, 240, 320]


#: Another process, which looks up at once what it is told.
LOOKS_UP = """
import sys
from nbtasks import App
app = App("looks up", broker={broker!r}, namespace={namespace!r})
print("ready", flush=True)
for line in sys.stdin:
    kind, id = line.split()
    try:
        print(getattr(app, kind)(id).id == id, flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"""


@pytest.fixture
def looked_up(shared_app):
    """Look an id up in another process; returns whether it is known there."""
    there = shared_app.connection
    script = LOOKS_UP.format(broker=there.url, namespace=there.namespace)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], text=True, bufsize=1, **pipes) as other:
        assert other.stdout.readline() == "ready\n"

        def ask(id, kind="AsyncResult"):
            other.stdin.write(f"{kind} {id}\n")
            return other.stdout.readline().strip()

        yield ask
        other.stdin.close()


def test_an_id_that_was_read_is_known_in_another_process(shared_app, looked_up):
    double = shared_app.task(lambda x: 2 * x)
    for n in range(30):
        handles = [double.delay(x) for x in range(1 + 5 * n)]
        # Not one that is sent first.
        assert looked_up(handles[-1].id if n % 2 else str(handles[-1])) == "True"


def test_so_is_one_that_its_caller_has_given(shared_app, looked_up):
    double = shared_app.task(lambda x: 2 * x)
    for n in range(10):
        handles = [double.delay(x) for x in range(100)]
        handles.append(double.apply_async((1,), task_id=f"mine-{n}"))
        assert looked_up(f"mine-{n}") == "True"


@pytest.mark.long
def test_so_are_those_of_maps_and_workflows(shared_app, looked_up):
    double = shared_app.task(lambda x: 2 * x)
    for _ in range(10):
        handles = [double.delay(x) for x in range(100)]
        handles.append((double.s(1) | double.s()).delay())
        assert looked_up(handles[-1].id) == "True"
        handles = [double.delay(x) for x in range(100)]
        handles.append(double.map(range(1000)))
        assert looked_up(handles[-1].id, "GroupResult") == "True"


def together(task):
    """Submit calls in a loop until several share a batch, however slow the machine is; return these by argument."""
    while True:
        found = {}
        for x in range(100):
            handle = task.delay(x)
            found.setdefault(handle.batch.id, {})[x] = handle
        most = max(found.values(), key=len)
        if len(most) > 3:
            return most


def is_known(app, id):
    try:
        return app.AsyncResult(id).get(timeout=60)
    except UnknownCall:
        return "unknown"


def test_one_that_is_forgotten_leaves_its_neighbours_known(shared_app, looked_up, eventually):
    handles = together(shared_app.task(lambda x: 2 * x))
    assert {x: handle.get(60) for x, handle in handles.items()} == {x: 2 * x for x in handles}
    gone, *others = handles
    # Both processes know the batch by now.
    assert looked_up(handles[gone].id) == "True"
    handles[gone].forget()
    eventually(lambda: is_known(shared_app, handles[gone].id) == "unknown", "it is unknown here")
    assert handles[gone].get(timeout=60) == 2 * gone
    eventually(lambda: "UnknownCall" in looked_up(handles[gone].id), "and in a process that has looked it up")
    with App(namespace=shared_app.connection.namespace) as new:
        assert is_known(new, handles[gone].id) == "unknown"
        assert [is_known(new, handles[x].id) for x in others] == [2 * x for x in others]
        # Another process than the one that has submitted them may drop the rest.
        for x in others:
            new.AsyncResult(handles[x].id).forget()
        keys, shared = new.session.line.keys, handles[gone].batch.id
        with redis.Redis.from_url(new.connection.url) as raw:
            names = [keys.batch(shared), keys.states(shared), keys.records(shared)]
            eventually(lambda: not raw.exists(*names), "with the last one everything goes")
    with App(namespace=shared_app.connection.namespace) as newer:
        assert {is_known(newer, handle.id) for handle in handles.values()} == {"unknown"}


def test_one_that_is_forgotten_before_its_end_is_unknown_after_it(idle_app, eventually):
    handles = together(idle_app.task(lambda x: 2 * x))
    gone, other = list(handles)[:2]
    handles[gone].forget()
    assert idle_app.AsyncResult(handles[gone].id).state == "PENDING"
    idle_app.start_workers(1)
    assert {x: handle.get(60) for x, handle in handles.items()} == {x: 2 * x for x in handles}
    eventually(lambda: is_known(idle_app, handles[gone].id) == "unknown", "it is forgotten")
    assert is_known(idle_app, handles[other].id) == 2 * other


def test_one_that_fails_leaves_its_neighbours_alone(shared_app):
    @shared_app.task
    def invert(x):
        return 1 / x

    handles = [invert.delay(x) for x in (4, 2, 0, 1, 0.5)]
    assert [handle.until_ready(60) for handle in handles] == [True] * 5
    assert [handle.state for handle in handles] == ["SUCCESS", "SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]
    with pytest.raises(ZeroDivisionError):
        handles[2].get()


def test_one_that_is_revoked_leaves_its_neighbours_alone(idle_app):
    double = idle_app.task(lambda x: 2 * x)
    handles = [double.delay(x) for x in range(20)]
    handles[7].revoke()
    idle_app.start_workers(1)
    assert [handle.get(60, propagate=False) for handle in handles[:7] + handles[8:]] == [
        2 * x for x in range(20) if x != 7
    ]
    with pytest.raises(TaskRevokedError):
        handles[7].get(60)


def test_what_a_function_captures_may_change_between_two_calls(shared_app):
    factor = [1]
    scale = shared_app.task(lambda x: factor[0] * x)
    handles = []
    for number in range(1, 101):
        factor[0] = number
        handles.append(scale.delay(10))
    assert [handle.get(60) for handle in handles] == [10 * number for number in range(1, 101)]


def test_calls_of_two_tasks_are_run_in_the_order_of_submission(idle_app, ledger):
    path = str(ledger.path)

    def note(mark):
        with Path(path).open("a") as file:
            file.write(f"{mark}\n")

    one, other = idle_app.task(note, name="one"), idle_app.task(note, name="other")
    handles = [task.delay(f"{name}{x}") for x in range(30) for name, task in (("a", one), ("b", other))]
    idle_app.start_workers(1)
    for handle in handles:
        handle.get(60)
    assert ledger.lines() == [f"{name}{x}" for x in range(30) for name in "ab"]


def test_several_threads_submit_at_once(shared_app):
    double = shared_app.task(lambda x: 2 * x)
    found = {}

    def submit(start):
        handles = [double.delay(x) for x in range(start, start + 300)]
        found[start] = [handle.get(60) for handle in handles]

    threads = [threading.Thread(target=submit, args=(start,)) for start in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {start: [2 * x for x in range(start, start + 300)] for start in (0, 1000, 2000, 3000)}


def test_large_arguments_go_on_their_own(shared_app):
    size = shared_app.task(len)
    texts = [b"x" * (100_000 * (x % 2)) for x in range(20)]
    handles = [size.delay(text) for text in texts]
    assert [handle.get(60) for handle in handles] == [len(text) for text in texts]


def test_a_bad_call_is_told_at_the_call_and_the_others_run(shared_app):
    double = shared_app.task(lambda x: 2 * x)
    handles = []
    for x in range(20):
        handles.append(double.delay(x))
        with pytest.raises(TypeError):
            double.delay(x, x)
    assert [handle.get(60) for handle in handles] == [2 * x for x in range(20)]


def test_the_stop_button_in_a_submit_neither_loses_nor_doubles_the_call(idle_app, ledger):
    """Wherever the interrupt hits: the handle is lost, but what was submitted is run once."""
    path = str(ledger.path)

    @idle_app.task
    def note(mark):
        with Path(path).open("a") as file:
            file.write(f"{mark}\n")

    idle_app.start_workers(2)
    note.delay("first").get(60)
    stopped, mark, handles = 0, 0, []
    end = time.monotonic() + 60
    while stopped < 30 and time.monotonic() < end:
        timer = threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            # Not for ever: an interrupt that hits a finalizer is lost.
            while time.monotonic() < end:
                mark += 1
                handles.append((mark, note.delay(mark)))
                handles[-1][1].get(60)
        except KeyboardInterrupt:
            stopped += 1
        timer.join()
    for _, handle in handles:
        handle.get(60)
    last = note.delay("last")
    last.get(60)
    lines = ledger.lines()
    assert len(lines) == len(set(lines))
    assert {str(number) for number, _ in handles} <= set(lines)


def interrupt():
    raise KeyboardInterrupt


def test_an_interrupt_at_any_line_of_a_submit_blocks_and_doubles_nothing(app, ledger):
    path = str(ledger.path)

    @app.task
    def note(mark):
        with Path(path).open("a") as file:
            file.write(f"{mark}\n")
        return mark

    note.delay("first").get(60)
    nth, handles = 0, []
    while True:
        nth += 1
        interrupter = Interrupter(nth, ("outbox",), interrupt)
        try:
            with interrupter:
                handles.append((f"a{nth}", note.delay(f"a{nth}")))
        except KeyboardInterrupt:
            pass
        assert note.delay(f"b{nth}").get(60) == f"b{nth}"
        if not interrupter.hit:
            break
    assert nth > 20
    for mark, handle in handles:
        assert handle.get(60) == mark
    app.session.flush()
    assert note.delay("last").get(60) == "last"
    lines = ledger.lines()
    assert len(lines) == len(set(lines))
    assert {f"b{number}" for number in range(1, nth + 1)} <= set(lines)


def test_calls_that_wait_to_be_sent_survive_a_server_that_is_emptied(idle_app):
    double = idle_app.task(lambda x: 2 * x)
    double.delay(0)
    idle_app.session.flush()
    with redis.Redis.from_url(idle_app.connection.url) as client:
        client.flushall()
    handles = [double.delay(x) for x in range(500)]
    idle_app.start_workers(2)
    assert [handle.get(60) for handle in handles] == [2 * x for x in range(500)]
