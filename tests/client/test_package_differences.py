"""A worker whose packages are other versions: shown and warned of, and calls still run there."""

from __future__ import annotations

import warnings

import pytest


@pytest.fixture
def old_numpy(tmp_path):
    """A folder that says, before the real one, that an old numpy is installed."""
    pytest.importorskip("numpy")
    folder = tmp_path / "packages"
    (folder / "numpy-1.2.3.dist-info").mkdir(parents=True)
    (folder / "numpy-1.2.3.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: numpy\nVersion: 1.2.3\n"
    )
    return folder


def test_it_is_shown_and_warned_of_once_and_the_calls_run(idle_app, old_numpy, eventually):
    import numpy as np

    idle_app.start_workers(1, name="old", env={"PYTHONPATH": str(old_numpy)})
    (worker,) = eventually(idle_app.workers, "it is on the list")
    assert worker.matches
    assert worker.differences == (f"numpy 1.2.3 (here {np.__version__})",)

    double = idle_app.task(lambda n: 2 * n)
    with pytest.warns(UserWarning, match=r"worker old has numpy 1\.2\.3 \(here .*values of these packages"):
        assert double.map(range(3)).get(timeout=20) == [0, 2, 4]
    idle_app.session.roster._taking.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert double.map(range(3)).get(timeout=20) == [0, 2, 4]


def test_workers_of_this_machine_do_not_differ(app):
    assert [worker.differences for worker in app.workers()] == [()]
    assert "cloudpickle" in app.workers()[0].packages


def test_calls_that_no_worker_takes_are_known(app):
    from nbtasks import App
    from nbtasks.wire.signing import encode_key, key_id, new_key

    key = new_key()
    with App(broker=app.connection.url, key=encode_key(key)) as other:
        other.task(lambda: 1).delay()
        other.session.flush()
        assert other.stranded() == []
        (found,) = app.stranded()
        assert (found.queue, found.entries, found.needs) == ("default", 1, f"key {key_id(key)}")
        other.start_workers(1)
        assert app.stranded() == []
