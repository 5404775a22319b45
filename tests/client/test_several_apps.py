"""Several Apps with several brokers, from the caller's side and inside tasks; which one is current."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap

import pytest

import nbtasks
from nbtasks import App, ConfigError, current_app, shared_task
from nbtasks.local.server import embedded

SOON = 60.0
MODULE = """
    import os
    from nbtasks import App, current_app, shared_task

    one = App("one", broker=os.environ["SEVERAL_ONE"], include=["several_mod"])
    two = App("two", broker=os.environ["SEVERAL_TWO"], include=["several_mod"])

    @one.task
    def of_one():
        return os.environ["WHICH"], of_two.delay().get(), anywhere.delay().get(), current_app.told

    @two.task
    def of_two():
        return os.environ["WHICH"]

    @shared_task
    def anywhere():
        return os.environ["WHICH"]
"""


@pytest.fixture(scope="module")
def mod(tmp_path_factory, run_folder):
    """A module with two Apps; each has workers of its own, behind a server of its own."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    with pytest.MonkeyPatch.context() as patch:
        leases = []
        for folder, name in zip(folders, ("SEVERAL_ONE", "SEVERAL_TWO"), strict=True):
            patch.chdir(folder)
            leases.append(embedded.acquire())
            patch.setenv(name, leases[-1].url)
        (folders[1] / "several_mod.py").write_text(textwrap.dedent(MODULE))
        patch.syspath_prepend(str(folders[1]))
        found = importlib.import_module("several_mod")
        with found.one, found.two:
            found.one.start_workers(2, env={"WHICH": "one"})
            found.two.start_workers(1, env={"WHICH": "two"})
            yield found
        for lease in leases:
            lease.close()
    del sys.modules["several_mod"]


def test_each_task_goes_to_its_own_broker_from_inside_tasks_too(mod):
    ran, other, current, told = mod.of_one.delay().get(timeout=SOON)
    assert (ran, other, current) == ("one", "two", "one")
    assert told == mod.one.connection.address
    assert mod.of_two.delay().get(timeout=SOON) == "two"


def test_a_shared_task_goes_through_the_current_app(mod):
    mod.one.set_current()
    assert mod.anywhere.delay().get(timeout=SOON) == "one"
    assert current_app.name == App.current().name == "one"
    mod.two.set_current()
    assert mod.anywhere.delay().get(timeout=SOON) == "two"
    assert current_app == mod.two


def test_current_app_stands_for_the_app_that_is_current(home):
    with (
        App("first", broker="redis://localhost:1") as first,
        App("second", broker="redis://localhost:1") as second,
    ):
        assert (repr(current_app), current_app.usable) == (repr(second), True)
        first.set_current()
        assert current_app.conf is first.conf
        current_app.name = "renamed"
        assert first.name == "renamed"
        assert "start_workers" in dir(current_app)

        @current_app.task
        def bound():
            return 1

        assert bound.app is first


def test_a_closed_app_cannot_be_made_current(home):
    with App("over", broker="redis://localhost:1") as app:
        pass
    with pytest.raises(ConfigError, match=r"App 'over' is closed; make a new one"):
        app.set_current()


def test_shared_task_is_task():
    assert shared_task is nbtasks.task


def test_who_only_looks_at_the_current_app_makes_none():
    """As pytest does with each name of a module, and a notebook with what a cell ends with."""
    script = """
from nbtasks import current_app
from nbtasks.client import current
print(hasattr(current_app, "_mock_name"), hasattr(current_app, "__test__"), current.known())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["False", "False", "None"]
