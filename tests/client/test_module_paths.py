"""What code imports from modules of Celery's name."""

from __future__ import annotations

import subprocess
import sys

#: What Celery has in each of them, and code imports from there.
PATHS = {
    "states": "PENDING RECEIVED STARTED SUCCESS FAILURE RETRY REVOKED REJECTED IGNORED READY_STATES UNREADY_STATES "
    "EXCEPTION_STATES PROPAGATE_STATES ALL_STATES",
    "result": "AsyncResult GroupResult ResultSet EagerResult",
    "canvas": "Signature chain chord chunks group maybe_signature signature subtask xmap xstarmap",
    "exceptions": "Ignore Reject Retry TimeoutError SoftTimeLimitExceeded MaxRetriesExceededError",
    "signals": "task_prerun task_postrun worker_process_init",
}


def test_they_can_be_imported_in_each_way_and_have_the_words_of_the_package():
    lines = []
    for name, words in PATHS.items():
        lines += [f"import nbtasks.{name}", f"from nbtasks import {name}"]
        lines += [f"from nbtasks.{name} import {', '.join(words.split())}"]
    lines += [f"assert nbtasks.{word} is {word}" for word in f"{PATHS['result']} {PATHS['canvas']}".split()]
    lines += ["print(nbtasks.states.SUCCESS)"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.stderr, done.stdout) == ("", "SUCCESS\n")
