"""What CPython tests its executors with, and joblib its backends, against ours. None of that code is here."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.cache import Missing
from tests.servers.debian import unpacked

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

#: Of CPython's: they start a script that imports the executor from concurrent.futures by its class's name. What they
#: look for is in test_futures.py.
OF_A_SCRIPT = {
    "test_hang_gh83386",
    "test_interpreter_shutdown",
    "test_submit_after_interpreter_shutdown",
}
#: Of joblib's, by their names' beginnings, and why.
OTHERWISE = {
    "test_nested_loop[loky-": "the backend is not registered in a process that knows nothing of nbtasks",
    "test_nested_loop[back_compat_backend-": "the same, in a pool of multiprocessing's",
    "test_backend_nesting_level[parallel_config-nbtasks-loky]": "the same",
    "test_backend_nesting_level[parallel_backend-nbtasks-loky]": "the same",
    "test_error_capture[": "KeyboardInterrupt of a call is a TaskError here: nobody pressed Stop in the notebook",
    "test_dispatch_multiprocessing[": "a manager's proxies work in children of their own process only",
    "test_initializer_": "the same",
    "test_nested_backend_in_sequential[": "all slots are meant where no number is said",
    "test_parallel_with_interactively_defined_functions[": "a script that does not register the backend",
    "test_parallel_with_unpicklable_functions_in_args[": "the same",
    "test_auto_memmap_on_arrays_from_generator[": "memory maps are made by joblib's own pools",
    "test_memmapping_leaks[": "the same",
}

SUITE = """
import importlib.util, sys, unittest
import cloudpickle
from nbtasks import App

spec = importlib.util.spec_from_file_location("upstream", sys.argv[1])
upstream = sys.modules["upstream"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(upstream)
cloudpickle.register_pickle_by_value(upstream)

class Ours:
    worker_count = 5

    @staticmethod
    def executor_type(max_workers=None):
        return app.executor(max_workers)

    def setUp(self):
        self.executor = app.executor()

    def tearDown(self):
        self.executor.shutdown(wait=True)
        self.executor = None

names = ("ExecutorTest", "WaitTests", "AsCompletedTests", "ExecutorShutdownTest")
kinds = [type("Ours" + name, (Ours, getattr(upstream, name), unittest.TestCase), {}) for name in names]
suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, kinds))
with App() as app:
    app.start_workers(5)
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
print(result.testsRun, *(case._testMethodName for case, _ in [*result.failures, *result.errors]))
"""

CONFTEST = """
import pytest
import nbtasks.joblib
from nbtasks import App

@pytest.fixture(scope="session", autouse=True)
def app():
    with App() as app:
        app.start_workers(2)
        yield app
"""


def cpythons_suite() -> Path:
    """Return the one file of this Python's tests of executors; Debian has it apart for its own Python's version."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    root = unpacked("testsuite", f"libpython{version}-testsuite")
    return root / f"usr/lib/python{version}/test/test_concurrent_futures.py"


def test_cpythons_own(project):
    if importlib.util.find_spec("test.support") is None:
        pytest.skip("this Python has no test.support, which CPython's tests need")
    try:
        suite = cpythons_suite()
    except Missing as missing:
        pytest.skip(str(missing))
    if not suite.exists():
        pytest.skip("CPython's tests of executors are a package here, not one file")
    script = project / "suite.py"
    script.write_text(SUITE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, suite], check=False, capture_output=True, text=True, timeout=600
    )
    number, *failed = done.stdout.split()
    assert int(number) >= 28, done.stderr
    assert set(failed) <= OF_A_SCRIPT, done.stderr


def test_joblibs_own(tmp_path):
    import joblib.test

    source = Path(joblib.test.__file__).with_name("test_parallel.py").read_text(encoding="utf-8")
    listed = re.sub(r'(PROCESS_BACKENDS = \["multiprocessing", "loky")\]', r'\1, "nbtasks"]', source)
    assert listed != source
    (tmp_path / "test_parallel_here.py").write_text(listed, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rf", "-k", "nbtasks", "-W", "ignore", "--timeout", "120", "."],
        check=False, cwd=tmp_path, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    failed = re.findall(r"^FAILED test_parallel_here.py::(.*?\])(?: - .*)?$", done.stdout, re.MULTILINE)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, (done.returncode, done.stdout, done.stderr)
    assert int(passed[1]) >= 100, done.stdout[-3000:]
    assert [name for name in failed if not name.startswith(tuple(OTHERWISE))] == [], done.stdout[-3000:]
