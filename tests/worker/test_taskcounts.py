"""Counts of tasks in memory that a child and its supervisor share."""

from __future__ import annotations

from nbtasks.worker.taskcounts import TaskCounts, added


def test_of_too_many_tasks_the_busiest_are_told_by_name():
    memory = TaskCounts()
    counts = {f"package.module.task_{n}": {"succeeded": n, "failed": 1} for n in range(2_000)}
    memory.write(counts)
    found = memory.read()
    assert found["package.module.task_1999"] == {"succeeded": 1999, "failed": 1}
    assert "package.module.task_1" not in found
    assert sum(sum(ends.values()) for ends in found.values()) == sum(range(2_000)) + 2_000


def test_what_a_dead_child_has_left_half_written_is_as_good_as_nothing():
    memory = TaskCounts()
    memory.write({"t": {"succeeded": 1}})
    memory._memory[0] |= 1
    assert memory.read() == {}
    memory.write({"t": {"succeeded": 2}})
    assert memory.read() == {"t": {"succeeded": 2}}
    memory.clear()
    assert memory.read() == {}


def test_counts_are_added_by_task_and_end():
    assert added({"a": {"ok": 1}}, {"a": {"ok": 2, "bad": 1}, "b": {"ok": 1}}) == {
        "a": {"ok": 3, "bad": 1},
        "b": {"ok": 1},
    }
