"""Settings that stand in for the options of tasks: defaults, annotations, routes, the time zone; and which count first.

What is expected here was seen in Celery 5.7, but where a test says that it differs.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import types

import pytest

from nbtasks import App, ConfigError, Task, shared_task

SOON = 60.0


@pytest.fixture
def app(home):
    with App("settings", broker="redis://localhost:1") as app:
        yield app


def made(app, name="proj.feeds.fetch", **options):
    return (
        app.task(lambda *_: None, name=name, **options)
        if options.get("base")
        else app.task(_nothing, name=name, **options)
    )


def _nothing(*_args, **_kwargs):
    return None


def of(task, *names):
    return tuple(getattr(task.options, name) for name in names)


@pytest.mark.parametrize(
    ("setting", "value", "option", "seen"),
    [
        ("task_default_queue", "shop", "queue", "shop"),
        ("CELERY_DEFAULT_QUEUE", "shop", "queue", "shop"),
        ("task_default_priority", 8, "priority", 8),
        ("task_default_rate_limit", "100/m", "rate_limit", "100/m"),
        ("task_ignore_result", True, "ignore_result", True),
        ("task_acks_late", False, "acks_late", False),
        ("task_time_limit", 30, "time_limit", 30.0),
        ("CELERYD_TASK_TIME_LIMIT", "5m", "time_limit", 300.0),
        ("CELERYD_TASK_SOFT_TIME_LIMIT", 20, "soft_time_limit", 20.0),
    ],
)
def test_a_default_counts_where_the_task_says_nothing(app, setting, value, option, seen):
    plain, before = made(app), of(made(app), option)
    app.conf[setting] = value
    assert of(plain, option) == (seen,)
    assert getattr(plain, option) == seen
    own = made(app, **{option: before[0]})
    # It was said, though it is what it would have been.
    assert of(own, option) == before
    del app.conf[setting]
    assert of(plain, option) == before


def test_settings_may_come_before_the_task_or_after_it_and_from_a_module(app):
    early = made(app, "early")
    app.config_from_object(types.SimpleNamespace(CELERY_DEFAULT_QUEUE="cfg", task_time_limit=9))
    assert of(early, "queue", "time_limit") == of(made(app, "late"), "queue", "time_limit") == ("cfg", 9.0)
    app.conf.task_time_limit = None
    assert of(early, "queue", "time_limit") == ("cfg", None)


def test_annotations_count_before_the_task_and_those_of_all_last(app):
    app.conf.task_annotations = {
        "*": {"rate_limit": "1/s"},
        "proj.feeds.fetch": {"rate_limit": "2/s", "time_limit": 7, "queue": "annotated", "max_retries": 9},
    }
    task = made(app, rate_limit="5/s", time_limit=3)
    assert of(task, "rate_limit", "time_limit", "queue", "max_retries") == ("1/s", 7.0, "annotated", 9)
    assert of(made(app, "other"), "rate_limit", "queue") == ("1/s", "default")


def test_annotations_by_an_object_and_in_a_list(app):
    class Slow:
        def annotate(self, task):
            return {"rate_limit": "10/m"} if task.name.startswith("slow.") else None

    app.conf.task_annotations = (Slow(), {"slow.one": {"retries": 2}})
    assert of(made(app, "slow.one"), "rate_limit", "max_retries", "autoretry_for") == (
        "10/m",
        2,
        (Exception,),
    )
    assert of(made(app, "quick"), "rate_limit") == (None,)


def test_limits_can_be_switched_off(app):
    app.conf.worker_disable_rate_limits = True
    assert of(made(app, rate_limit="1/h"), "rate_limit") == (None,)


def test_a_soft_limit_of_all_tasks_is_none_for_one_that_ends_before(app):
    app.conf.task_soft_time_limit = 60
    assert of(made(app, time_limit=30), "time_limit", "soft_time_limit") == (30.0, None)


FEEDS = re.compile(r"(video|image)\..*")


@pytest.mark.parametrize(
    "routes",
    [
        {"a.exact": {"queue": "one"}, "b.*": "two", FEEDS: {"queue": "three"}, "b.never": None}
        | {"b.never": "two"},
        [("a.exact", {"queue": "one"}), ("b.*", "two"), (FEEDS, "three")],
        ([("a.exact", "one"), ("b.*", {"queue": "two", "routing_key": "b.x"}), (FEEDS, "three")],),
        [{"a.exact": "one"}, {"b.*": "two"}, {FEEDS: {"queue": "three"}}],
        [lambda name, *_, **__: None, {"a.exact": "one", "b.*": "two", FEEDS: "three"}],
    ],
    ids=["dict", "pairs", "tuple-of-pairs", "dicts", "function-and-dict"],
)
@pytest.mark.parametrize(
    ("name", "queue"),
    [
        ("a.exact", "one"),
        ("a.exactly", "default"),
        ("b.c.d", "two"),
        ("video.cut", "three"),
        ("my.video.cut", "default"),
    ],
)
def test_routes_in_each_form(home, routes, name, queue):
    with App("routes", eager=True) as app:
        app.conf.task_routes = routes
        assert made(app, name).delay().queue == queue


def test_the_call_counts_before_the_task_and_that_before_the_route(home):
    with App("order", eager=True) as app:
        app.conf.update(
            task_default_queue="last",
            task_default_priority=1,
            CELERY_ROUTES={"*.fetch": {"queue": "routed", "priority": 7, "time_limit": 4}},
        )
        plain, own = made(app), made(app, queue="own")
        assert of(plain, "queue", "priority", "time_limit") == ("routed", 7, 4.0)
        assert of(own, "queue", "priority", "time_limit") == ("own", 7, 4.0)
        assert plain.apply_async(queue="said").queue == "said"
        assert own.delay().queue == "own"
        assert of(made(app, "elsewhere"), "queue", "priority") == ("last", 1)


def test_a_function_routes_by_the_arguments_of_each_call(home):
    seen = []

    def route(name, args, kwargs, options, task=None, **kw):
        seen.append((name, args, kwargs, options, task))
        if args and args[0] > 10:
            return {"queue": "large", "priority": 2}
        return "small" if kwargs else None

    with App("by call", eager=True) as app:
        app.conf.task_routes = (route, {"*": "others"})
        task = made(app)
        assert [task.delay(n).queue for n in (5, 50)] == ["others", "large"]
        assert task.apply_async((), {"k": 1}, priority=4).queue == "small"
        assert seen[-1] == ("proj.feeds.fetch", (), {"k": 1}, {"priority": 4}, task)
        assert task.apply_async((50,), queue="said").queue == "said"
        assert made(app, "owned", queue="own").delay(50).queue == "own"
        assert [one.queue for one in task.map([50, 60]).results] == ["others", "others"]


def test_a_router_by_its_name_and_one_of_celery_3(home, project, written_modules, monkeypatch):
    monkeypatch.syspath_prepend(str(project))
    written_modules.add("routers_mod")
    (project / "routers_mod.py").write_text(
        "def route(name, args, kwargs, options, task=None, **kw):\n    return 'named' if name == 'a' else None\n"
        "class Old:\n    def route_for_task(self, task, args=None, kwargs=None):\n        return {'queue': 'old'}\n"
    )
    with App("named", eager=True) as app:
        app.conf.task_routes = ("routers_mod.route", "routers_mod:Old")
        assert [made(app, name).delay().queue for name in "ab"] == ["named", "old"]
        app.conf.task_routes = "routers_mod.rout"
        with pytest.raises(ConfigError, match=r"task_routes: 'routers_mod\.rout': .*no 'rout'"):
            made(app, "c").delay()


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("task_default_queue", "a b", "task_default_queue: 'a b' is not a queue name"),
        ("task_default_priority", 12, "task_default_priority: 12 is not one of low, normal, high or 0 to 9"),
        (
            "task_default_rate_limit",
            "10 per second",
            "task_default_rate_limit: '10 per second' is not a rate",
        ),
        ("task_time_limit", -1, "task_time_limit: "),
        ("task_soft_time_limit", "soon", "task_soft_time_limit: "),
        ("task_ignore_result", "yes", "task_ignore_result: 'yes' is neither True nor False"),
        ("task_acks_late", 1, "task_acks_late: 1 is neither"),
        (
            "task_annotations",
            {"x": {"rate_limt": 1}},
            r"task_annotations: 'x': .*did you mean 'rate_limit'\?",
        ),
        (
            "task_annotations",
            {"x": {"rate_limit": "no"}},
            "task_annotations: 'x': rate_limit: 'no' is not a rate",
        ),
        ("task_annotations", {"*": {"on_failure": print}}, "on_failure is code, .*@task.base=.*signal"),
        ("task_annotations", {"*": {"name": "x"}}, "name is said where the task is made"),
        (
            "task_annotations",
            {"rate_limit": "10/s"},
            "'rate_limit': '10/s' is not a dict of a task's options",
        ),
        ("task_annotations", ["x"], "'x' is not a dict of tasks' names and options"),
        ("task_routes", {"x": {"queue": "a b"}}, "task_routes: 'x': queue: 'a b' is not a queue name"),
        ("task_routes", {"x": {"queu": "a"}}, "task_routes: 'x': 'queu' is no option of a route"),
        ("task_routes", {"x": {"routing_key": "a"}}, "there are no exchanges.*'queue': 'feeds'"),
        ("task_routes", {"x": 5}, "task_routes: 'x': 5 is no route"),
        ("task_routes", {5: "x"}, "task_routes: 5 is neither a task's name nor a pattern"),
        ("task_routes", {"(a|b)": "x"}, "looks like a regular expression, and is a text: write re.compile"),
        ("task_routes", 5, "task_routes: 5 is no router"),
        ("task_routes", [5], "task_routes: 5 is no router"),
        ("task_queues", "io", r"task_queues: 'io' is not a list"),
        ("task_queues", [], "task_queues: there is none"),
        ("task_queues", [5], "5 is not a queue name"),
        (
            "worker_log_format",
            "%(task_id)s %(message)s",
            "makes no line .*task_id and task_name are for worker_task",
        ),
        ("worker_task_log_format", "plain", "worker_task_log_format: 'plain' makes no line of a log"),
        ("worker_log_datefmt", 5, "worker_log_datefmt: 5 is not a text"),
        (
            "worker_redirect_stdouts_level",
            "loud",
            "worker_redirect_stdouts_level: 'loud' is not one of debug",
        ),
        ("timezone", "Europe/Berln", "timezone: 'Europe/Berln' is no time zone"),
        ("timezone", 2, "timezone: 2 is no time zone"),
        ("enable_utc", "yes", "enable_utc: 'yes' is neither"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_set(app, setting, value, said):
    with pytest.raises(ConfigError, match=rf"^conf: .*{said}"):
        app.conf[setting] = value
    assert setting not in app.conf


def test_what_a_function_returns_is_checked_at_the_call(home):
    with App("bad route", eager=True) as app:
        app.conf.task_routes = lambda *_, **__: 5
        with pytest.raises(ConfigError, match=r"task_routes: .* 5 is no route"):
            made(app).delay()


def test_moments_without_a_zone_are_of_the_zone_that_is_set(app):
    from nbtasks.client.submitting.dispatch import call_options

    class Plain:
        mark = object()

        def checked(self, options):
            return options

    task, plus_one = made(app), dt.timezone(dt.timedelta(hours=1))
    now = dt.datetime.now(plus_one)

    def delay(moment):
        return call_options(task, {"eta": moment}, Plain(), single=True).delay_s

    naive = (now + dt.timedelta(hours=2)).replace(tzinfo=None)
    app.conf.timezone = plus_one
    assert delay(naive) == pytest.approx(7200, abs=60)
    assert delay(naive.isoformat()) == pytest.approx(7200, abs=60)
    assert delay(naive.replace(tzinfo=plus_one)) == pytest.approx(7200, abs=60)
    app.conf.timezone = "UTC"
    assert delay(naive) == pytest.approx(3 * 3600, abs=60)
    app.conf.update(timezone=None, enable_utc=True)
    assert delay(naive) == pytest.approx(3 * 3600, abs=60)


# -- in workers


class Told(Task):
    """Says how it runs."""


@pytest.fixture(scope="module")
def settled(shared_app):
    """An App with settings, and a worker for the queues that they name."""
    shared_app.conf.update(
        task_default_queue="own_default",
        task_routes={"inner.*": {"queue": "inner"}},
        task_annotations={"limited": {"soft_time_limit": 0.3}},
    )
    shared_app.stop_workers()
    shared_app.start_workers(2, queues=("own_default", "inner"))
    yield shared_app
    for name in ("task_default_queue", "task_routes", "task_annotations"):
        del shared_app.conf[name]


def test_tasks_inside_tasks_follow_the_settings_of_their_notebook(settled):
    @shared_task(name="inner.one")
    def inner():
        return os.getpid()

    @settled.task
    def outer():
        call = inner.delay()
        return call.queue, call.get(timeout=SOON) > 0

    call = outer.delay()
    assert (call.queue, call.get(timeout=SOON)) == ("own_default", ("inner", True))


def test_a_function_routes_the_steps_of_a_workflow(settled):
    @settled.task(name="step")
    def step(n):
        return n + 1

    before = settled.conf.task_routes
    settled.conf.task_routes = lambda name, args, *_, **__: {"queue": "inner"} if args == (5,) else None
    try:
        last = (step.s(5) | step.s()).delay()
        assert (last.parent.queue, last.queue, last.get(timeout=SOON)) == ("inner", "own_default", 7)
    finally:
        settled.conf.task_routes = before


def test_limits_of_annotations_hold_in_workers(settled):
    from nbtasks import SoftTimeLimitExceeded

    @settled.task(name="limited")
    def wait():
        import time

        try:
            time.sleep(60)
        except SoftTimeLimitExceeded:
            return "stopped"

    assert wait.delay().get(timeout=SOON) == "stopped"
    settled.conf.task_annotations = {}
    settled.conf.task_soft_time_limit = 0.2
    try:
        assert wait.delay().get(timeout=SOON) == "stopped"
    finally:
        del settled.conf["task_soft_time_limit"]


def test_workers_serve_the_queues_that_are_set(home):
    with App("queues") as app:
        app.conf.task_queues = ["io", types.SimpleNamespace(name="cpu")]
        app.start_workers(1)
        assert app.workers()[0].queues == ("io", "cpu")
