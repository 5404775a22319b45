"""A local module that stands under two names in ``sys.modules``, as the main module of a spawned process does."""

import datetime as dt
import importlib.util
import sys

SOON = 60.0


def test_a_module_under_two_names_breaks_no_submit(shared_app, tmp_path, monkeypatch):
    (tmp_path / "twice.py").write_text(
        "def double(x):\n    return 2 * x\n\n\ndef year(day):\n    return day.year\n"
    )
    spec = importlib.util.spec_from_file_location("twice", tmp_path / "twice.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "twice", module)
    monkeypatch.setitem(sys.modules, "__mp_main__", module)
    assert shared_app.task(module.double).delay(4).get(timeout=SOON) == 8
    assert shared_app.task(module.year).delay(dt.date(2026, 1, 1)).get(timeout=SOON) == 2026
