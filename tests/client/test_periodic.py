"""Periodic tasks as users make, see and end them."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import textwrap
import time

import pytest

from nbtasks import App, ConfigError, crontab, current_call
from nbtasks.schedules import schedule


@pytest.fixture(scope="module")
def add(shared_app):
    @shared_app.task
    def add(x, y=1):
        call = current_call()
        return x + y, call.periodic_task_name, call.scheduled_for

    return add


@pytest.fixture
def made(shared_app):
    """Removes what a test has made."""
    yield shared_app
    for one in shared_app.periodic_tasks():
        one.remove()


def test_a_call_is_made_again_and_again(made, add, eventually):
    task = made.add_periodic_task(0.3, add.s(2), kwargs={"y": 5}, name="add")
    eventually(lambda: task.count > 2, "it is fired")
    value, name, due = task.last().get(timeout=20)
    assert (value, name) == (7, "add")
    assert due in [run.due for run in task.runs]
    assert str(task) == "add"
    assert task.schedule == "every 0.3 s"
    facts = task.facts
    assert (facts.task, facts.queue, facts.calls, facts.ends_with) == (add.name, "default", 1, "this process")
    assert len(facts.code) == 8


def test_arguments_come_before_those_of_the_signature(made, add, eventually):
    task = made.add_periodic_task(0.3, add.s(10), (2,), name="add")
    eventually(lambda: task.count, "it is fired")
    assert task.last().get(timeout=20)[0] == 12


def test_it_pauses_goes_on_runs_now_and_ends(made, add, eventually):
    task = made.add_periodic_task(3600, add.s(2), name="add")
    assert task.next_run is not None
    task.pause()
    assert task.paused
    assert task.next_run is None
    result = task.run_now()
    assert result.get(timeout=20)[0] == 3
    assert task.count == 1
    eventually(lambda: task.runs[0].state == "SUCCESS", "its state is seen")
    task.resume()
    assert not task.paused
    assert abs(task.next_run.timestamp() - time.time() - 3600) < 60
    assert task.remove()
    assert not task.exists
    assert not task.remove()
    for ask in (task.pause, task.resume, task.run_now, lambda: task.next_run):
        with pytest.raises(ConfigError, match="no periodic task 'add'"):
            ask()


def test_a_run_beside_the_schedule_does_not_overlap_either(made, gate):
    @made.task
    def wait(path):
        from pathlib import Path

        while not Path(path).exists():
            time.sleep(0.01)

    task = made.add_periodic_task(3600, wait.s(gate.path), name="wait")
    task.run_now()
    with pytest.raises(ConfigError, match="a run of it goes on"):
        task.run_now()
    gate.open()


def test_runs_hold_the_locks_of_their_task(made, ledger, eventually):
    @made.task(max_concurrency=1)
    def note(path):
        from pathlib import Path

        with Path(path).open("a") as file:
            print("begin", file=file, flush=True)
            time.sleep(0.1)
            print("end", file=file, flush=True)

    task = made.add_periodic_task(0.2, note.s(ledger.path), name="a", overlap=True)
    other = made.add_periodic_task(0.2, note.s(ledger.path), name="b", overlap=True)
    eventually(lambda: task.count > 2 < other.count, "they are fired")
    task.remove()
    other.remove()
    eventually(lambda: ledger.lines()[-1:] == ["end"] and len(ledger.lines()) > 8, "they have run")
    lines = ledger.lines()
    assert set(zip(lines[::2], lines[1::2], strict=False)) == {("begin", "end")}


def test_another_version_takes_its_place_and_history_stays(made, eventually):
    @made.task
    def sweep():
        return "old"

    task = made.add_periodic_task(3600, sweep.s(), name="sweep")
    assert task.run_now().get(timeout=20) == "old"
    before, due = task.facts, task.next_run

    @made.task
    def sweep():
        return "new"

    again = made.add_periodic_task(3600, sweep.s(), name="sweep")
    assert again.next_run == due
    assert again.facts.code != before.code
    assert again.facts.coded > before.coded
    assert again.run_now().get(timeout=20) == "new"
    assert again.count == 2
    made.add_periodic_task(1800, sweep.s(), name="sweep")
    assert again.next_run < due


def test_the_next_one_comes_first(made, add):
    made.add_periodic_task("2h", add.s(1), name="later")
    made.add_periodic_task("1h", add.s(1), name="sooner")
    made.add_periodic_task("1m", add.s(1), name="paused").pause()
    assert [str(one) for one in made.periodic_tasks()] == ["sooner", "later", "paused"]


def test_a_crontab_has_the_zone_of_the_app(home):
    with App("zones") as app:
        app.conf.timezone = "Europe/Berlin"
        task = app.add_periodic_task(crontab(0, 6), app.task(lambda: 1).s(), name="morning")
        assert task.schedule == "0 6 * * * (Europe/Berlin)"
        assert (task.next_run.hour, task.next_run.minute) == (6, 0)
        other = app.add_periodic_task("0 6 * * *", app.task(lambda: 1).s(), name="there", tz="Asia/Tokyo")
        assert other.schedule == "0 6 * * * (Asia/Tokyo)"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"schedule": 0}, ConfigError, "under 0.1 s"),
        ({"schedule": "soon"}, ConfigError, "not a duration"),
        ({"countdown": 3}, ConfigError, "it begins when it is due"),
        ({"eta": dt.datetime.now(dt.timezone.utc)}, ConfigError, "the schedule says when"),
        ({"task_id": "mine"}, ConfigError, "an id of its own"),
        ({"expires": dt.datetime.now(dt.timezone.utc)}, ConfigError, "counts from each due time"),
        ({"memo": True}, ConfigError, "memo=False"),
        ({"missed": "never"}, ConfigError, "skip, latest, all"),
        ({"overlap": "skip"}, ConfigError, "neither True nor False"),
        ({"tz": "Berlin"}, ConfigError, "do you mean 'Europe/Berlin'"),
        ({"name": ""}, ConfigError, "no name of a periodic task"),
        ({"jitter": -1}, ConfigError, "not a duration"),
        ({"jitter": "2m"}, ConfigError, "jitter: 120 s is longer than the interval, 60 s"),
        ({"keep": "yes"}, ConfigError, "neither True nor False"),
        ({"expires": 0}, ConfigError, "late before it begins"),
        ({"expires": -3}, ConfigError, "late before it begins"),
        ({"args": 5}, ConfigError, r"args=5 is no tuple or list of arguments: write \(5,\)"),
        ({"args": "abc"}, ConfigError, "write \\('abc',\\)"),
        ({"kwargs": [1]}, ConfigError, "no dict of arguments"),
        ({"queu": "a"}, ConfigError, "did you mean 'queue'"),
        ({"args": (1, 2, 3)}, TypeError, "too many positional"),
    ],
)
def test_what_it_cannot_be(made, add, given, error, said):
    given = {"schedule": 60, "name": "wrong", **given}
    with pytest.raises(error, match=said):
        made.add_periodic_task(given.pop("schedule"), add.s(1), **given)
    assert made.periodic_tasks() == []


def test_a_name_is_a_text(made):
    with pytest.raises(ConfigError, match="5 is no name of a periodic task"):
        made.periodic_task(5)


def test_a_composition_is_refused_with_what_to_do(made, add):
    for what in (add.s(1) | add.s(), add.s(1).set(link=add.s())):
        with pytest.raises(ConfigError, match=r"put it into a task that submits it"):
            made.add_periodic_task(60, what)
    with pytest.raises(ConfigError, match="travel with each run"):
        made.add_periodic_task(60, add.s(bytes(2**21)))
    with pytest.raises(TypeError, match="no task"):
        made.add_periodic_task(60, len)


def test_it_ends_with_its_process_unless_it_is_kept(home, eventually):
    with App("first") as app, App("second") as other:
        task = app.task(lambda: 1)
        app.add_periodic_task(3600, task.s(), name="ends")
        app.add_periodic_task(3600, task.s(), name="stays", keep=True)
        seen = {one.name: one.facts.ends_with for one in other.periodic_tasks()}
        assert seen == {"ends": "another process", "stays": ""}
        app.close()
        assert [str(one) for one in other.periodic_tasks()] == ["stays"]
        other.periodic_task("stays").remove()


def test_of_a_process_that_was_killed_nothing_is_fired(app, ledger, eventually):
    script = textwrap.dedent(
        f"""
        import os, time
        from nbtasks import App
        app = App()
        @app.task
        def note(path):
            with open(path, "a") as file:
                print("x", file=file)
        one = app.add_periodic_task(0.2, note.s({ledger.path!r}), name="note")
        while one.count < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), 9)
        """
    )
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    task = app.periodic_task("note")
    link, keys = app.session.new_line(), app.session.line.keys
    # As if the time had passed within which it says that it is there.
    (client,) = link.call("HMGET", keys.periodic(app.session.keyring.id, _id("note")), "k")
    link.call("DEL", keys.live_client(client.decode()))
    eventually(lambda: task.facts.ends_with == "a process that is gone", "it is seen")
    eventually(lambda: all(run.state for run in task.runs), "its runs have ended")
    before = task.count
    due = task.next_run
    eventually(lambda: task.next_run > due + dt.timedelta(seconds=1), "due times pass")
    assert task.count <= before + 1


def _id(name):
    from nbtasks.core.due.periodic import id_of

    return id_of(name)


def test_engines_that_fire_nothing_say_so():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool, App(engine=pool) as app:
        task = app.task(lambda: 1)
        with pytest.raises(ConfigError, match="nothing by itself"):
            app.add_periodic_task(60, task.s())
    with App(eager=True) as app:
        task = app.task(lambda: 1)
        with pytest.raises(ConfigError, match="eager"):
            app.add_periodic_task(60, task.s())


# -- what a project declares


PROJECT = """
from nbtasks import App
from nbtasks.schedules import crontab

