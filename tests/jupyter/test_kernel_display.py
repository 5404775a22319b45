"""What a kernel shows: one card a run, kept up to date, replaced by its saved form at the end."""

import base64
import io
import re

import pytest

from .conftest import WIDGET

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def kernel_with_task(kernel):
    kernel.run(
        "from nbtasks import task\nimport time\n@task\ndef nap(seconds):\n"
        "    print('asleep for', seconds)\n    time.sleep(seconds)\n    return seconds"
    )
    return kernel


def cards(kernel):
    return [text.partition("\n")[0] for text in kernel.texts()]


def test_a_task_cell_shows_one_card_that_ends_as_html(kernel, tmp_path):
    # It does not end before its card is there, which takes its time the first time.
    go = tmp_path / "go"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.01)"
    ran = kernel.run(f"%%task\n# once\n{wait}\nprint('hello')\n{{'answer': 42}}")
    assert len(ran.shown) == 1
    assert sorted(ran.data[0]) == [WIDGET, "text/html", "text/plain"]
    assert ran.result is None
    go.touch()
    kernel.settle(lambda: "once: done" in "".join(cards(kernel)))
    (last,) = kernel.screen.values()
    assert sorted(last) == ["text/html", "text/plain"]
    assert "hello" in last["text/html"]
    assert "{&#x27;answer&#x27;: 42}" in last["text/html"]


def test_a_map_shows_a_card_even_when_it_is_assigned(kernel_with_task):
    kernel = kernel_with_task
    assert len(kernel.run("g = nap.map([0.3, 0.1])").shown) == 1
    assert len(kernel.run("g2 = nap.map([0.1], quiet=True)").shown) == 0
    kernel.settle(lambda: any("nap: done" in text for text in cards(kernel)))
    assert kernel.value("g.get()") == "[0.3, 0.1]"


def test_a_map_at_the_end_of_a_cell_shows_one_card(kernel_with_task):
    ran = kernel_with_task.run("nap.map([0.3, 0.1])")
    assert len(ran.shown) == 1
    assert ran.result is None


def test_delay_shows_nothing_until_it_is_shown(kernel_with_task):
    kernel = kernel_with_task
    assert kernel.run("r = nap.delay(0.5)").shown == []
    assert len(kernel.run("r").shown) == 1
    kernel.settle(lambda: any("nap: done" in text for text in cards(kernel)))
    # Its card lives as long as the kernel does.
    ran = kernel.run("r")
    assert sorted(ran.data[0]) == [WIDGET, "text/html", "text/plain"]
    kernel.press(ran.data[0][WIDGET]["model_id"], {"t": "call", "index": 0})
    kernel.settle(lambda: [call["state"] for call in kernel.told("call")] == ["SUCCESS"])


def test_a_handle_shown_twice_lives_and_ends_in_both_places(kernel_with_task):
    kernel = kernel_with_task
    kernel.run("r = nap.delay(1)")
    first, second = kernel.run("r").shown + kernel.run("r").shown
    kernel.settle(lambda: [": done" in text for text in cards(kernel)] == [True, True])
    assert set(kernel.screen) == {first, second}


def test_a_call_of_a_map_is_shown_as_text(kernel_with_task):
    kernel_with_task.run("g = nap.map([0.01], quiet=True); g.get()")
    ran = kernel_with_task.run("g[0]")
    assert ran.shown == []
    assert ran.text.startswith("<AsyncResult")


def test_quiet_shows_no_card(kernel):
    ran = kernel.run("%%task --quiet -o quiet\n1")
    assert ran.shown == []
    assert ran.result is None
    assert len(kernel.run("quiet").shown) == 1


def test_the_value_of_block_is_not_shown_twice(kernel):
    ran = kernel.run("%%task -b\n'the value'")
    assert ran.text == "'the value'"
    kernel.settle(lambda: any(": done" in text for text in cards(kernel)))
    assert all("the value" not in data["text/html"] for data in kernel.screen.values())


def test_results_are_previewed_as_the_notebook_shows_them(kernel):
    kernel.run("class Rich:\n    def _repr_html_(self):\n        return '<em>rich</em>'")
    kernel.run("class Broken:\n    def __repr__(self):\n        raise OSError\n    _repr_html_ = __repr__")
    kernel.run("%%task\n# rich\nRich()")
    kernel.run("%%task\n# broken\nBroken()")
    kernel.run("%%task\n# big\n'x' * 500_000")
    kernel.settle(lambda: sum(": done" in text for text in cards(kernel)) == 3)
    rich, broken, big = (data["text/html"] for data in kernel.screen.values())
    assert "<em>rich</em>" in rich
    assert "its repr raised OSError" in broken
    assert len(big) < 20_000


