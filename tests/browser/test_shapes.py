"""What is drawn by the page and in saved pictures has the same shapes."""

from __future__ import annotations

from pathlib import Path

import pytest

import nbtasks.jupyter
from nbtasks.core.stencils import drawn_out, stencil
from nbtasks.jupyter.card.looks import LOOKS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PAGE = Path(nbtasks.jupyter.__file__).parent / "page"
BAR = 10
#: Which pixels the page fills, as rows of bits in text: the leftmost last.
FILLED = """([stencil, width]) => {
    const rows = stencil.map(() => Array(width).fill(0));
    for (const [x, y, wide, high] of filled(stencil, width)) {
        for (let down = y; down < y + high; down++) {
            for (let right = x; right < x + wide; right++) rows[down][right] += 1;
        }
    }
    return rows.map((row) => row.reverse().join("")); }"""


def test_the_page_draws_bars_as_the_saved_picture_does(chromium):
    page = chromium.new_page()
    page.add_script_tag(content=(PAGE / "shapes.js").read_text("utf-8"))
    for look in LOOKS:
        for width in (1, 2, 3, 9, 10, 11, 25):
            shape = stencil(look.state, BAR)
            expected = [format(row, f"0{width}b") for row in drawn_out(shape, width)]
            assert page.evaluate(FILLED, [list(shape), width]) == expected
    page.close()