app = App("proj")
app.conf.beat_schedule = {
    "add-often": {"task": "proj_of_beat.add", "schedule": 0.3, "args": (16, 16), "options": {"expires": 30}},
    "monthly": {"task": "proj_of_beat.add", "schedule": crontab(0, 0, day_of_month="1"), "kwargs": {"x": 1, "y": 2}},
}

@app.task
def add(x, y):
    return x + y

@app.on_after_configure.connect
def more(sender, **kwargs):
    sender.add_periodic_task(3600, add.s(1, 2), name="by hook")

@app.on_after_finalize.connect
def most(sender, **kwargs):
    sender.add_periodic_task(crontab(hour=7, minute=30, day_of_week="mon"), add.s(3, 4))
"""


@pytest.fixture
def declaring(project, written_modules, monkeypatch):
    """A project that declares periodic tasks, imported."""
    import importlib

    (project / "proj_of_beat.py").write_text(PROJECT)
    monkeypatch.syspath_prepend(str(project))
    written_modules.add("proj_of_beat")
    module = importlib.import_module("proj_of_beat")
    yield module
    module.app.close()


def test_what_a_module_declares_is_put_when_its_workers_start(declaring, eventually):
    app = declaring.app
    app.conf.include = ("proj_of_beat",)
    assert app.periodic_tasks() == []
    app.start_workers(1)
    found = {one.name: one.facts for one in app.periodic_tasks()}
    assert set(found) == {"add-often", "monthly", "by hook", "proj_of_beat.add(3, 4)"}
    # Workers have the module of their own.
    assert {one.code for one in found.values()} == {""}
    assert {one.ends_with for one in found.values()} == {"this process"}
    task = app.periodic_task("add-often")
    eventually(lambda: task.count, "it is fired")
    assert task.last().get(timeout=20) == 32


def test_a_notebook_that_connects_to_an_event_is_called_at_once(shared_app, add):
    called = []

    @shared_app.on_after_configure.connect
    def setup(sender, **kwargs):
        called.append(sender)
        sender.add_periodic_task(3600, add.s(1), name="by hook")

    assert called == [shared_app]
    assert shared_app.periodic_task("by hook").remove()


def test_an_entry_that_is_wrong_keeps_no_other_one_out(home):
    with App("entries") as app:

        @app.task(name="pack.need")
        def need(x):
            return x

        good = {"task": "pack.need", "schedule": 60, "args": (1,)}
        app.conf.beat_schedule = {"before": good, "lacks": {**good, "args": ()}, "odd": 5, "after": good}
        with pytest.raises(ConfigError) as caught:
            app.declared.apply("tests")
        said = str(caught.value)
        assert "periodic task 'lacks': pack.need(x): missing a required argument: 'x'" in said
        assert "beat_schedule['odd']: 5 is no dict with a task and a schedule" in said
        assert {one.name for one in app.periodic_tasks()} == {"before", "after"}
        # What one was before it was wrong stays.
        app.conf.beat_schedule = {"before": {**good, "schedule": "soon"}}
        with pytest.raises(ConfigError, match="not a duration"):
            app.declared.apply("tests")
        assert {one.name for one in app.periodic_tasks()} == {"before"}


def test_settings_of_beat(home):
    with App("settings") as app:
        with pytest.raises(ConfigError, match="beat_schedule"):
            app.conf.beat_schedule = ["a"]
        with pytest.warns(UserWarning, match="kept in the server"):
            app.conf.beat_schedule_filename = "schedule.db"
        app.conf.update(CELERYBEAT_SCHEDULE={"a": {"task": "x.y", "schedule": schedule(5), "relative": True}})
        assert app.declared.apply("tests") == ["a"]
        assert app.periodic_tasks()[0].schedule == "every 5 s"
        app.conf.beat_schedule = {}
        assert app.declared.apply("tests") == []
        assert app.periodic_tasks() == []
        wrong = [
            ({"schedule": 5}, r"beat_schedule\['a'\].*no dict with a task and a schedule"),
            ({"task": "x.y", "schedule": 5, "arg": (1,)}, "unknown arg; known are args"),
            ({"task": "x.y", "schedule": "soon"}, "not a duration"),
            (
                {"task": "x.y", "schedule": 5, "args": "abc"},
                r"beat_schedule\['a'\]: args='abc' is no tuple or list",
            ),
            ({"task": "x.y", "schedule": 5, "kwargs": [1]}, r"beat_schedule\['a'\]: kwargs=\[1\] is no dict"),
            ({"task": "x.y", "schedule": 5, "options": 5}, r"beat_schedule\['a'\]: options=5 is no dict"),
            ({"task": "x.y", "schedule": 5, "options": {"eta": 5}}, "the schedule says when"),
        ]
        for entry, said in wrong:
            app.conf.beat_schedule = {"a": entry}
            with pytest.raises(ConfigError, match=said):
                app.declared.apply("tests")