LARGE = """%%task
# large
import random
from PIL import Image
Image.frombytes("RGB", (1200, 900), random.Random(0).randbytes(1200 * 900 * 3))"""


def test_a_large_picture_is_shown_small(kernel):
    image = pytest.importorskip("PIL.Image")
    kernel.run(LARGE)
    kernel.settle(lambda: any("large: done" in text for text in cards(kernel)))
    (card,) = kernel.screen.values()
    shown = re.findall('data:image/png;base64,([^"]*)', card["text/html"])
    sizes = [image.open(io.BytesIO(base64.b64decode(one))).size for one in shown]
    assert (240, 180) in sizes


FIGURE = """
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
fig, ax = plt.subplots(figsize=(2, 1))
ax.set_title("of a task")
"""


def test_a_figure_is_shown_in_its_card_and_nowhere_else(kernel):
    kernel.run("%matplotlib inline")
    kernel.run(f"%%task -o a\n# figure\n{FIGURE}\nfig")
    kernel.settle(lambda: any("figure: done" in text for text in cards(kernel)))
    (card,) = kernel.screen.values()
    assert "data:image/png;base64," in card["text/html"]
    assert kernel.value("__import__('sys').modules['matplotlib.pyplot'].get_fignums()") == "[]"
    ran = kernel.run("print('another cell')")
    assert (ran.shown, ran.text) == ([], "another cell\n") or ran.shown == []
    ran = kernel.run("figs = [a.get(), a.get()]; len(figs)")
    assert (ran.text, ran.shown) == ("2", [])
    assert kernel.value(
        "(figs[0].axes[0].get_title(), len(plt.get_fignums()) if 'plt' in globals() else 0)"
    ) == ("('of a task', 0)")
    # Who asks for one sees it, in a kernel that has never made a figure, too.
    kernel.run("%unload_ext nbtasks")
    kernel.run("for one in get_ipython().display_formatter.formatters.values(): one.pop(type(figs[0]), None)")
    assert "image/png" not in kernel.run("figs[0]").result
    kernel.run("%load_ext nbtasks")
    assert kernel.run("figs[0]").result["image/png"].startswith("iVBO")
    # The next call begins with no figure.
    assert (
        kernel.value(
            "__import__('nbtasks').task(lambda: __import__('matplotlib.pyplot').pyplot.get_fignums())"
            ".delay().get()"
        )
        == "[]"
    )


LABELS = {
    "a huge int": "10**6000",
    "raises": "Evil(OSError)",
    "exits": "Evil(SystemExit)",
    "interrupts": "Evil(KeyboardInterrupt)",
    "is no text": "type('NoText', (), {'__repr__': lambda self: 5})()",
    "is long": "type('Long', (), {'__repr__': lambda self: 'x' * 10**8})()",
    "prints": "type('Loud', (), {'__repr__': lambda self: print('loud') or 'loud'})()",
    "never ends": "type('Endless', (), {'__repr__': lambda self: exec('while True: pass')})()",
}


@pytest.mark.parametrize("watched", [True, False])
def test_no_argument_of_a_failing_map_reaches_a_later_cell(kernel, watched):
    """Whatever asking it for its text does."""
    kernel.run(
        "class Evil:\n    def __init__(self, error): self.error = error\n"
        "    def __repr__(self): raise self.error\n"
        f"evils = [{', '.join(LABELS.values())}]"
    )
    ran = kernel.run("%%task -o group for n in evils\n1 / 0", watched=watched)
    assert ran.status == ("ok" if watched else "error")
    kernel.settle(lambda: any("failed, 8 calls" in text for text in cards(kernel)))
    ran = kernel.run("'a later cell'", watched=watched)
    assert (ran.text, ran.shown) == ("'a later cell'", [])
    assert kernel.run("%tasks", watched=watched).status == "ok"
    ran = kernel.run("group.get()", watched=watched)
    assert ran.ename == "ZeroDivisionError"


@pytest.mark.parametrize(
    "what", [pytest.param(one, marks=[pytest.mark.long] if one == "never ends" else []) for one in LABELS]
)
def test_no_result_reaches_a_later_cell(kernel, what):
    kernel.run(
        "class Evil:\n    def __init__(self, error): self.error = error\n"
        "    def __repr__(self): raise self.error"
    )
    ran = kernel.run(f"%%task\n# evil\n{LABELS[what]}")
    kernel.settle(lambda: any("evil: done" in text for text in cards(kernel)))
    ran = kernel.run("'a later cell'")
    assert (ran.text, ran.shown) == ("'a later cell'", [])
    (card,) = (data["text/html"] for data in kernel.screen.values())
    assert len(card) < 30_000


