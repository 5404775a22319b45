"""joblib's backend: what is given to ``joblib.Parallel`` runs on workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import joblib
import pytest

from nbtasks import App, ConfigError, WorkersError

SOON = 60.0


def where(x):
    return x, os.getpid()


def nested(n):
    return sum(joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(x, 2) for x in range(n)))


def fails(n):
    if n == 3:
        raise KeyError(n)
    time.sleep(0.01)


def test_calls_run_on_workers_in_their_order(shared_app):
    with shared_app.joblib():
        found = joblib.Parallel()(joblib.delayed(where)(x) for x in range(50))
        assert [x for x, _ in found] == list(range(50))
        assert os.getpid() not in {process for _, process in found}
        # In a worker, threads of its own: it asks for no other slot.
        assert joblib.Parallel()(joblib.delayed(nested)(n) for n in (3, 4, 5)) == [5, 14, 30]


def test_all_slots_are_used_unless_a_number_is_said(shared_app):
    with shared_app.joblib():
        assert joblib.effective_n_jobs(-1) == 2
        assert joblib.effective_n_jobs(-2) == 1
        assert joblib.effective_n_jobs(7) == 7
        with pytest.raises(ValueError, match="n_jobs == 0"):
            joblib.effective_n_jobs(0)
    with shared_app.joblib(n_jobs=1):
        assert joblib.Parallel()(joblib.delayed(where)(x) for x in "a") == [("a", os.getpid())]


def test_results_come_as_they_are_made(shared_app):
    with shared_app.joblib():
        results = joblib.Parallel(return_as="generator")(joblib.delayed(abs)(-x) for x in range(20))
        assert list(results) == list(range(20))
        unordered = joblib.Parallel(return_as="generator_unordered")(
            joblib.delayed(abs)(-x) for x in range(20)
        )
        assert sorted(unordered) == list(range(20))


def test_an_error_ends_the_rest_and_the_backend_goes_on(shared_app):
    with shared_app.joblib():
        with pytest.raises(KeyError, match="3"):
            joblib.Parallel()(joblib.delayed(fails)(n) for n in range(200))
        assert joblib.Parallel()(joblib.delayed(abs)(x) for x in (-1, 2)) == [1, 2]


def test_it_has_a_name(shared_app):
    import nbtasks.joblib  # noqa: F401 - it registers the name

    with joblib.parallel_config("nbtasks", n_jobs=2):
        assert joblib.Parallel()(joblib.delayed(abs)(x) for x in (-1, 2)) == [1, 2]
    with joblib.parallel_config("nbtasks", app=shared_app, n_jobs=-1):
        assert joblib.effective_n_jobs() == 2


def test_an_app_registers_the_name_where_joblib_is_imported(project):
    script = project / "script.py"
    script.write_text(
        "import joblib\nfrom nbtasks import App\nwith App() as app:\n    app.start_workers(1)\n"
        "    with joblib.parallel_config('nbtasks', n_jobs=2):\n"
        "        print(joblib.Parallel()(joblib.delayed(abs)(x) for x in (-1, 2)))\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], check=True, timeout=90, capture_output=True, text=True)
    assert done.stdout == "[1, 2]\n"


def test_without_workers_it_says_so(run_folder, monkeypatch):
    monkeypatch.setattr("nbtasks.client.futures.joblibbackend._WORKER_S", 0.2)
    with (
        App(namespace="nobody") as app,
        app.joblib(),
        pytest.raises(WorkersError, match=r"there are none: start some with app.start_workers\(\)"),
    ):
        joblib.Parallel()(joblib.delayed(abs)(x) for x in (-1, 2))
    with App(namespace="nobody") as app, pytest.raises(ConfigError, match="quue"):
        app.joblib(quue="fast")
