"""Unmodified tqdm and rich.progress in a call: bars, and no lines of text."""

from __future__ import annotations

import pytest

SOON = 120.0


def with_tqdm():
    from tqdm import tqdm

    for _ in tqdm(range(3), desc="outer"):
        for _ in tqdm(range(4), desc="inner", leave=False):
            pass
    bar = tqdm(total=100, unit="B", desc="by hand")
    bar.set_postfix(loss=0.5)
    bar.update(30)
    tqdm.write("a line")
    bar.close()


def with_tqdm_auto():
    from tqdm.auto import trange

    for _ in trange(5, desc="auto"):
        pass


def with_tqdm_notebook():
    from tqdm.notebook import tqdm

    for _ in tqdm(range(5), desc="notebook"):
        pass


def with_rich():
    from rich.progress import Progress, track

    with Progress() as progress:
        first, second = progress.add_task("[red]first", total=4), progress.add_task("second", total=None)
        progress.update(first, advance=4)
        progress.advance(second, 2)
    for _ in track(range(6), description="tracked"):
        pass


@pytest.mark.parametrize(
    ("function", "expected", "printed"),
    [
        (with_tqdm, [("outer", 3, 3, "it"), ("by hand", 30, 100, "B")], "a line\n"),
        (with_tqdm_auto, [("auto", 5, 5, "it")], ""),
        (with_tqdm_notebook, [("notebook", 5, 5, "it")], ""),
        (with_rich, [("first", 4, 4, ""), ("second", 2, None, ""), ("tracked", 6, 6, "")], ""),
    ],
)
def test_bars_are_kept_and_not_printed(shared_app, function, expected, printed):
    result = shared_app.task(function).delay()
    result.get(timeout=SOON)
    bars = result.bars
    assert [(bar.description, bar.done, bar.total, bar.unit) for bar in bars] == expected
    assert all(bar.closed for bar in bars)
    assert (result.stdout, result.stderr) == (printed, "")


def test_bars_move_while_the_call_runs(shared_app, gate, eventually):
    path = gate.path

    @shared_app.task
    def work():
        import time
        from pathlib import Path

        from tqdm import tqdm

        # As fast as it runs: tqdm looks at a loop of its own ten times a second.
        for step in tqdm(range(4), desc="outer", mininterval=0, miniters=1):
            for _ in tqdm(range(10), desc="inner", leave=False):
                while step == 2 and not Path(path).exists():
                    time.sleep(0.01)

    result = work.delay()
    eventually(
        lambda: (
            [(bar.description, bar.done, bar.depth) for bar in result.bars]
            == [("outer", 2, 0), ("inner", 0, 1)]
        ),
        "both bars are told",
    )
    # The outer one is how far the call is.
    eventually(
        lambda: result.progress and (result.progress.done, result.progress.total) == (2, 4), "progress"
    )
    gate.open()
    result.get(timeout=SOON)
    assert [(bar.description, bar.done) for bar in result.bars] == [("outer", 4)]


def test_a_bar_that_writes_elsewhere_does_so(shared_app):
    @shared_app.task
    def work():
        import io

        from tqdm import tqdm

        file = io.StringIO()
        for _ in tqdm(range(3), file=file):
            pass
        return file.getvalue()

    result = work.delay()
    assert "3/3" in result.get(timeout=SOON)
    assert result.bars == []


def test_a_task_progress_of_its_own_is_not_replaced_by_a_bar(shared_app, gate, eventually):
    path = gate.path

    @shared_app.task
    def work():
        import time
        from pathlib import Path

        from tqdm import tqdm

        from nbtasks import progress

        progress(1, 2, "mine")
        time.sleep(0.25)
        bar = tqdm(total=9)
        bar.update(3)
        while not Path(path).exists():
            time.sleep(0.01)
        bar.close()

    result = work.delay()
    eventually(lambda: result.bars, "the bar is told")
    assert result.progress.message == "mine"
    gate.open()
    result.get(timeout=SOON)
