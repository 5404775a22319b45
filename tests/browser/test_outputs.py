"""What tasks display stands below their card, and the bars of tqdm in it."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 1"
TRAIN = """
%%task -o training
# train
import time
from pathlib import Path
from tqdm import tqdm
from IPython.display import HTML, Markdown
for epoch in tqdm(range(3), desc="epoch", mininterval=0, miniters=1):
    for step in tqdm(range(4), desc="step", leave=False, mininterval=0, miniters=1):
        while epoch == 1 and step == 2 and not Path("go").exists():
            time.sleep(0.02)
    print(f"\\repoch {epoch}", end="")
print()
display(Markdown("**two** $x^2$"))
display(HTML("<table id='shown'><tr><td>cell</td></tr></table>"))
"""


@pytest.mark.long
@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_bars_are_in_the_card_and_displays_below_it(lab_page, app):
    notebook = lab_page([SETUP, TRAIN, "open('go', 'w').close()"], app)
    notebook.run(0, 1)
    page = notebook.page
    rows = page.locator(".nbt-bars .nbt-row")
    rows.nth(1).wait_for(timeout=90_000)
    page.wait_for_function(
        "() => document.querySelectorAll('.nbt-bars .nbt-far')[1]?.textContent.startsWith('2 / 4')"
    )
    assert [row.locator(".nbt-what").inner_text() for row in rows.all()] == ["epoch", "step"]
    assert rows.nth(0).locator(".nbt-far").inner_text().startswith("1 / 3")
    notebook.run(2)
    # Drawn by Jupyter: Markdown and the table in its own style.
    page.wait_for_selector(".jp-RenderedMarkdown strong", timeout=60_000)
    page.wait_for_selector(".jp-RenderedHTML #shown")
    assert rows.count() == 1
    assert page.locator(".nbt-line").all_inner_texts() == ["epoch 2"]
    outputs = [cell.get("outputs", []) for cell in notebook.save()["cells"]]
    kinds = [set(output["data"]) - {"text/plain"} for output in outputs[1]]
    assert kinds[1:] == [{"text/markdown"}, {"text/html"}]
