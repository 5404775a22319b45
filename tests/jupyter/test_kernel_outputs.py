"""What tasks display, in a real kernel: outputs of the notebook below the card, live, and when it is shown again."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


def cards(kernel):
    return [
        text
        for text in kernel.texts()
        if "shows" in text and ("shows: done" in text or "shows: running" in text)
    ]


SHOWS = """%%task -o shown
# shows
import time
from IPython.display import HTML, Markdown, display
print("a line")
display(HTML("<b>bold</b>"))
handle = display("first", display_id=True)
time.sleep(0.4)
handle.update(Markdown("# second"))
"""


@pytest.mark.parametrize("watched", [True, False])
def test_what_a_task_displays_is_shown_below_its_card(kernel, watched):
    ran = kernel.run(SHOWS, watched=watched)
    assert ran.status == "ok", ran.traceback
    kernel.settle(lambda: len(kernel.screen) == 3)
    card, bold, second = kernel.screen
    kernel.settle(lambda: kernel.screen[second].get("text/markdown") == "# second")
    assert kernel.screen[bold]["text/html"] == "<b>bold</b>"
    kernel.settle(
        lambda: (
            "shows: done" in kernel.screen[card]["text/plain"]
            or any("shows: done" in still["data"]["text/plain"] for still in kernel.told("still"))
            or any(view["done"] for view in kernel.views())
        )
    )
    # Shown in another cell, it is shown with all of it.
    again = kernel.run("shown", watched=watched)
    assert [data.get("text/html", data.get("text/markdown")) for data in again.data[1:]] == [
        "<b>bold</b>",
        "# second",
    ]
    assert "a line" in again.data[0]["text/html"]


def test_a_page_that_has_not_run_the_cell_asks_for_what_it_lacks(kernel):
    kernel.hello = {"keeps": True}
    ran = kernel.run(SHOWS)
    model = next(iter(ran.data[0][kind] for kind in ran.data[0] if "widget-view" in kind))["model_id"]
    # The second output has changed once.
    kernel.settle(lambda: any(note["versions"] == [1, 2] for note in kernel.told("below")))
    assert not any("outputs" in note for note in kernel.told("below"))
    kernel.press(model, {"t": "below", "places": [1, "x", 7, None]})
    kernel.settle(lambda: any("outputs" in note for note in kernel.told("below")))
    (second,) = kernel.told("below")[-1]["outputs"]
    assert second["data"] == {
        "text/plain": "<IPython.core.display.Markdown object>",
        "text/markdown": "# second",
    }
    assert second["metadata"]["nbtasks"] == {"below": model, "place": 1, "version": 2}
    # It is reloaded, says so, and hears at once what there is.
    kernel.comm_messages.clear()
    kernel.press(model, {"t": "hello", "keeps": True})
    kernel.settle(lambda: [note["versions"] for note in kernel.told("below")] == [[1, 2]])
    kernel.press(model, {"t": "below", "places": 0})
    kernel.settle(lambda: [note.get("outputs") for note in kernel.told("below")] == [None, []])


def test_cleared_outputs_make_way(kernel):
    kernel.run(
        "%%task\n# shows\nimport time\nfrom IPython.display import clear_output\n"
        "display(1); display(2)\ntime.sleep(0.5)\nclear_output(wait=True)\ndisplay('three')"
    )
    kernel.settle(lambda: kernel.texts()[1:] == ["'three'", ""])


@pytest.mark.parametrize("watched", [True, False])
def test_a_map_shows_a_gallery(kernel, watched):
    kernel.run(
        "import base64\n@__import__('nbtasks').task\ndef paint(n):\n    from IPython.display import HTML\n"
        "    display(HTML(f'<u>{n}</u>'), {'image/png': 'iVBO', 'text/plain': 'a figure'}, raw=False)\n"
        "    display({'image/png': 'iVBO', 'text/plain': 'a figure'}, raw=True)"
    )
    kernel.run("paint.map(range(3)).get()", watched=watched)

    def gallery():
        pages = [data.get("text/html", "") for data in kernel.screen.values()]
        return next((page for page in pages if "<u>2</u>" in page), "")

    kernel.settle(lambda: all(f"<u>{n}</u>" in gallery() for n in range(3)))
    assert gallery().count('src="data:image/png;base64,iVBO"') == 3
    assert len(kernel.screen) == (2 if watched else 1)


def test_a_result_that_only_jupyter_can_draw_is_drawn_by_it(kernel):
    kernel.run("class Formula:\n    def _repr_latex_(self):\n        return '$x^2$'")
    kernel.run("%%task\n# shows\nFormula()")
    kernel.settle(lambda: any(data.get("text/latex") == "$x^2$" for data in kernel.screen.values()))


def test_a_semicolon_silences_the_value(kernel):
    kernel.run("%%task -o quiet\n# shows\n{'silent': 1};")
    assert kernel.run("quiet.get()").text == "{'silent': 1}"
    kernel.run("%%task -o loud\n# shows\n{'spoken': 1}")
    kernel.run("loud.get()")
    kernel.settle(lambda: "spoken" in str(kernel.screen) or "spoken" in str(kernel.comm_messages))
    assert "silent" not in str(kernel.screen)
    assert "silent" not in str(kernel.comm_messages)
