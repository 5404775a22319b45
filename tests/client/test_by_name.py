"""Tasks by name: names carry the module, what App(include=...) names is the workers' own, calls without the code."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap

import pytest

from nbtasks import App, ConfigError, NotRegistered, task

SOON = 60.0
PACKAGE = {
    "models": """
        class Item:
            def __init__(self, n): self.n = n
    """,
    "helpers": """
        from .models import Item
        def doubled(item): return Item(2 * item.n)
    """,
    "mod": """
        import sys
        from nbtasks import App, task
        from . import helpers, models

        app = App("pack", include=["byname_pack.mod"])
        ran = []

        @task
        def fetch(n):
            ran.append(n)
            return len(ran), type(sys.modules[__name__].__loader__).__name__, __file__

        @task
        def double(item):
            assert type(item) is models.Item
            return helpers.doubled(item)

        @task(bind=True, retries=2, retry_backoff=0.01, retry_jitter=False)
        def stubborn(self, n):
            if self.request.retries < 2:
                raise ValueError(n)
            return self.name, self.request.retries, n

        @task
        def outer(n):
            return fetch.delay(n).get(), app.send_task("byname_pack.mod.fetch", (n,)).get()

        @task(name="a name of its own")
        def named(n): return n

        def plain(n): return -n

        def make():
            @task
            def made(n): return n + 1
            return made

        make()
    """,
    "other": """
        from nbtasks import task

        @task
        def fetch(n): return "the other one"
    """,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the working folder of a project, which has a package."""
    place = tmp_path_factory.mktemp("project")
    (place / "byname_pack").mkdir()
    (place / "byname_pack" / "__init__.py").touch()
    for name, source in PACKAGE.items():
        (place / "byname_pack" / f"{name}.py").write_text(textwrap.dedent(source))
    return place


