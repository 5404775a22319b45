"""How many CPUs a process may use."""

from __future__ import annotations

import os

import pytest

from nbtasks.core.cpus import usable_cpus


def system(folder, cgroup, files):
    """Make a ``/proc`` and a ``/sys`` in a folder."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        file = folder / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("cgroup", "files", "most"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/job/step\n", {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "50000 100000\n"}, 1),
        ("0::/not/seen/here\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("0::/\n", {}, None),
        ("", {}, None),
        (
            "4:cpu,cpuacct:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "90000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            1,
        ),
        ("4:cpu,cpuacct:/a\n", {"cpu,cpuacct/cpu.cfs_quota_us": "1000\n"}, 1),
        ("4:cpu:/a\n3:memory:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1\n", "memory/cpu.max": "1 100000"}, None),
    ],
)
def test_a_quota_counts(tmp_path, monkeypatch, cgroup, files, most):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    assert usable_cpus(system(tmp_path, cgroup, files)) == (most or 8)


def test_the_affinity_counts(tmp_path):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has none")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cpus() == usable_cpus(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)
