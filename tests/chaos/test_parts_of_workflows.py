"""A client that dies when it has sent a part of a large workflow: what is there of it does not wait for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from nbtasks import App

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it is killed with a signal")

#: Submits a chord whose values fill many flushes, and dies before the one with a number.
CLIENT = """
import os, signal, sys
from nbtasks import App, chord, task
from nbtasks.broker.redis.redissubmission import RedisSubmission

most = int(sys.argv[1])
sent = RedisSubmission.submit

def submit(self, session, number, flush, eager=False):
    if number > most:
        os.kill(os.getpid(), signal.SIGKILL)
    sent(self, session, number, flush, eager)
    print("sent", number, flush=True)

RedisSubmission.submit = submit

@task
def part(n, data):
    return n

@task
def whole(numbers):
    return sum(numbers)

with App("dies", namespace="parts") as app:
    chord([part.s(n, os.urandom(20_000)) for n in range(200)], whole.s()).delay().get(timeout=60)
"""


def test_what_was_sent_in_part_ends(home, tmp_path, eventually):
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    with App("looks", namespace="parts") as app:
        app.start_workers(1)
        died = subprocess.run([sys.executable, script, "2"], check=False, env=dict(os.environ), timeout=120)
        assert died.returncode == -signal.SIGKILL
        engine = app.engine
        keys, link = engine.session.line.keys, engine.session.new_line()
        incoming = link.call("HGETALL", keys.incoming)
        assert len(incoming) == 2, "it has sent a part"
        workflow, session = (one.decode() for one in incoming)
        # The time in which the client may still come passes at once.
        link.call("PEXPIRE", keys.session(session), 1_000_000)
        link.call("ZADD", keys.fallout, 0, workflow)
        eventually(lambda: not link.call("HGETALL", keys.incoming), "somebody has seen to it")
        left = [engine.adopt(one) for one in engine.newest(10)]
        assert left
        assert {batch.state(index) for batch in left for index in range(batch.n)} <= {"REVOKED", "SUCCESS"}
        body = next(batch for batch in left if batch.name.endswith("whole"))
        [handle] = app.attach(body.id)
        assert "submit the workflow anew" in str(handle.result)
        eventually(lambda: not link.call("KEYS", f"{keys.root}p:*"), "nothing is parked any more")


@pytest.mark.long
def test_what_was_sent_whole_is_left_alone(home, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    with App("looks", namespace="parts") as app:
        app.start_workers(1)
        done = subprocess.run([sys.executable, script, "1000"], check=False, timeout=120, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(b"sent") > 2
        link = app.engine.session.new_line()
        assert not link.call("HGETALL", app.engine.session.line.keys.incoming)