@pytest.fixture(scope="module")
def app(run_folder, folder):
    """Return an App whose two workers have the package of their own, which this process finds as well."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        with App("by name", namespace="by-name", include=["byname_pack.mod"]) as app:
            app.start_workers(2)
            yield app
    for name in {name for name in sys.modules if name.startswith("byname_pack")} - before:
        del sys.modules[name]


@pytest.fixture
def mod(app):
    """Return the module with the tasks."""
    module = importlib.import_module("byname_pack.mod")
    module.app.close()
    return module


@pytest.fixture
def elsewhere(app, tmp_path):
    """``elsewhere("expression")`` is the text of a value in a process that has none of the code; of several, a list."""

    def run(*expressions):
        lines = [f"print({expression})" for expression in expressions]
        script = "\n".join(["from nbtasks import *", "app = App(namespace='by-name')", *lines])
        environment = {**os.environ, "NBTASKS_BROKER": app.connection.url}
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=60,
            check=False,
        )
        found = done.stdout.splitlines()
        if len(found) < len(expressions):
            return done.stderr.strip().rpartition("\n")[2]
        return found if len(expressions) > 1 else found[0]

    return run


def test_names_carry_their_module(mod):
    other = importlib.import_module("byname_pack.other")
    assert (mod.fetch.name, other.fetch.name) == ("byname_pack.mod.fetch", "byname_pack.other.fetch")
    assert mod.named.name == "a name of its own"
    assert task(mod.plain).name == "byname_pack.mod.plain"
    assert task(len).name == "len"


def of_a_notebook(name):
    """Return a function that a cell has defined."""
    space = {"__name__": "__main__"}
    exec(f"def {name}(x): return x", space)
    return space[name]


def test_a_notebooks_names_stay_short():
    add = task(of_a_notebook("add"))
    assert (add.name, repr(add)) == ("add", "<Task add>")


def test_handles_and_tasks_tell_them_apart(app, mod):
    other = importlib.import_module("byname_pack.other")
    one, two = mod.fetch.delay(1), other.fetch.delay(1)
    assert (one.name, two.name) == ("byname_pack.mod.fetch", "byname_pack.other.fetch")
    assert two.get(timeout=SOON) == "the other one"
    assert app.tasks["byname_pack.mod.fetch"] is mod.fetch
    assert {"byname_pack.mod.made", "a name of its own"} <= set(app.tasks)
    with pytest.raises(KeyError):
        _ = app.tasks["byname_pack.mod.no_such_task"]


def test_apps_have_their_own_tasks_of_one_name(app, home):
    with App("another", broker="redis://localhost:1") as another:
        one = app.task(name="tests.same")(len)
        two = another.task(name="tests.same")(abs)
        assert app.tasks["tests.same"] is one
        assert another.tasks["tests.same"] is two


def test_what_is_included_is_the_workers_own_and_goes_by_name(app, mod, folder):
    _, loader, file = mod.fetch.delay(1).get(timeout=SOON)
    assert loader == "SourceFileLoader"
    assert file == str(folder / "byname_pack" / "mod.py")
    # It has not run anew for later calls: it is the module that the worker has imported.
    assert max(mod.fetch.map(range(20)).get(timeout=SOON))[0] > 1
    assert app.task(mod.plain).delay(3).get(timeout=SOON) == -3
    assert mod.make().delay(3).get(timeout=SOON) == 4


def test_what_included_modules_import_is_the_workers_own_too(mod):
    models = importlib.import_module("byname_pack.models")
    assert mod.double.delay(models.Item(4)).get(timeout=SOON).n == 8
    assert [item.n for item in mod.double.map(map(models.Item, range(3))).get(timeout=SOON)] == [0, 2, 4]


def test_a_task_of_theirs_calls_others(mod):
    (_, one, file), (_, two, same) = mod.outer.delay(1).get(timeout=SOON)
    assert (one, two, file) == ("SourceFileLoader", "SourceFileLoader", same)


def test_calls_by_name_from_a_process_without_the_code(elsewhere, folder):
    of_module, made, own, several = elsewhere(
        "app.send_task('byname_pack.mod.fetch', (3,)).get(timeout=50)",
        "app.send_task('byname_pack.mod.made', [1]).get(timeout=50)",
        "app.send_task('a name of its own', kwargs={'n': 5}).get(timeout=50)",
        "app.task_named('a name of its own').map(range(3)).get(timeout=50)",
    )
    assert str(folder / "byname_pack" / "mod.py") in of_module
    assert (made, own, several) == ("2", "5", "[0, 1, 2]")


def test_signatures_by_name(elsewhere):
    one = "app.signature('byname_pack.mod.made')"
    assert elsewhere(
        "app.signature('byname_pack.mod.made', (1,)).delay().get(timeout=50)",
        "signature('byname_pack.mod.made').apply_async((1,)).get(timeout=50)",
        f"({one} | {one}).delay(1).get(timeout=50)",
        f"chord([{one}.clone((n,)) for n in range(3)], app.signature('a name of its own'))().get(timeout=50)",
        f"dict({one})['task']",
    ) == ["2", "2", "3", "[1, 2, 3]", "byname_pack.mod.made"]


def test_the_options_of_the_workers_task_count(elsewhere):
    value = elsewhere("app.send_task('byname_pack.mod.stubborn', (7,)).get(timeout=50)")
    assert value == "('byname_pack.mod.stubborn', 2, 7)"


def test_a_module_that_nobody_has_imported_is_found_by_its_name(elsewhere):
    assert elsewhere("app.send_task('byname_pack.other.fetch', (7,)).get(timeout=50)") == "the other one"


def test_a_name_that_no_worker_knows(app, mod):
    near = r"^the worker has no task 'byname_pack.mod.fetsch'; did you mean 'byname_pack.mod.fetch'\? Have workers"
    with pytest.raises(NotRegistered, match=near):
        app.send_task("byname_pack.mod.fetsch", (1,)).get(timeout=SOON)
    with pytest.raises(
        NotRegistered, match=r"has no task 'nowhere.at.all'; it has .*nbtasks worker -A MODULE"
    ):
        app.send_task("nowhere.at.all").get(timeout=SOON)


def test_what_somebody_has_sent_is_not_called_by_name(app, elsewhere, tmp_path, monkeypatch, written_modules):
    monkeypatch.syspath_prepend(str(tmp_path / "of_the_caller"))
    (tmp_path / "of_the_caller").mkdir()
    (tmp_path / "of_the_caller" / "byname_sent.py").write_text(
        "from nbtasks import task\n@task\ndef f(): return 1\n"
    )
    written_modules.add("byname_sent")
    sent = importlib.import_module("byname_sent")
    assert [sent.f.with_options().delay().get(timeout=SOON) for _ in range(4)] == [1] * 4
    ended = "app.send_task('byname_sent.f').get(timeout=50, propagate=False)"
    assert elsewhere(f"type({ended}).__name__") == "NotRegistered"


@pytest.mark.parametrize("name", ["", " ", None, 7])
def test_what_is_no_name_is_refused_at_the_call(app, name):
    with pytest.raises(ConfigError, match=r"is no task's name; write it as the workers' log does"):
        app.send_task(name)


def test_a_task_without_its_code_runs_on_workers_only(app):
    with pytest.raises(
        ConfigError, match=r"the code of task 'far.away' is not here, so it can only be called on"
    ):
        app.task_named("far.away")(1)


def test_wrong_options_are_refused_at_the_call(app):
    with pytest.raises(ConfigError, match="priority"):
        app.send_task("far.away", priority="soon")
    with pytest.raises(TypeError, match="args is a tuple"):
        app.send_task("far.away", 3)


def test_names_of_tasks_that_nobody_holds_are_forgotten_in_a_notebook(app):
    made = app.task(of_a_notebook("gone"))
    assert "gone" in app.tasks
    del made
    assert "gone" not in app.tasks
