"""What only some brokers need is imported by the first thread that opens one; meanwhile, another one may fork."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORK_WHILE_IT_IS_IMPORTED = """
import os, signal, sys, threading
from nbtasks.broker.carriers.carriage import open_carrier
from nbtasks.broker.legs import open_leg
from tests.broker.contract.servers import Place

url, late = sys.argv[1:]
importing, forking = threading.Event(), threading.Event()

def opened():
    open_leg(Place(url, "tests")).line() if "sql" in url else open_carrier(url, "tests")

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == late and not importing.is_set():
            importing.set()
            forking.wait()

sys.meta_path.insert(0, Finder())
os.register_at_fork(before=forking.set)
thread = threading.Thread(target=opened)
thread.start()
importing.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    opened()
    os._exit(0)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("url", "late"),
    [
        ("postgresql://nowhere/app", "nbtasks.broker.postgres.pglink"),
        ("sqlite:////nowhere/broker.db", "nbtasks.broker.sql.sqllink"),
        ("mysql://nowhere/app", "nbtasks.broker.sql.mysqldialect"),
        ("mysql://nowhere/app", "pymysql.cursors"),
        ("beanstalk://nowhere", "greenstalk"),
        ("amqp://nowhere", "nbtasks.broker.carriers.amqpcarrier"),
    ],
)
def test_a_fork_while_another_thread_imports_what_a_broker_needs_hangs_nowhere(pytestconfig, url, late):
    command = [sys.executable, "-W", "ignore", "-c", FORK_WHILE_IT_IS_IMPORTED, url, late]
    done = subprocess.run(
        command, cwd=pytestconfig.rootpath, check=False, capture_output=True, text=True, timeout=110
    )
    assert (done.stdout.strip(), done.stderr) == ("0", "")
