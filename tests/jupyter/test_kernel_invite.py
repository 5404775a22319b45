"""``%workers invite`` in a real kernel, and a worker that takes it at its word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel


@pytest.fixture
def joining(bare_kernel, tmp_path):
    """``joining(line)`` runs a line in a shell with another home and no state."""
    folder = Path(bare_kernel.value("__import__('os').environ['NBTASKS_HOME']").strip("'")) / "elsewhere"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {"HOME": str(tmp_path), "PATH": path, "NBTASKS_HOME": str(folder)}
    started = []

    def run(line: str) -> None:
        started.append(
            subprocess.Popen(
                ["bash", "-c", line],
                cwd=tmp_path,
                env=environment,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    yield run
    for process in started:
        os.killpg(process.pid, 15)
        process.wait(30)


def test_a_worker_on_another_machine_joins_and_takes_part(kernel, joining, tmp_path):
    ran = kernel.run("%workers invite")
    assert "cannot reach the embedded server" in ran.evalue
    assert "`%workers invite --listen`" in ran.evalue

    ran = kernel.run("%workers invite --listen 127.0.0.1")
    assert ran.status == "ok", ran.stderr
    folder = Path(kernel.value("__import__('os').getcwd()").strip("'"))
    file = folder / "nbtasks-connection.json"
    assert "can run code on all workers and in this notebook" in ran.stdout
    copy = tmp_path / file.name
    copy.touch(mode=0o600)
    copy.write_text(file.read_text())
    (line,) = [text.strip() for text in ran.stdout.splitlines() if text.strip().startswith("nbtasks worker")]
    joining(f"{line} -c 1 -n there")
    panel = kernel.settle(
        lambda: (text := kernel.run("%workers").data[0]["text/plain"]) and "there " in text and text,
        within=60,
    )
    assert panel.splitlines()[0].endswith("of 3 slots busy")
    assert sum(" child " not in line for line in panel.splitlines()) == 4

    kernel.run(
        "%%task -o homes for n in range(12)\nimport os, time\ntime.sleep(0.3)\nos.environ['NBTASKS_HOME']"
    )
    assert kernel.value("sorted({home.endswith('elsewhere') for home in homes.get()})") == "[False, True]"

    ran = kernel.run("%workers invite --show")
    assert " NBTASKS_BROKER='rediss://" in ran.stdout
    assert "clear this output before you save" in ran.stdout
    assert kernel.run("%workers uninvite").stdout.startswith("The server listens no more")
    assert "does not listen" in kernel.run("%workers uninvite").stdout
    assert "write HOST:PORT" in kernel.run("%workers invite --listen a:b").evalue
    assert "unrecognized arguments" in kernel.run("%workers invite --lissen").stderr