def test_a_pending_card_says_why(kernel):
    kernel.run("%%task -q nobody -o lonely\n# lonely\n1")
    kernel.settle(
        lambda: any("%workers start -q nobody" in (view["reason"] or "") for view in kernel.views())
    )
    kernel.run("%tasks cancel lonely")
    kernel.settle(lambda: any("lonely: cancelled" in text for text in cards(kernel)))


def test_the_card_is_kept_up_to_date_while_a_cell_blocks(kernel_with_task):
    kernel = kernel_with_task
    kernel.run("g = nap.map([0.3] * 8)\ng.get()")
    assert len(set(kernel.numbers("SUCCESS"))) > 2


def test_buttons_are_handled_while_the_kernel_is_idle(kernel_with_task):
    kernel = kernel_with_task
    ran = kernel.run("g = nap.map([30] * 4)")
    kernel.press(ran.data[0][WIDGET]["model_id"], {"t": "cancel"})
    kernel.settle(lambda: any("nap: cancelled" in text for text in cards(kernel)))


def test_a_page_that_keeps_the_file_gets_the_saved_form_and_its_widget_stays(kernel_with_task):
    kernel = kernel_with_task
    kernel.hello = {"keeps": True}
    ran = kernel.run("g = nap.map([0.1] * 4)")
    kernel.settle(lambda: any("nap: done" in still["data"]["text/plain"] for still in kernel.told("still")))
    assert [WIDGET in data for _, data in kernel.updates] == [True]
    # Whoever opens the notebook after the end gets the same form once more.
    before = kernel.told("still")[-1]
    kernel.comm_messages.clear()
    kernel.press(ran.data[0][WIDGET]["model_id"], {"t": "hello", "keeps": True})
    kernel.settle(lambda: kernel.told("still"))
    assert kernel.told("still") == [before]


def test_the_buttons_of_an_ended_card_go_on(kernel):
    kernel.hello = {"keeps": True}
    ran = kernel.run("%%task -o h for n in [1, 0]\n# fractions\n1 / n")
    kernel.settle(
        lambda: any("1 of 2 failed" in still["data"]["text/plain"] for still in kernel.told("still"))
    )
    model = ran.data[0][WIDGET]["model_id"]
    kernel.press(model, {"t": "label", "index": 1})
    kernel.settle(lambda: [label["text"] for label in kernel.told("label")] == ["n=0"])
    before = len(kernel.views())
    kernel.press(model, {"t": "retry"})
    kernel.settle(lambda: kernel.told("retried"))
    kernel.settle(
        lambda: any(view["done"] and "1 failed" in view["pace"] for view in kernel.views()[before:])
    )
    kernel.press(model, {"t": "call", "index": 1})
    kernel.settle(lambda: kernel.told("call"))
    (said,) = kernel.told("call")
    assert ["attempt", "2"] in said["facts"]
    earlier = next(part for part in said["parts"] if part["title"] == "Earlier attempts")
    assert "ZeroDivisionError: division by zero" in earlier["pieces"][0][1]


def ticks(kernel):
    return kernel.told("tick")


def test_of_more_ended_cards_than_live_on_the_oldest_is_left_in_its_saved_form(kernel):
    kernel.hello = {"keeps": True}
    kernel.run(
        "from nbtasks.jupyter.card import display; most = display._KEPT_CARDS; display._KEPT_CARDS = 1"
    )
    for _ in range(2):
        kernel.run("%%task\n1")
    kernel.settle(lambda: kernel.told("retire"))
    kernel.run("display._KEPT_CARDS = most")


@pytest.mark.long
def test_a_page_that_says_nothing_gets_snapshots_until_it_does(kernel_with_task):
    kernel = kernel_with_task
    kernel.hello = None
    ran = kernel.run("g = nap.map([30] * 4)")
    kernel.settle(lambda: len(kernel.updates) > 2)
    (shown,) = kernel.screen.values()
    assert sorted(shown) == ["text/html", "text/plain"]
    assert "This page shows no widgets" in shown["text/html"]
    kernel.press(ran.data[0][WIDGET]["model_id"], {"t": "hello", "keeps": False})
    kernel.settle(lambda: all(WIDGET in data for data in kernel.screen.values()))
    kernel.run("g.revoke()")
    kernel.settle(lambda: ": cancelled" in cards(kernel)[0])


def test_a_page_that_says_nothing_has_the_end_all_the_same(kernel_with_task):
    kernel = kernel_with_task
    kernel.hello = None
    kernel.run("g = nap.map([0.01])")
    kernel.settle(lambda: "nap: done" in cards(kernel)[0])


def test_while_nothing_happens_the_page_hears_that_the_kernel_lives(kernel_with_task):
    kernel = kernel_with_task
    kernel.run("g = nap.delay(30)")
    kernel.run("g")
    kernel.settle(lambda: kernel.told("beat"))
    kernel.run("g.revoke(terminate=True)")
    kernel.settle(lambda: ": cancelled" in cards(kernel)[0])


