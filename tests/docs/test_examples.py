"""The examples run as they stand, and end well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
#: What each says at its end.
SAID = {
    "arrays": "32 MB out and 32 MB back",
    "click_counter": "300 clicks, added up in",
    "coroutines": "the last answer is 998,001",
    "dask_arrays": "found by the workers: True",
    "progress": "stopped after",
    "retries": "4   SUCCESS  retries 2  'page 4'",
    "scikit_learn": "best of 6:",
    "word_count": "self",
    "xarray_chunks": "12 months, the warmest is number 7",
}


def test_all_are_named() -> None:
    """Each is in the list for readers, and is run below."""
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == set(SAID)
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert not [name for name in names if f"[{name}.py]({name}.py)" not in listed]


#: What an example needs that `make test` does not install, and `make test-all` does.
NEEDS = {
    "dask_arrays": ["dask"],
    "scikit_learn": ["sklearn"],
    "xarray_chunks": ["dask", "xarray"],
}
#: The others run in the long legs.
SHORT = ("click_counter", "retries", "word_count")


@pytest.mark.parametrize(
    "name", [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in sorted(SAID)]
)
def test_it_runs(name: str, project: Path) -> None:
    """As a user starts it, from another folder."""
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module)
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"],
        cwd=project, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert SAID[name] in done.stdout
