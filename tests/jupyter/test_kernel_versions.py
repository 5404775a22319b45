"""Older kernels, and packages that draw by a MIME type of their own. All other tests have the newest kernel."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from .conftest import WIDGET, Kernel

pytestmark = [pytest.mark.kernel, pytest.mark.long, pytest.mark.timeout(400)]


@pytest.fixture
def kernel_with(run_folder, jupyter_loop, packages, monkeypatch):
    """``kernel_with("ipykernel==6.31.0")`` returns a kernel that has these packages, with the extension and workers."""
    kernels = []

    def kernel(*names, deps=True):
        before = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (packages(*names, deps=deps), before))))
        kernels.append(Kernel(Path(tempfile.mkdtemp(prefix="k", dir=run_folder))))
        assert kernels[-1].run("%load_ext nbtasks").status == "ok"
        assert "2 worker processes ready" in kernels[-1].run("%workers start 2").stdout
        return kernels[-1]

    yield kernel
    for one in kernels:
        one.stop()


@pytest.mark.parametrize("version", ["6.31.0", "7.3.0"])
def test_cards_live_and_end_in_older_kernels(kernel_with, version):
    kernel = kernel_with(f"ipykernel=={version}", deps=False)
    assert kernel.value("__import__('ipykernel').__version__") == repr(version)
    ran = kernel.run("%%task -o h for n in range(6)\n# numbers\nprint('n is', n)\nn * n")
    assert WIDGET in ran.data[0]
    kernel.settle(lambda: kernel.views() and kernel.views()[-1]["done"])
    kernel.settle(lambda: WIDGET not in kernel.screen[ran.shown[0]])
    assert "numbers: done, 6 calls" in kernel.texts()[0]
    assert kernel.run("h.get()").text == "[0, 1, 4, 9, 16, 25]"

    kernel.run("%%task -o w for n in range(4)\n# wait\nimport time\ntime.sleep(60)")
    model = [data for data in kernel.screen.values() if WIDGET in data][-1][WIDGET]["model_id"]
    kernel.press(model, {"t": "cancel"})
    kernel.settle(lambda: kernel.views()[-1]["done"] and kernel.views()[-1]["shown_state"] == "cancelled")

    many = kernel.run("import nbtasks\nt = nbtasks.task(abs)\ngs = [t.map(range(3)) for _ in range(5)]")
    kernel.settle(lambda: "5 runs, 15 calls: done" in kernel.screen[many.shown[0]]["text/plain"])
    error = kernel.run("%%task -b\n# bad\n1 / 0")
    assert error.ename == "ZeroDivisionError"
    kernel.run("t2 = nbtasks.task(lambda: __import__('time').sleep(60)).delay()")
    waiting = kernel.run("print('waits', flush=True)\nt2.get()", stop_when=lambda: "waits" in kernel.printed)
    assert waiting.ename == "KeyboardInterrupt"
    unwatched = kernel.run("%%task for n in range(3)\n# unwatched\nn", watched=False)
    assert "unwatched: done" in kernel.screen[unwatched.shown[0]]["text/plain"]


def test_plotly_and_altair_draw_what_a_worker_has_made(kernel_with):
    kernel = kernel_with("plotly==6.3.1", "altair==5.5.0")
    ran = kernel.run(
        "%%task -b -o fig\n# plotly\nimport plotly.graph_objects as go\n"
        "fig = go.Figure(go.Scatter(y=[1, 3, 2]))\ndisplay(fig)\nfig"
    )
    assert ran.status == "ok", ran.traceback
    kernel.settle(lambda: any("application/vnd.plotly.v1+json" in data for data in kernel.screen.values()))
    ran = kernel.run(
        "%%task -b -o chart\n# altair\nimport altair as alt\n"
        "chart = alt.Chart(alt.Data(values=[{'a': 1, 'b': 2}])).mark_bar().encode(x='a:Q', y='b:Q')\n"
        "display(chart)\nNone"
    )
    assert ran.status == "ok", ran.traceback
    # As in the notebook itself: HTML that draws with vega.
    kernel.settle(lambda: any("vega" in data.get("text/html", "") for data in kernel.screen.values()))
