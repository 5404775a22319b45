"""How packages differ between two machines."""

from __future__ import annotations

from nbtasks.core.packages import differences, in_use, versions


def test_what_is_installed_is_known_without_an_import():
    assert {"nbtasks", "cloudpickle"} <= set(versions())
    assert {"nbtasks", "cloudpickle"} <= set(in_use()) <= set(versions())


def test_only_what_is_in_use_here_is_compared_and_not_its_patch_release():
    here = {"nbtasks": "0.2.1", "numpy": "2.1.0", "pandas": "2.2.3"}
    assert differences(here, here) == ()
    assert differences({"nbtasks": "0.2.9", "numpy": "2.1.3", "pandas": "2.2.0", "torch": "2.0"}, here) == ()
    assert differences({"nbtasks": "0.1.0", "numpy": "1.26.4"}, here) == (
        "nbtasks 0.1.0 (here 0.2.1)",
        "numpy 1.26.4 (here 2.1.0)",
        "no pandas (here 2.2.3)",
    )
