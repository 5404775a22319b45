"""What calls display: the forms that a notebook would show, kept with the call, bounded, and shown in its order."""

from __future__ import annotations

import base64

import pytest

SOON = 120.0


def kinds(result):
    return [sorted(output.data) for output in result.outputs]


def test_what_is_displayed_comes_with_its_forms(shared_app):
    class Table:
        def __repr__(self):
            return "a table"

        def _repr_html_(self):
            return "<table></table>"

        def _repr_png_(self):
            return b"\x89PNG"

        def _repr_latex_(self):
            raise ValueError

    @shared_app.task
    def show():
        print("before")
        display(Table(), 7)  # noqa: F821 # a builtin there
        display({"text/plain": "raw", "application/x+json": {"a": [1]}, "bad": 1}, raw=True)  # noqa: F821

    result = show.delay()
    result.get(timeout=SOON)
    table, seven, raw = result.outputs
    assert table.data == {
        "text/html": "<table></table>",
        "image/png": base64.b64encode(b"\x89PNG").decode(),
        "text/plain": "a table",
    }
    assert seven.data == {"text/plain": "7"}
    assert raw.data == {"text/plain": "raw", "application/x+json": {"a": [1]}}
    assert (result.stdout, result.stderr) == ("before\n", "")
    assert table._repr_mimebundle_()[0]["text/html"] == "<table></table>"


def test_ipython_in_a_task_displays_to_the_call(shared_app):
    @shared_app.task
    def show():
        from IPython.display import HTML, DisplayHandle, Markdown, display, update_display

        display(HTML("<b>one</b>"), Markdown("*two*"))
        handle = display("three", display_id="third", metadata={"a": 1})
        handle.update(HTML("<i>3</i>"))
        update_display("nowhere", display_id="fourth")
        return isinstance(handle, DisplayHandle)

    result = show.delay()
    assert result.get(timeout=SOON)
    assert kinds(result) == [
        ["text/html", "text/plain"],
        ["text/markdown", "text/plain"],
        ["text/html", "text/plain"],
    ]
    assert result.outputs[2].display_id == "third"
    assert (
        result.stderr == "display 'fourth' cannot be updated: this call has displayed nothing of that name\n"
    )


def test_cleared_output_is_gone(shared_app, eventually):
    @shared_app.task
    def clear(path):
        import time
        from pathlib import Path

        from IPython.display import clear_output, display

        for step in range(3):
            clear_output(wait=True)
            print("step", step)
            display(step)
            while not Path(path, str(step)).exists():
                time.sleep(0.01)
        print("end")
        clear_output()
        print("after")

    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        result = clear.delay(folder)
        lines = result.batch.output
        for step in range(3):
            eventually(
                lambda step=step: [line.text for line in lines] == [f"step {step}\n"], "the step is shown"
            )
            eventually(
                lambda step=step: [str(step)] == [o.data["text/plain"] for o in result.outputs],
                "and its value",
            )
            Path(folder, str(step)).touch()
        result.get(timeout=SOON)
    assert result.stdout == "after\n"
    assert result.outputs == []
    assert [line.text for line in lines] == ["after\n"]


@pytest.mark.long
def test_figures_are_shown_where_the_call_is(shared_app):
    pytest.importorskip("matplotlib")

    @shared_app.task
    def plot(how):
        import matplotlib as mpl

        mpl.use("agg")
        from matplotlib import pyplot as plt

        plt.figure(figsize=(1, 1))
        plt.plot([1])
        if how == "show":
            plt.show()
            return plt.get_fignums()
        if how == "fail":
            raise ValueError
        return plt.gcf() if how == "return" else None

    results = [plot.delay(how) for how in ("show", "left", "fail", "return")]
    for result in results:
        result.get(timeout=SOON, propagate=False)
    shown, left, failed, returned = results
    for result in (shown, left, failed):
        assert kinds(result) == [["image/png", "text/plain"]]
        assert base64.b64decode(result.outputs[0].data["image/png"]).startswith(b"\x89PNG")
    assert shown.get() == []
    # It is the result, and shown as that.
    assert returned.outputs == []
    assert "png" in returned.preview


def test_displays_of_calls_side_by_side_are_each_its_own(shared_app):
    @shared_app.task
    async def show(n):
        import asyncio

        for step in range(2):
            display(f"{n} {step}")  # noqa: F821
            await asyncio.sleep(0.01)

    group = show.map(range(4))
    group.get(timeout=SOON)
    for n, result in enumerate(group):
        assert [o.data["text/plain"] for o in result.outputs] == [f"'{n} 0'", f"'{n} 1'"]


def test_results_that_are_made_for_notebooks_bring_their_forms_along(app):
    # A process that has made none yet makes the first one, however long that takes; later ones have to be quick.
    class Table:
        def _repr_html_(self):
            return "<table></table>"

    class Loud:
        def __repr__(self):
            print("loud")
            return "loud"

    @app.task
    def make(what):
        return Table() if what == "table" else Loud()

    group = make.map(["table", "loud"])
    assert group.batch.wait(SOON)
    table, loud = group
    assert table.preview == {"html": "<table></table>"}
    # Nobody asks a value what it is not made to say.
    assert (loud.preview, loud.stdout) == ({}, "")


def test_what_is_displayed_is_bounded(shared_app):
    @shared_app.task
    def flood():
        display({"text/html": "x" * 3_000_000, "text/plain": "small"}, raw=True)  # noqa: F821
        for n in range(200):
            display(n)  # noqa: F821

    result = flood.delay()
    result.get(timeout=SOON)
    assert len(result.outputs) == 101
    first, last = result.outputs[0].data, result.outputs[-1].data
    assert first == {
        "text/plain": "small\n[left out of the output, which is too large: text/html of 3.0 MB; "
        "return it, or write it to a file]"
    }
    assert "101 more outputs were left out" in last["text/plain"]


def test_a_copy_of_the_process_prints_what_it_displays(shared_app):
    @shared_app.task
    def fork():
        import multiprocessing

        process = multiprocessing.get_context("fork").Process(target=display, args=("in a copy",))  # noqa: F821
        process.start()
        process.join()

    result = fork.delay()
    result.get(timeout=SOON)
    assert result.outputs == []
    assert "'in a copy'" in result.stdout


def test_forms_of_a_mime_type_that_only_some_pages_draw_come_whole(shared_app):
    def chart():
        class Chart:
            def _repr_mimebundle_(self, include=None, exclude=None):
                data = {
                    "application/vnd.made.v1+json": {"data": [{"y": [1, 3, 2]}]},
                    "text/html": "<b>chart</b>",
                }
                return data, {"application/vnd.made.v1+json": {"width": 300}}

        from IPython.display import display

        display(Chart())

    result = shared_app.task(chart).delay()
    result.get(timeout=60)
    (output,) = result.outputs
    assert output.data["application/vnd.made.v1+json"] == {"data": [{"y": [1, 3, 2]}]}
    assert output.data["text/html"] == "<b>chart</b>"
    assert output.metadata["application/vnd.made.v1+json"] == {"width": 300}
