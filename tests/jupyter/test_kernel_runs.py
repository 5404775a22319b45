"""Many runs in one cell, and handles that are shown together: one list, live and saved."""

from __future__ import annotations

import pytest

from .conftest import WIDGET

pytestmark = pytest.mark.kernel

SETUP = """
import time, nbtasks
@nbtasks.task
def work(n):
    if n == 3:
        raise ValueError('three')
    print('working', n)
    return n
"""
MAPS = "gs = [work.map(range(n), label=f'map {n}') for n in range(1, 9)]"


@pytest.fixture
def ready(kernel):
    kernel.run(SETUP)
    return kernel


def told(kernel, key="head"):
    return [content[key] for content in kernel.told("runs")]


def model_of(kernel, ran):
    return next(
        kernel.screen[name][WIDGET]["model_id"] for name in ran.shown if WIDGET in kernel.screen[name]
    )


def test_a_few_maps_have_cards_and_more_have_one_list_in_the_place_of_the_first(ready):
    ran = ready.run("few = [work.map([1], label=f'card {n}') for n in range(3)]")
    assert len(ran.shown) == 3
    ready.settle(lambda: sum("done" in text for text in ready.texts()) == 3)
    ready.screen.clear()

    ran = ready.run(MAPS)
    assert len(ran.shown) == 3
    ready.settle(
        lambda: told(ready) and told(ready)[-1]["done"] and told(ready)[-1]["title"].startswith("8 ")
    )
    head = told(ready)[-1]
    assert head["title"] == "8 runs, 36 calls"
    assert head["state"] == "done, 5 of 36 failed"
    assert [ready.screen[name]["text/plain"] for name in ran.shown[1:]] == ["", ""]
    ready.settle(lambda: "8 runs" in ready.texts()[0] and WIDGET not in ready.screen[ran.shown[0]])
    lines = ready.texts()[0].splitlines()
    assert lines[0].startswith("8 runs, 36 calls: done, 5 of 36 failed, ")
    assert lines[1].startswith("  map 1  1 of 1 ended, ")
    assert "map 4  4 of 4 ended, 1 failed" in lines[4]
    assert ready.screen[ran.shown[0]]["text/html"].count("map ") == 8


def test_a_row_opens_to_its_card_and_the_buttons_act_on_all(ready):
    ready.hello = {"keeps": True}
    ran = ready.run(MAPS)
    ready.settle(
        lambda: told(ready) and told(ready)[-1]["done"] and told(ready)[-1]["title"].startswith("8 ")
    )
    model = model_of(ready, ran)
    ready.press(model, {"t": "open", "key": "3"})
    ready.settle(lambda: ready.told("opened"))
    view = ready.told("opened")[-1]["state"]["head"]["view"]
    assert (view["title"], view["shown_state"]) == ("map 4", "done, 1 of 4 failed")
    ready.press(model, {"t": "of", "key": "3", "m": {"t": "call", "index": 2}})
    ready.settle(lambda: any(of["m"]["k"] == "call" for of in ready.told("of")))
    call = next(of["m"] for of in ready.told("of") if of["m"]["k"] == "call")
    assert "working 2" in str(call["parts"])
    ready.press(model, {"t": "open", "key": "99"})
    ready.press(model, {"t": "of", "key": "7", "m": {"t": "call", "index": 2}})
    ready.press(model, {"t": "shut", "key": "3"})
    ready.press(model, {"t": "retry"})
    ready.settle(lambda: ready.told("said"))
    assert ready.told("said")[-1]["text"] == "The calls that had failed run again: 5 calls."
    ready.settle(lambda: told(ready)[-1]["done"])


def test_cancel_all_stops_all(ready):
    ready.run("@nbtasks.task\ndef wait(n):\n    time.sleep(60)")
    ran = ready.run("ws = [wait.map(range(2)) for _ in range(5)]")
    model = model_of(ready, ran)
    ready.press(model, {"t": "cancel"})
    ready.settle(
        lambda: told(ready) and told(ready)[-1]["done"] and told(ready)[-1]["title"].startswith("5 ")
    )
    assert told(ready)[-1]["state"] == "cancelled"


def test_handles_are_shown_together_once_a_cell_and_single_calls_as_one_run(ready):
    ran = ready.run("calls = [work.delay(n) for n in range(3)]\ncalls")
    assert ran.result is None
    assert len(ran.shown) == 1
    ready.settle(lambda: "work: done, 3 calls" in ready.texts()[0])
    ran = ready.run("runs = nbtasks.progress([*calls, work.map([1, 2], quiet=True)])\nruns")
    assert len(ran.shown) == 1
    ready.settle(lambda: "2 runs, 5 calls: done" in ready.screen[ran.shown[0]]["text/plain"])
    assert len(ready.run("runs").shown) == 1
    assert len(ready.run("calls[0].show(); calls[0]").shown) == 1
    assert ready.run("[calls[0].get(), 2]").text == "[0, 2]"
    assert ready.run("work.delay(2).get(progress=True)").text == "2"


def test_nobody_watches_and_the_list_is_saved_as_it_ended(ready):
    ran = ready.run(f"{MAPS}\n[g.get(propagate=False) for g in gs][0]", watched=False)
    text = ready.screen[ran.shown[0]]["text/plain"]
    assert text.startswith("8 runs, 36 calls: done, 5 of 36 failed")
    assert WIDGET not in ready.screen[ran.shown[0]]
    ran = ready.run("nbtasks.progress(work.delay(n) for n in range(2))", watched=False)
    ran = ready.run("r = nbtasks.progress([work.delay(1), *gs])\nr.until_ready(60)", watched=False)
    ready.settle(lambda: "9 runs, 37 calls: done" in ready.screen[ran.shown[0]]["text/plain"])


RETRY = """
import pathlib
fixed = str(pathlib.Path('fixed').resolve())
pathlib.Path(fixed).unlink(missing_ok=True)
@nbtasks.task
def mended(n):
    import pathlib
    if n == 1 and not pathlib.Path(fixed).exists():
        raise OSError('not yet')
    return n
ms = [mended.map(range(3), label=f'again {n}') for n in range(4)]
for m in ms:
    m.until_ready(60)
"""


@pytest.mark.parametrize("watched", [True, False])
def test_an_ended_list_follows_what_code_submits_again(ready, watched):
    ran = ready.run(RETRY, watched=watched)
    assert ran.status == "ok"
    place = ran.shown[0]
    ready.settle(lambda: "4 runs, 12 calls: done, 4 of 12 failed" in ready.screen[place]["text/plain"])
    # The list is over; nothing is told any more.
    ready.run("pathlib.Path(fixed).touch()")
    ready.run("ms[1].retry_failed(); ms[1].until_ready(60)", watched=watched)
    ready.settle(lambda: "done, 3 of 12 failed" in ready.screen[place]["text/plain"])
    assert "again 1  3 of 3 ended, " in ready.screen[place]["text/plain"]
    assert ready.screen[place]["text/plain"].count("1 failed") == 3
