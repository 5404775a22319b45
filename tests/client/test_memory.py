"""What the kernel keeps of what has ended: nothing large, once nobody holds it."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from pathlib import Path

import pytest

from nbtasks import GroupResult

SOON = 60.0


class Value:
    """An argument that can be looked after."""

    def __init__(self, size=0):
        self.data = b"x" * size

    def __len__(self):
        return len(self.data)


WAYS = {
    "map": lambda task, values: task.map(values),
    "starmap": lambda task, values: task.starmap([(one,) for one in values]),
    "window": lambda task, values: task.map(values, max_parallel=4),
    "labelled calls": lambda task, values: [task.apply_async((one,), quiet=False) for one in values],
    "a loop of delay": lambda task, values: [task.delay(one) for one in values],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("forgotten", [False, True], ids=["del", "forget"])
def test_arguments_go_with_the_handles(shared_app, eventually, way, forgotten):
    values = [Value() for _ in range(20)]
    alive = [weakref.ref(one) for one in values]
    handles = WAYS[way](shared_app.task(len), values)
    for handle in handles:
        handle.get(timeout=SOON)
        if forgotten:
            handle.forget()
    if forgotten and not isinstance(handles, list):
        handles.forget()
    del handles, handle, values
    eventually(
        lambda: gc.collect() >= 0 and not [one for one in alive if one() is not None], "nothing holds them"
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "forgotten", [pytest.param(False, id="del"), pytest.param(True, id="forget", marks=pytest.mark.long)]
)
def test_maps_that_have_ended_take_no_memory(shared_app, eventually, monkeypatch, forgotten):
    # Results are kept for a server that loses its last second; not for half a minute here.
    monkeypatch.setattr("nbtasks.client.engines.brokered.receiving.reconciling._LOST_S", 0.0)
    task = shared_app.task(lambda data: data[:8] + b"y" * 20_000)

    def several():
        for _ in range(2):
            group = task.map([bytes([number]) * 20_000 for number in range(100)])
            assert [len(one) for one in group.get(timeout=SOON)] == [20_008] * 100
            if forgotten:
                group.forget()

    several()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        several()
        eventually(
            lambda: gc.collect() >= 0 and tracemalloc.get_traced_memory()[0] - before < 1_000_000,
            "of 8 MB nothing is left",
        )
    finally:
        tracemalloc.stop()


def test_what_nobody_holds_is_listed_all_the_same(shared_app, eventually):
    group = shared_app.task(len).map(["a", "ab"], label="listed")
    id = group.id
    group.get(timeout=SOON)
    group.forget()
    del group

    def listed():
        return next((one for one in shared_app.batches() if one.id == id), None)

    gone = weakref.ref(listed())
    eventually(lambda: gc.collect() >= 0 and gone() is None)
    found = listed()
    assert (found.label, found.n, found.done, found.counts()["SUCCESS"]) == ("listed", 2, True, 2)
    assert found.ended_at >= found.created_at
    assert id in [one.id for one in shared_app.batches(quiet=True)]


def test_what_has_failed_can_be_tried_again_after_its_handles_went(shared_app, eventually, tmp_path):
    path = tmp_path / "there"

    def read(path):
        return Path(path).read_text()

    group = shared_app.task(read).map([str(path)], label="again")
    assert isinstance(group.get(timeout=SOON, propagate=False)[0], FileNotFoundError)
    id = group.id
    del group
    gc.collect()
    path.write_text("there")
    batch = next(one for one in shared_app.batches() if one.id == id)
    batch.retry_failed()
    assert GroupResult.of(batch).get(timeout=SOON) == ["there"]