def test_capture_gets_a_snapshot_and_no_widget(kernel_with_task):
    ran = kernel_with_task.run("%%capture caught\ng = nap.map([0.05])")
    assert ran.shown == []
    assert kernel_with_task.value("sorted(caught.outputs[0].data)") == "['text/html', 'text/plain']"


def test_a_submit_of_a_thread_shows_no_card(kernel_with_task):
    ran = kernel_with_task.run(
        "import threading\nt = threading.Thread(target=lambda: nap.map([0.01])); t.start(); t.join()"
    )
    assert (ran.status, ran.shown) == ("ok", [])


# --- nobody watches -----------------------------------------------------------------------------------------


def test_unwatched_a_task_cell_waits_and_its_card_is_final(kernel):
    ran = kernel.run("%%task -o h\n# waited\nimport time\ntime.sleep(0.5)\n5", watched=False)
    assert ran.status == "ok"
    assert sorted(ran.data[0]) == ["text/html", "text/plain"]
    assert "waited: done" in cards(kernel)[0]
    assert kernel.value("(h.state, type(h).__name__)") == "('SUCCESS', 'AsyncResult')"
    assert not kernel.comm_messages


def test_unwatched_a_failure_stops_the_notebook(kernel):
    ran = kernel.run("%%task for n in [1, 0]\n1 / n", watched=False)
    assert (ran.status, ran.ename) == ("error", "ZeroDivisionError")
    assert "1 of 2 failed" in cards(kernel)[0]
    assert kernel.run("%%task --on-error keep for n in [1, 0]\n1 / n", watched=False).status == "ok"


def test_unwatched_a_maps_card_is_finished_by_whoever_waits(kernel_with_task):
    kernel = kernel_with_task
    kernel.run("g = nap.map([0.4] * 3)", watched=False)
    assert "0 of 3 done" in cards(kernel)[0]
    kernel.run("g.get()", watched=False)
    assert "nap: done" in cards(kernel)[0]


def test_unwatched_noblock_does_not_wait_and_later_cells_bring_it_up_to_date(kernel_with_task):
    kernel = kernel_with_task
    kernel.run("%%task -a -o later\n# later\nimport time\ntime.sleep(0.5)", watched=False)
    assert ": done" not in cards(kernel)[0]
    kernel.run("later.until_ready(); None", watched=False)
    assert "later: done" in cards(kernel)[0]


def test_the_variable_decides_who_watches(kernel):
    kernel.run("import os; os.environ['NBTASKS_INTERACTIVE'] = '0'")
    ran = kernel.run("%%task\n# by hand\n5")
    assert WIDGET not in ran.data[0]
    assert "by hand: done" in cards(kernel)[0]
    kernel.run("os.environ['NBTASKS_INTERACTIVE'] = '1'")
    ran = kernel.run("%%task\nimport time\ntime.sleep(0.3)", watched=False)
    assert WIDGET in ran.data[0]
    kernel.run("del os.environ['NBTASKS_INTERACTIVE']")


def test_without_anywidget_html_is_replaced_and_says_how_to_get_widgets(kernel_with_task):
    kernel = kernel_with_task
    kernel.run("import sys; real = sys.modules.get('anywidget'); sys.modules['anywidget'] = None")
    kernel.run("from nbtasks.jupyter import liveoutput; liveoutput.live_widget_class.cache_clear()")
    kernel.run("from nbtasks.jupyter.card import card; card.widget_class.cache_clear()")
    ran = kernel.run("g = nap.map([0.7] * 4)")
    assert sorted(ran.data[0]) == ["text/html", "text/plain"]
    assert "pip install" in ran.data[0]["text/html"]
    kernel.settle(lambda: "nap: done" in cards(kernel)[0])
    assert len(kernel.updates) > 2
    kernel.run("sys.modules['anywidget'] = real")


def test_retry_on_the_card_of_a_workflow_has_it_go_on(kernel, tmp_path):
    mark = tmp_path / "there"
    ran = kernel.run(
        "import pathlib, nbtasks\n@nbtasks.task\ndef needs(path):\n    return len(pathlib.Path(path).read_text())\n"
        "@nbtasks.task\ndef more(n):\n    return n + 1\n"
        f"flow = (needs.s({str(mark)!r}) | more.s() | more.s()).delay(); flow.until_ready(60); flow"
    )
    mark.write_text("abc")
    model = ran.data[0][WIDGET]["model_id"]
    kernel.press(model, {"t": "hello", "keeps": True})
    kernel.press(model, {"t": "retry"})
    kernel.settle(lambda: kernel.value("flow.state") == "'SUCCESS'")
    assert kernel.value("flow.result") == "5"
    assert kernel.value("[one.state for one in flow.steps]") == str(["SUCCESS"] * 3)
